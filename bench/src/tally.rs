//! What is counted: totals since the start, of which a measurement takes differences.

use std::ops::{AddAssign, Sub};

use hdrhistogram::Histogram;

use crate::peer::Why;

/// Longest delay that is told from longer ones, in microseconds.
const DELAY_MAX_US: u64 = 60_000_000;

macro_rules! totals {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Totals of one thread, or of several added up.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Totals { $($(#[$doc])* pub $name: u64,)* }

        impl AddAssign for Totals {
            fn add_assign(&mut self, other: Self) { $(self.$name += other.$name;)* }
        }

        impl Sub for Totals {
            type Output = Self;

            fn sub(self, earlier: Self) -> Self {
                Self { $($name: self.$name.saturating_sub(earlier.$name),)* }
            }
        }
    };
}

totals! {
    /// RTP packets received, of all kinds.
    packets,
    /// Of these, Opus.
    audio_packets,
    /// Of these, retransmissions on an RTX stream.
    rtx_packets,
    /// Packets that had come before.
    duplicates,
    /// Bytes of received RTP packets: UDP payloads.
    bytes,
    /// Sequence numbers that streams have advanced by.
    expected,
    /// Of these, those that arrived, be it by retransmission.
    arrived,
    /// Packets that were decrypted and looked at.
    checked,
    /// Of these, those that were not what was sent.
    corrupt,
    /// Packets that did not decrypt.
    undecryptable,
    /// RTCP packets received.
    rtcp_received,
    /// RTCP packets sent.
    rtcp_sent,
    /// Sequence numbers asked for again.
    nacked,
    /// RTP packets sent by publishers.
    packets_sent,
    /// Keyframes that the server asked publishers for.
    keyframes_asked,
    /// Packets that the server asked publishers for again.
    nacks_received,
}

impl Totals {
    /// Packets that never arrived. Negative differences, packets that were under way when the
    /// measurement began, count as none.
    #[must_use]
    pub const fn lost(&self) -> u64 {
        self.expected.saturating_sub(self.arrived)
    }

    /// Share of the expected packets that never arrived, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        self.lost() as f64 / (self.expected.max(1)) as f64
    }
}

/// What one thread counts.
#[derive(Clone, Debug)]
pub struct Tally {
    /// Since the start.
    pub totals: Totals,
    /// From a publisher's sending to a subscriber's looking at a packet, in microseconds, since
    /// the measurement began.
    pub delays: Histogram<u32>,
    /// Clients that are connected.
    pub connected: usize,
    /// Clients that failed, or were closed by the server, since the start.
    pub failed: usize,
    /// Why the last of them failed.
    pub last_failure: Option<Why>,
    /// Audio streams of connected clients that something arrived on in the last second.
    pub audio_streams: usize,
    /// Video streams likewise.
    pub video_streams: usize,
}

/// An empty histogram of microseconds.
#[expect(clippy::expect_used, reason = "the bounds are constants that it takes")]
#[must_use]
pub fn microseconds() -> Histogram<u32> {
    Histogram::new_with_bounds(1, DELAY_MAX_US, 3).expect("1 < 60 000 000 and 3 digits")
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            totals: Totals::default(),
            delays: microseconds(),
            connected: 0,
            failed: 0,
            last_failure: None,
            audio_streams: 0,
            video_streams: 0,
        }
    }
}

impl AddAssign<&Self> for Tally {
    fn add_assign(&mut self, other: &Self) {
        self.totals += other.totals;
        // Both have the same bounds.
        let _ = self.delays.add(&other.delays);
        self.connected += other.connected;
        self.failed += other.failed;
        self.last_failure = self.last_failure.or(other.last_failure);
        self.audio_streams += other.audio_streams;
        self.video_streams += other.video_streams;
    }
}
