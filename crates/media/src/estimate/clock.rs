//! The times of a receiver's feedback: its clock wraps, and may be set.

/// A delay that differs by so much from the packet's before is another clock's.
const LEAP_US: i64 = 5_000_000;

/// The receiver's clock, of which feedback gives 24 bits in units of 64 ms.
#[derive(Debug, Default)]
pub(super) struct ReferenceClock {
    newest: Option<i64>,
    /// Arrival minus sending of the packet before.
    delay_us: Option<i64>,
}

impl ReferenceClock {
    /// Microseconds of a reference time, whatever its wraps.
    pub(super) fn unwrap_us(&mut self, reference: u32) -> i64 {
        let newest = match self.newest {
            None => i64::from(reference),
            Some(before) => {
                // The difference, sign-extended from 24 bits.
                let ahead = (reference.wrapping_sub(before as u32) << 8).cast_signed() >> 8;
                before + i64::from(ahead)
            }
        };
        self.newest = Some(newest);
        newest * 64_000
    }

    /// Whether a packet's delay, arrival minus sending, shows that this is another clock than before.
    pub(super) fn leaps(&mut self, delay_us: i64) -> bool {
        let before = self.delay_us.replace(delay_us);
        before.is_some_and(|before| before.saturating_sub(delay_us).saturating_abs() > LEAP_US)
    }

    /// Counts from the next reference on as if it were the first.
    pub(super) fn restart(&mut self) {
        self.newest = None;
    }
}
