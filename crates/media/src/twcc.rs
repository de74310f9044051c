//! Transport-wide feedback to a publisher: when each of its packets arrived.
//!
//! One recorder per publishing session, for all its streams, because the numbers are the
//! transport's (draft-holmer-rmcat-transport-wide-cc-extensions-01). It remembers a window of
//! arrivals, says when feedback is due and writes it; the format is `wire`'s.

use core::time::Duration;

use crosspoint_wire::BufferFull;
use crosspoint_wire::ids::Ssrc;
use crosspoint_wire::num::SeqUnwrapper;
use crosspoint_wire::rtcp::RtcpWriter;
use crosspoint_wire::time::Time;

/// Distance between feedback messages. Shorter lets the publisher's estimator react faster, at
/// the cost of RTCP; libwebrtc's own receivers choose 50 to 250 ms by the rate.
const INTERVAL: Duration = Duration::from_millis(50);
/// How many numbers are remembered; power of two. At 10 000 packets/s twice the interval.
const WINDOW: u64 = 1024;
/// Packets reported by one message at most: two bytes of delta each, and chunks, in one datagram.
const MESSAGE_PACKETS_MAX: usize = 480;
/// After so many numbers in a row from before the window, the publisher has begun anew.
const STRANGERS_MAX: u8 = 16;

/// See the module documentation.
#[derive(Debug, Default)]
pub(crate) struct TwccRecorder {
    numbers: SeqUnwrapper,
    /// Arrival by number modulo the window; `Time::NEVER` where nothing arrived. Empty before the
    /// first packet.
    arrivals: Vec<Time>,
    /// Highest number that arrived.
    newest: u64,
    /// Lowest number that is still to be reported.
    unreported: u64,
    due: Option<Time>,
    feedback_count: u8,
    strangers: u8,
}

impl TwccRecorder {
    /// Takes note of a packet that carried `sequence_number`. Copies and numbers from before the
    /// window are ignored.
    pub(crate) fn on_packet(&mut self, now: Time, sequence_number: u16) {
        let number = self.numbers.peek(u32::from(sequence_number));
        if self.arrivals.is_empty() {
            self.restart(number);
        } else if number + WINDOW <= self.newest {
            self.strangers += 1;
            if self.strangers < STRANGERS_MAX {
                return;
            }
            self.numbers = SeqUnwrapper::new();
            let number = self.numbers.peek(u32::from(sequence_number));
            self.restart(number);
            return self.record(now, number);
        }
        self.record(now, number);
    }

    /// Writes one message if feedback is due. `media` is any of the publisher's SSRCs: libwebrtc
    /// ignores feedback on streams that it does not know. Call until false.
    ///
    /// # Errors
    /// When it does not fit; it is then still due.
    pub(crate) fn write_due(
        &mut self,
        now: Time,
        sender: Ssrc,
        media: Ssrc,
        writer: &mut RtcpWriter<'_>,
    ) -> Result<bool, BufferFull> {
        if self.due.is_none_or(|due| due > now) {
            return Ok(false);
        }
        let arrivals = (self.unreported..=self.newest)
            .take(MESSAGE_PACKETS_MAX)
            .map(|n| self.arrival(n));
        let written = writer.transport_cc(
            sender,
            media,
            self.feedback_count,
            self.unreported as u16,
            arrivals,
        )?;
        if written == 0 {
            // Nothing but losses within one message's reach.
            self.unreported += MESSAGE_PACKETS_MAX as u64;
        } else {
            self.unreported += written as u64;
            self.feedback_count = self.feedback_count.wrapping_add(1);
        }
        if self.unreported > self.newest {
            self.unreported = self.newest + 1;
            self.due = None;
        }
        Ok(written > 0)
    }

    /// When feedback is due; `Time::NEVER` while nothing arrives.
    pub(crate) fn next_timeout(&self) -> Time {
        self.due.unwrap_or(Time::NEVER)
    }

    fn record(&mut self, now: Time, number: u64) {
        self.strangers = 0;
        self.numbers.extend((number & 0xffff) as u32);
        if number > self.newest {
            if number - self.newest >= WINDOW {
                self.restart(number);
            }
            for missing in self.newest + 1..number {
                self.set(missing, Time::NEVER);
            }
            self.newest = number;
        } else if self.arrival(number).is_some() {
            return;
        }
        self.set(number, now);
        // A late packet is reported again together with all that came after it; what the window
        // has left behind is not reported any more, for its places hold the arrivals of others.
        let oldest = (self.newest + 1).saturating_sub(WINDOW);
        self.unreported = self.unreported.min(number).max(oldest);
        self.due.get_or_insert(now + INTERVAL);
    }

    /// Begins at `number`: what is missing before it is not this publisher's loss.
    fn restart(&mut self, number: u64) {
        self.arrivals.clear();
        self.arrivals.resize(WINDOW as usize, Time::NEVER);
        self.newest = number;
        self.unreported = number;
        self.due = None;
    }

    fn arrival(&self, number: u64) -> Option<Time> {
        self.arrivals
            .get((number % WINDOW) as usize)
            .copied()
            .filter(|&at| at != Time::NEVER)
    }

