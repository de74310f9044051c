//! The receiver's own NACKs, in the manner of libwebrtc: a round trip is taken to be 50 ms.

use core::time::Duration;
use std::collections::BTreeMap;

use crosspoint_wire::time::Time;

const AGAIN_AFTER: Duration = Duration::from_millis(60);
const TRIES_MAX: u8 = 10;

#[derive(Debug, Default)]
pub(super) struct Repair {
    highest: Option<u64>,
    missing: BTreeMap<u64, Missing>,
}

#[derive(Debug)]
struct Missing {
    due: Time,
    tries: u8,
}

impl Repair {
    pub(super) fn on_packet(&mut self, now: Time, ext_seq: u64) {
        let highest = *self.highest.get_or_insert(ext_seq);
        self.missing.remove(&ext_seq);
        for missing in highest + 1..ext_seq {
            self.missing.insert(missing, Missing { due: now, tries: 0 });
        }
        self.highest = Some(highest.max(ext_seq));
    }

    /// What is to be asked for now.
    pub(super) fn poll(&mut self, now: Time) -> Vec<u16> {
        let mut lost = Vec::new();
        self.missing.retain(|&ext_seq, missing| {
            if missing.due > now {
                return true;
            }
            if missing.tries == TRIES_MAX {
                return false;
            }
            missing.tries += 1;
            missing.due = now + AGAIN_AFTER;
            lost.push(ext_seq as u16);
            true
        });
        lost
    }

    pub(super) fn next_timeout(&self) -> Time {
        self.missing
            .values()
            .map(|m| m.due)
            .min()
            .unwrap_or(Time::NEVER)
    }
}
