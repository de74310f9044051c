//! Earlier sound that goes along with later packets (RFC 2198), for those who lose some.
//!
//! Sound is not sent again: a repetition comes a round trip late, and a listener's buffer is shorter
//! than that where the round trip is long. Instead, who negotiated it and loses packets is sent each
//! packet with up to three before it. They are taken from the publisher's cache when the packet
//! leaves, so who loses nothing costs nothing.

use core::time::Duration;
use crosspoint_wire::ids::PayloadType;
use crosspoint_wire::payload::red::{BLOCK_LEN_MAX, Earlier, OFFSET_MAX, headers_len};
use crosspoint_wire::time::Time;

use crate::cache::{CachedPacket, PacketCache};
use crate::egress::Outgoing;

/// Most earlier packets that go along with one.
const ALONG_MAX: usize = 3;
/// From which share of loss on so many earlier packets go along: with one, the square of the share
/// stays lost, with two the cube, if losses are independent. What stays is below 1 % up to 30 %.
const FROM_LOSS: [f64; ALONG_MAX] = [0.01, 0.04, 0.12];
/// More go along when the share was that large for this long: what is lost while a path gets
/// narrower is not to be answered by more packets.
const PERSISTENT: Duration = Duration::from_secs(2);
/// Fewer go along when it was below half of that for this long.
const CALM: Duration = Duration::from_secs(10);
/// The share of loss is a moving average over about so many packets.
const PACKETS: f64 = 200.0;
/// A payload with what goes along is no longer than this, so that the packet passes every path: of
/// sound at a high rate less goes along, or nothing.
const WHOLE_MAX: usize = 1200;
/// Sound with all that goes along takes no more than this share of the bandwidth: loss on a path
/// that is full does not get less by more packets.
const BANDWIDTH_SHARE: u64 = 2;

/// How many earlier packets go along with each packet of sound for one session.
#[derive(Debug, Default)]
pub(crate) struct Redundancy {
    /// Whether any slot of the session may carry it.
    negotiated: bool,
    loss: f64,
    wanted: u8,
    /// Since when more would be better (true), or fewer would do.
    changing: Option<(bool, Time)>,
    /// What the bandwidth does not allow.
    withheld: u8,
}

impl Redundancy {
    /// Takes the outcome of an offer: whether any slot may carry it.
    pub(crate) fn configure(&mut self, negotiated: bool) {
        self.negotiated = negotiated;
    }

    /// How many earlier packets go along with each, at most [`ALONG_MAX`].
    #[inline]
    pub(crate) fn packets(&self) -> u8 {
        self.wanted.saturating_sub(self.withheld)
    }

    /// Counts packets of which the subscriber told whether they arrived.
    pub(crate) fn count(&mut self, now: Time, expected: u32, lost: u32) {
        if !self.negotiated || expected == 0 {
            return;
        }
        let expected = f64::from(expected);
        let weight = (expected / PACKETS).min(1.0);
        self.loss += weight * (f64::from(lost) / expected - self.loss);
        let level = |factor: f64| {
            let reached = FROM_LOSS.iter().filter(|&&from| self.loss >= factor * from);
            reached.count() as u8
        };
        let wanted = self.wanted.clamp(level(1.0), level(0.5));
        if wanted == self.wanted {
            self.changing = None;
            return;
        }
        let rises = wanted > self.wanted;
        let pending = self.changing.filter(|&(rose, _)| rose == rises);
        let (_, since) = *self.changing.insert(pending.unwrap_or((rises, now)));
        if now.since(since) >= if rises { PERSISTENT } else { CALM } {
            self.wanted = wanted;
            self.changing = None;
        }
    }

    /// Bounds it by the bandwidth, if that is known; returns what sound that takes `sound_bps` by
    /// itself takes with what goes along.
    pub(crate) fn budget(&mut self, bandwidth_bps: Option<u64>, sound_bps: u64) -> u64 {
        let with = |packets: u8| sound_bps * (1 + u64::from(packets));
        let fits =
            |packets: &u8| bandwidth_bps.is_none_or(|bps| with(*packets) * BANDWIDTH_SHARE <= bps);
        let packets = (0..=self.wanted).rev().find(fits).unwrap_or(0);
        self.withheld = self.wanted - packets;
        with(packets)
    }
}

