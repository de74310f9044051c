//! Named totals of a worker's transport since its start. The engine has its own.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Totals. Each reason to drop something has its own name.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        pub(crate) struct Counters {
            $($(#[$doc])* pub(crate) $name: u64,)*
        }

        impl Counters {
            /// All totals by name, in a fixed order. Names are stable.
            pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// Turns of the worker's loop.
    loops,
    /// Datagrams received, by UDP or TCP.
    datagrams_received,
    /// Bytes in those.
    bytes_received,
    /// Dropped: the first byte names no protocol of ours.
    unknown_protocol,
    /// Dropped: DTLS, SRTP or SRTCP from a source that no authenticated check has proved.
    unproved_source,
    /// Checks that were authenticated and answered.
    stun_answered,
    /// Dropped: not a whole and sound STUN message.
    stun_malformed,
    /// Dropped: not addressed to a session of this worker.
    stun_unknown_user,
    /// Dropped: made without the session's password.
    stun_unauthenticated,
    /// Dropped: from the path of another session, which keeps proving it.
    stun_path_taken,
    /// Dropped: indications and responses, which a lite agent has no use for.
    stun_ignored,
    /// Checks answered by an error: unknown attributes or a role conflict.
    stun_role_or_attribute_errors,
    /// Paths forgotten because a session proved too many.
    paths_evicted,
    /// DTLS datagrams given to a session.
    dtls_received,
    /// Dropped: SRTP or SRTCP before the handshake is done.
    srtp_before_keys,
    /// SRTP packets that were authenticated.
    srtp_received,
    /// SRTCP packets that were authenticated.
    srtcp_received,
    /// Dropped: SRTP or SRTCP with a wrong tag.
    srtp_unauthenticated,
    /// Dropped: SRTP or SRTCP that came before, or too late to tell.
    srtp_replayed,
    /// Dropped: not SRTP or SRTCP.
    srtp_malformed,
    /// SRTP packets queued for sending.
    srtp_sent,
    /// SRTCP packets queued for sending.
    srtcp_sent,
    /// Dropped: the session has no keys or no path.
    unsendable,
    /// Dropped: encryption refused; never expected.
    protect_failed,
    /// Dropped: application messages to a session without such a channel, or with a full one.
    data_unsendable,
    /// Application messages received.
    data_received,
    /// Dropped: messages of relays that lead nowhere, or whose worker is too slow.
    relay_undelivered,
    /// Sessions opened.
    sessions_opened,
    /// Sessions that came up.
    sessions_connected,
    /// Sessions closed, by either side.
    sessions_closed,
    /// Sessions that the worker closed itself.
    sessions_failed,
    /// Commands carried out.
    commands,
}