    fn set(&mut self, number: u64, at: Time) {
        if let Some(place) = self.arrivals.get_mut((number % WINDOW) as usize) {
            *place = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use crosspoint_wire::rtcp::{Compound, RtcpPacket};
    use proptest::prelude::*;

    use super::*;

    /// All that is reported at `now`: number to arrival in microseconds.
    fn feedback(recorder: &mut TwccRecorder, now: Time) -> Vec<(u16, Option<i64>)> {
        let mut reported = Vec::new();
        loop {
            let mut buffer = [0; 1400];
            let mut writer = RtcpWriter::new(&mut buffer);
            if !recorder.write_due(now, 1, 2, &mut writer).unwrap() {
                return reported;
            }
            for member in Compound::new(writer.as_bytes()) {
                let RtcpPacket::TransportCc(cc) = member.unwrap() else {
                    panic!("not transport-wide feedback");
                };
                let reference = i64::from(cc.reference_time) * 64_000;
                reported.extend(
                    cc.packets()
                        .map(|p| (p.sequence_number, p.arrival_us.map(|us| reference + us))),
                );
            }
        }
    }

    #[test]
    fn reports_arrivals_and_losses_once_an_interval() {
        let mut recorder = TwccRecorder::default();
        assert_eq!(recorder.next_timeout(), Time::NEVER);
        for (ms, seq) in [(100, 65_534), (101, 65_535), (103, 1)] {
            recorder.on_packet(Time::from_millis(ms), seq);
        }
        assert_eq!(recorder.next_timeout(), Time::from_millis(150));
        assert!(feedback(&mut recorder, Time::from_millis(149)).is_empty());
        assert_eq!(
            feedback(&mut recorder, Time::from_millis(150)),
            [
                (65_534, Some(100_000)),
                (65_535, Some(101_000)),
                (0, None),
                (1, Some(103_000)),
            ]
        );
        assert_eq!(recorder.next_timeout(), Time::NEVER);
    }

    #[test]
    fn a_late_packet_is_reported_after_all() {
        let mut recorder = TwccRecorder::default();
        recorder.on_packet(Time::from_millis(0), 10);
        recorder.on_packet(Time::from_millis(1), 12);
        feedback(&mut recorder, Time::from_millis(50));
        recorder.on_packet(Time::from_millis(60), 11);
        recorder.on_packet(Time::from_millis(61), 11);
        assert_eq!(
            feedback(&mut recorder, Time::from_millis(110)),
            [(11, Some(60_000)), (12, Some(1_000))]
        );
    }

    #[test]
    fn a_jump_is_no_loss_of_thousands_and_a_restart_is_followed() {
        let mut recorder = TwccRecorder::default();
        recorder.on_packet(Time::from_millis(0), 10);
        recorder.on_packet(Time::from_millis(1), 20_000);
        assert_eq!(
            feedback(&mut recorder, Time::from_millis(51)),
            [(20_000, Some(1_000))]
        );
        for n in 0..40 {
            recorder.on_packet(Time::from_millis(60), n);
        }
        let reported = feedback(&mut recorder, Time::from_millis(200));
        assert_eq!(reported.last(), Some(&(39, Some(60_000))));
        assert!(reported.len() > 20);
    }

    #[test]
    fn what_the_window_left_behind_before_feedback_was_due_is_not_reported() {
        let mut recorder = TwccRecorder::default();
        for n in 0..3000_u64 {
            recorder.on_packet(Time::from_micros(n * 10), n as u16);
        }
        let reported = feedback(&mut recorder, Time::from_millis(50));
        assert_eq!(reported.len(), WINDOW as usize);
        assert_eq!(reported[0].0, 3000 - WINDOW as u16);
        for (number, at) in reported {
            let late = at.unwrap() - i64::from(number) * 10;
            assert!(late.abs() <= 250, "{number} came {late} us off");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]
        /// Everything that arrives within the window is reported with its time, whatever the
        /// order; nothing is reported that did not arrive; everything fits.
        #[test]
        fn reports_what_arrived_and_nothing_else(
            start in prop::sample::select(vec![0_u64, 32_767, 65_500]),
            steps in prop::collection::vec((0_u64..40, 0_u64..60, 0_u64..9_000), 1..600),
        ) {
            let mut recorder = TwccRecorder::default();
            let mut arrived: HashMap<u64, i64> = HashMap::new();
            let mut reported: HashMap<u64, i64> = HashMap::new();
            let (mut newest, mut now) = (start, Time::ZERO);
            let mut collect = |recorder: &mut TwccRecorder, now, newest: u64, arrived: &HashMap<u64, i64>| {
                for (seq, at) in feedback(recorder, now) {
                    let number = newest - u64::from((newest as u16).wrapping_sub(seq));
                    let Some(at) = at else { continue };
                    let real = arrived.get(&number).copied();
                    prop_assert!(real.is_some_and(|real| (real - at).abs() <= 250), "{number}: {real:?} {at}");
                    reported.insert(number, at);
                }
                Ok(())
            };
            for (ahead, back, wait_us) in steps {
                now += Duration::from_micros(wait_us);
                newest += ahead;
                let number = newest - back.min(newest - start) * (ahead % 2);
                recorder.on_packet(now, number as u16);
                arrived.entry(number).or_insert(now.as_micros() as i64);
                collect(&mut recorder, now, newest, &arrived)?;
            }
            collect(&mut recorder, now + Duration::from_secs(1), newest, &arrived)?;
            prop_assert_eq!(reported.len(), arrived.len());
        }
    }
}