/// The earlier packets that go along with one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Along<'a> {
    /// Payload type of the whole.
    pub(crate) payload_type: PayloadType,
    /// Oldest first.
    blocks: [Option<Earlier<'a>>; ALONG_MAX],
}

impl<'a> Along<'a> {
    /// Finds up to `most` of the packets right before `packet`, the newest first if not all fit, none
    /// of them numbered below `from` (the slot had another source until then). `red` is the payload
    /// type of the whole, `len` the length of the packet's own payload. `None` when there are none.
    pub(crate) fn find(
        now: Time,
        cache: &'a PacketCache,
        (packet, cached, len): (&Outgoing, &CachedPacket, usize),
        red: PayloadType,
        most: u8,
        from: u64,
    ) -> Option<Self> {
        let earlier = |distance: usize| {
            let number = packet.source_seq.checked_sub(distance as u64)?;
            let (earlier, payload) = cache
                .get(now, number.max(from))
                .filter(|_| number >= from)?;
            let offset = cached.timestamp.wrapping_sub(earlier.timestamp);
            let fits = (1..=OFFSET_MAX).contains(&offset) && payload.len() <= BLOCK_LEN_MAX;
            (fits && earlier.payload_type == cached.payload_type).then_some(Earlier {
                payload_type: packet.payload_type,
                offset,
                payload,
            })
        };
        let mut blocks = [None; ALONG_MAX];
        let mut whole = headers_len(usize::from(most)) + len;
        for (place, distance) in blocks.iter_mut().rev().zip(1..=usize::from(most)) {
            let Some(block) = earlier(distance) else {
                continue;
            };
            whole += block.payload.len();
            if whole > WHOLE_MAX {
                break;
            }
            *place = Some(block);
        }
        let any = blocks.iter().any(Option::is_some);
        any.then_some(Self {
            payload_type: red,
            blocks,
        })
    }

    /// Oldest first.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = Earlier<'a>> {
        self.blocks.into_iter().flatten()
    }

    /// Bytes that it adds to a packet.
    pub(crate) fn len(&self) -> usize {
        headers_len(self.blocks().count()) + self.blocks().map(|b| b.payload.len()).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiated() -> Redundancy {
        let mut redundancy = Redundancy::default();
        redundancy.configure(true);
        redundancy
    }

    /// Reports of 25 packets, two a second, of which so many are lost; returns the time after.
    fn reports(redundancy: &mut Redundancy, from: Time, seconds: u64, lost: u32) -> Time {
        let mut now = from;
        for _ in 0..2 * seconds {
            now += Duration::from_millis(500);
            redundancy.count(now, 25, lost);
        }
        now
    }

    #[test]
    fn more_goes_along_the_more_is_lost_and_less_after_a_calm_time() {
        let mut redundancy = negotiated();
        let now = reports(&mut redundancy, Time::ZERO, 30, 0);
        assert_eq!(redundancy.packets(), 0);
        let now = reports(&mut redundancy, now, 10, 5);
        assert_eq!(redundancy.packets(), 3, "20 % are lost");
        let now = reports(&mut redundancy, now, 5, 0);
        assert_eq!(redundancy.packets(), 3, "not yet");
        reports(&mut redundancy, now, 60, 0);
        assert_eq!(redundancy.packets(), 0);
    }

    #[test]
    fn who_did_not_agree_gets_none() {
        let mut redundancy = Redundancy::default();
        reports(&mut redundancy, Time::ZERO, 10, 20);
        assert_eq!(redundancy.packets(), 0);
    }

    #[test]
    fn a_narrow_path_is_not_filled_up_with_it() {
        let mut redundancy = negotiated();
        reports(&mut redundancy, Time::ZERO, 10, 10);
        assert_eq!(redundancy.budget(None, 32_000), 128_000);
        assert_eq!(redundancy.budget(Some(1_000_000), 32_000), 128_000);
        assert_eq!(redundancy.packets(), 3);
        assert_eq!(redundancy.budget(Some(150_000), 32_000), 64_000);
        assert_eq!(redundancy.packets(), 1);
        assert_eq!(redundancy.budget(Some(50_000), 32_000), 32_000);
        assert_eq!(redundancy.packets(), 0);
    }
}
