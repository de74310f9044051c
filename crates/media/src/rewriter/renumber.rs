//! Maps ascending source numbers to outgoing numbers, closing the gaps of what is left out.

/// Source numbers map to outgoing ones by subtraction of how many were left out before them.
/// A window of the newest `64 * WORDS` source numbers remembers which were left out and which
/// were taken, so that late ones still get the number that their place has, and nothing gets a
/// number twice.
#[derive(Debug)]
pub(super) struct Renumber<const WORDS: usize> {
    /// Nothing below has a number.
    first: u64,
    /// Newest source number seen; `first - 1` (which may not exist: see `started`) before any.
    newest: u64,
    started: bool,
    /// Outgoing minus source number at `newest`, wrapping.
    offset: u64,
    /// One bit per number modulo the window: left out on purpose.
    skipped: [u64; WORDS],
    /// One bit per number modulo the window: taken or left out.
    settled: [u64; WORDS],
}

impl<const WORDS: usize> Renumber<WORDS> {
    const WINDOW: u64 = WORDS as u64 * 64;

    /// Source number `first` becomes `first_out`; nothing before it has a number.
    pub(super) fn new(first: u64, first_out: u64) -> Self {
        Self {
            first,
            newest: first,
            started: false,
            offset: first_out.wrapping_sub(first),
            skipped: [0; WORDS],
            settled: [0; WORDS],
        }
    }

    /// Newest number seen, or the first one before any was.
    pub(super) fn newest(&self) -> u64 {
        self.newest
    }

    /// Whether `number` comes after all that was seen.
    pub(super) fn is_ahead(&self, number: u64) -> bool {
        if self.started {
            number > self.newest
        } else {
            number >= self.first
        }
    }

    /// Before a number that is ahead is used: takes out of the mapping what lies between it and
    /// the newest beyond `gap_max`.
    pub(super) fn narrow_gap(&mut self, number: u64, gap_max: u64) {
        let before = if self.started {
            self.newest
        } else {
            // Numbers may be missing before the very first too, but no receiver knows.
            self.first.wrapping_sub(1)
        };
        let excess = number.wrapping_sub(before).saturating_sub(gap_max);
        if self.is_ahead(number) && excess > 0 {
            self.offset = self.offset.wrapping_sub(excess);
            // Late packets from within the narrowed gap have no number any more.
            self.first = number - (gap_max - 1).min(number);
        }
    }

    /// The outgoing number of `number`, once; `None` if it has none or had it already.
    pub(super) fn take(&mut self, number: u64) -> Option<u64> {
        self.settle(number).then(|| self.peek(number))
    }

    /// Leaves `number` out. A late one whose gap has been shown keeps the gap.
    pub(super) fn skip(&mut self, number: u64) {
        let ahead = self.is_ahead(number);
        if self.settle(number) && ahead {
            set(&mut self.skipped, number);
            // The number itself takes the place of its predecessor, its successor its place.
            self.offset = self.offset.wrapping_sub(1);
        }
    }

    /// The outgoing number of `number` whether or not it was taken; advances the window.
    pub(super) fn peek(&mut self, number: u64) -> u64 {
        self.advance(number);
        let late = self.newest.saturating_sub(number).min(Self::WINDOW - 1);
        let skipped_since = self.count_skipped(late);
        number.wrapping_add(self.offset).wrapping_add(skipped_since)
    }

    /// Marks `number` as done with; false if it was, or is out of the window.
    fn settle(&mut self, number: u64) -> bool {
        if number < self.first || number.saturating_add(Self::WINDOW) <= self.newest {
            return false;
        }
        self.advance(number);
        if get(&self.settled, number) {
            return false;
        }
        set(&mut self.settled, number);
        true
    }

    fn advance(&mut self, number: u64) {
        if !self.is_ahead(number) {
            return;
        }
        if number - self.newest >= Self::WINDOW {
            self.skipped = [0; WORDS];
            self.settled = [0; WORDS];
        } else {
            for (word, mask) in words::<WORDS>(self.newest + 1, number) {
                self.skipped[word] &= !mask;
                self.settled[word] &= !mask;
            }
        }
        self.newest = number;
        self.started = true;
    }

    /// How many of the newest `count` numbers were left out. Nearly always asked of 0.
    fn count_skipped(&self, count: u64) -> u64 {
        if count == 0 {
            return 0;
        }
        let ones = |(word, mask): (usize, u64)| u64::from((self.skipped[word] & mask).count_ones());
        words::<WORDS>(self.newest - (count - 1), self.newest)
            .map(ones)
            .sum()
    }
}

fn get<const WORDS: usize>(bits: &[u64; WORDS], number: u64) -> bool {
    bits[word::<WORDS>(number)] & bit(number) != 0
}

fn set<const WORDS: usize>(bits: &mut [u64; WORDS], number: u64) {
    bits[word::<WORDS>(number)] |= bit(number);
}

/// The bits of the numbers `from..=to` as words and masks: what a jump of the source costs each of
/// its slots must not grow with the jump.
fn words<const WORDS: usize>(from: u64, to: u64) -> impl Iterator<Item = (usize, u64)> {
    (from / 64..=to / 64).map(move |index| {
        let low = from.saturating_sub(index * 64);
        let high = (to - index * 64).min(63);
        let mask = (u64::MAX << low) & (u64::MAX >> (63 - high));
        (index as usize % WORDS, mask)
    })
}

fn word<const WORDS: usize>(number: u64) -> usize {
    (number / 64) as usize % WORDS
}

fn bit(number: u64) -> u64 {
    1 << (number % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_bits_of_its_numbers_each_once() {
        for from in [0, 1, 63, 64, 1000, 65_530, (1 << 32) + 127] {
            for len in [1, 2, 63, 64, 65, 128, 1000, 1023, 1024] {
                let mut singly = [0; 16];
                (from..from + len).for_each(|number| set(&mut singly, number));
                let mut together = [0; 16];
                for (word, mask) in words::<16>(from, from + len - 1) {
                    assert_eq!(together[word] & mask, 0);
                    together[word] |= mask;
                }
                assert_eq!(singly, together, "{len} from {from}");
            }
        }
    }
}
