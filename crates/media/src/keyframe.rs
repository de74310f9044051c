//! Asking a publisher for keyframes, seldom enough.
//!
//! A keyframe costs the publisher many times a common frame, and a hundred subscribers that join
//! or lose a packet at once all need the same one. Any number of wishes becomes at most one
//! request per interval and encoding, repeated until a keyframe came.

use core::time::Duration;

use crosspoint_wire::time::Time;

/// How a publisher is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyframeRequest {
    /// RFC 4585 §6.3.1.
    Pli,
    /// RFC 5104 §4.3.1, with its sequence number: a repetition has the same.
    Fir(u8),
}

/// The wish for keyframes of one encoding.
#[derive(Debug)]
pub(crate) struct KeyframeRequests {
    interval: Duration,
    wanted: bool,
    asked: Option<Time>,
    fir_sequence: u8,
    /// Whether the current wish has been asked for.
    repeating: bool,
}

impl KeyframeRequests {
    /// Asks at most once per `interval`.
    pub(crate) fn new(interval: Duration) -> Self {
        Self {
            interval,
            wanted: false,
            asked: None,
            fir_sequence: 0,
            repeating: false,
        }
    }

    /// Somebody needs a keyframe.
    pub(crate) fn want(&mut self) {
        self.wanted = true;
    }

    /// Nobody needs one any more, or nobody can send one.
    pub(crate) fn forget(&mut self) {
        self.wanted = false;
        self.repeating = false;
    }

    /// A keyframe began: who needed one has it.
    pub(crate) fn on_keyframe(&mut self) {
        self.forget();
    }

    /// The request to send now, if one is due. PLI where the format has it, else FIR; a format
    /// with neither cannot be asked, its publisher sends keyframes when it pleases.
    pub(crate) fn poll(&mut self, now: Time, pli: bool, fir: bool) -> Option<KeyframeRequest> {
        if self.next_timeout() > now {
            return None;
        }
        self.asked = Some(now);
        let repeating = core::mem::replace(&mut self.repeating, true);
        match (pli, fir) {
            (true, _) => Some(KeyframeRequest::Pli),
            (false, true) => {
                if !repeating {
                    self.fir_sequence = self.fir_sequence.wrapping_add(1);
                }
                Some(KeyframeRequest::Fir(self.fir_sequence))
            }
            (false, false) => {
                self.forget();
                None
            }
        }
    }

    /// When a request is due; `Time::NEVER` when none is wanted.
    pub(crate) fn next_timeout(&self) -> Time {
        match (self.wanted, self.asked) {
            (false, _) => Time::NEVER,
            (true, None) => Time::ZERO,
            (true, Some(asked)) => asked + self.interval,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requests() -> KeyframeRequests {
        KeyframeRequests::new(Duration::from_millis(500))
    }

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    #[test]
    fn a_flood_of_wishes_is_two_requests_a_second() {
        let mut requests = requests();
        let mut sent = 0;
        for ms in 0..10_000 {
            requests.want();
            if requests.poll(at(ms), true, true).is_some() {
                sent += 1;
                requests.on_keyframe();
            }
        }
        assert_eq!(sent, 20);
    }

    #[test]
    fn asks_again_until_a_keyframe_came() {
        let mut requests = requests();
        requests.want();
        assert_eq!(
            requests.poll(at(0), true, false),
            Some(KeyframeRequest::Pli)
        );
        assert_eq!(requests.poll(at(499), true, false), None);
        assert_eq!(requests.next_timeout(), at(500));
        assert_eq!(
            requests.poll(at(500), true, false),
            Some(KeyframeRequest::Pli)
        );
        requests.on_keyframe();
        assert_eq!(requests.poll(at(1000), true, false), None);
        assert_eq!(requests.next_timeout(), Time::NEVER);
    }

    #[test]
    fn a_repeated_fir_keeps_its_number_and_a_new_one_does_not() {
        let mut requests = requests();
        requests.want();
        assert_eq!(
            requests.poll(at(0), false, true),
            Some(KeyframeRequest::Fir(1))
        );
        assert_eq!(
            requests.poll(at(500), false, true),
            Some(KeyframeRequest::Fir(1))
        );
        requests.on_keyframe();
        requests.want();
        assert_eq!(
            requests.poll(at(1000), false, true),
            Some(KeyframeRequest::Fir(2))
        );
    }

    #[test]
    fn who_cannot_be_asked_is_not_asked_for_ever() {
        let mut requests = requests();
        requests.want();
        assert_eq!(requests.poll(at(0), false, false), None);
        assert_eq!(requests.next_timeout(), Time::NEVER);
    }
}
