//! Named totals of an engine since its start.

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Totals since the engine's start. Each drop has its own name, so that a report says why.
        #[derive(Clone, Debug, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counters {
            $($(#[$doc])* pub $name: u64,)*
        }

        impl Counters {
            /// All totals by name, in a fixed order. Names are stable.
            pub fn iter(&self) -> impl Iterator<Item = (&'static str, u64)> {
                [$((stringify!($name), self.$name),)*].into_iter()
            }
        }
    };
}

counters! {
    /// RTP packets that came from sessions.
    rtp_received,
    /// RTP packets handed to the sink, retransmissions included.
    rtp_sent,
    /// RTP packets handed to the sink on RTX streams.
    rtp_retransmitted,
    /// RTP packets handed to the sink that take earlier sound along.
    red_sent,
    /// Packets of sound that were lost and came along with later ones.
    red_restored,
    /// Pictures whose layers changed, pausing included.
    layer_switches,
    /// Pictures that were granted another share of a limited bandwidth.
    allocations,
    /// RTCP packets (datagrams) that came from sessions.
    rtcp_received,
    /// RTCP packets (datagrams) handed to the sink.
    rtcp_sent,
    /// Messages that came from relays.
    relay_received,
    /// Messages handed to the sink for relays.
    relay_sent,
    /// Dropped: not RTP, or a header that contradicts its length.
    rtp_malformed,
    /// Dropped: an SSRC that no session config declares, without a MID (and RID) that one does.
    rtp_unknown_ssrc,
    /// Dropped: a payload type that the m-line did not negotiate.
    rtp_unknown_payload,
    /// Dropped: came before, on the same stream or as a retransmission.
    rtp_duplicate,
    /// Dropped: too old or too far ahead to belong to its stream.
    rtp_out_of_window,
    /// Dropped: an RTX packet without an original packet in it (padding, probes).
    rtx_padding,
    /// Dropped: its track is muted.
    rtp_muted,
    /// Dropped: payload does not fit the largest packet, as it came or with the header of its slot.
    rtp_too_large,
    /// Not forwarded by a slot: of a layer that it leaves out, not in its payload list, or before
    /// a keyframe.
    slot_skipped,
    /// Dropped: a session's outgoing queue was full.
    egress_overflow,
    /// Dropped: pictures that would have waited too long for their turn.
    pacer_dropped,
    /// Packets of padding handed to the sink, for probes.
    padding_sent,
    /// Dropped: transport-wide feedback that told nothing, or nothing new, of what left.
    feedback_void,
    /// Dropped: gone from the cache before it could leave.
    egress_stale,
    /// Dropped: RTCP that was not understood.
    rtcp_malformed,
    /// Dropped: relay messages that were not understood or have no relay.
    relay_malformed,
    /// Dropped: relay messages beyond the queue's bound, or gone from the cache before they could leave.
    relay_overflow,
    /// Packets that subscribers reported missing.
    nacks_received,
    /// Of these: not repeated (gone, too often, over budget, no RTX).
    nacks_refused,
    /// Packets that publishers were asked to repeat.
    nacks_sent,
    /// Keyframes that subscribers asked for.
    keyframe_requests_received,
    /// Keyframes that publishers were asked for.
    keyframe_requests_sent,
    /// Slots that got another source.
    assignments,
    /// Changes of the stream that feeds a slot.
    switches,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let counters = Counters::default();
        let mut names: Vec<_> = counters.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
