//! What a client was told but may not have heard.

use std::collections::VecDeque;

use axum::extract::ws::Utf8Bytes;

/// Most that is kept, in bytes.
const BYTES_MAX: usize = 1 << 20;

/// Numbered frames, kept until the client is known to have them or they are too many.
pub(super) struct Replay {
    frames: VecDeque<Utf8Bytes>,
    bytes: usize,
    /// Number of the first kept frame; of the next one when none is kept.
    first: u64,
}

impl Replay {
    pub(super) fn new() -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            first: 1,
        }
    }

    /// Number that the next frame gets.
    pub(super) fn next_seq(&self) -> u64 {
        let kept = u64::try_from(self.frames.len()).unwrap_or(u64::MAX);
        self.first.saturating_add(kept)
    }

    /// Keeps a frame that carries [`next_seq`](Self::next_seq).
    pub(super) fn push(&mut self, frame: Utf8Bytes) {
        self.bytes += frame.len();
        self.frames.push_back(frame);
        while self.bytes > BYTES_MAX {
            self.drop_first();
        }
    }

    /// The client has everything up to and with `seq`.
    pub(super) fn acknowledge(&mut self, seq: u64) {
        while self.first <= seq && !self.frames.is_empty() {
            self.drop_first();
        }
    }

    /// What came after `seq`; `None` when some of it is not kept any more, or was never sent.
    pub(super) fn after(&self, seq: u64) -> Option<impl Iterator<Item = &Utf8Bytes>> {
        let from = seq.checked_add(1)?;
        if from < self.first || from > self.next_seq() {
            return None;
        }
        let skip = usize::try_from(from - self.first).ok()?;
        Some(self.frames.iter().skip(skip))
    }

    fn drop_first(&mut self) {
        if let Some(frame) = self.frames.pop_front() {
            self.bytes -= frame.len();
            self.first += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(count: usize, size: usize) -> Replay {
        let mut replay = Replay::new();
        for _ in 0..count {
            let text = format!("{:0size$}", replay.next_seq());
            replay.push(text.into());
        }
        replay
    }

    fn numbers(replay: &Replay, after: u64) -> Option<Vec<u64>> {
        let frames = replay.after(after)?;
        Some(frames.map(|f| f.as_str().parse().unwrap()).collect())
    }

    #[test]
    fn what_came_after_is_replayed_in_order() {
        let replay = filled(5, 1);
        assert_eq!(numbers(&replay, 3), Some(vec![4, 5]));
        assert_eq!(numbers(&replay, 0), Some(vec![1, 2, 3, 4, 5]));
        assert_eq!(numbers(&replay, 5), Some(vec![]));
    }

    #[test]
    fn a_number_that_was_never_sent_is_refused() {
        let replay = filled(5, 1);
        assert_eq!(numbers(&replay, 6), None);
        assert_eq!(numbers(&replay, u64::MAX), None);
    }

    #[test]
    fn acknowledged_frames_are_let_go() {
        let mut replay = filled(5, 1);
        replay.acknowledge(3);
        assert_eq!(numbers(&replay, 2), None);
        assert_eq!(numbers(&replay, 3), Some(vec![4, 5]));
        replay.acknowledge(u64::MAX);
        assert_eq!(replay.bytes, 0);
        assert_eq!(replay.next_seq(), 6);
    }

    #[test]
    fn no_more_than_the_limit_is_kept() {
        let replay = filled(200, 10_000);
        assert!(replay.bytes <= BYTES_MAX);
        assert_eq!(numbers(&replay, 0), None);
        assert_eq!(numbers(&replay, 198), Some(vec![199, 200]));
    }
}
