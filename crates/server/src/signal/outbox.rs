//! Frames on their way to one WebSocket.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::extract::ws::Utf8Bytes;
use tokio::sync::Notify;

/// Most that waits, in bytes. A client that has not read this much is cut.
pub(super) const BYTES_MAX: usize = 1 << 20;

/// A queue bounded in bytes, between a session and one socket's writer.
pub(super) struct Outbox {
    queue: Mutex<Queue>,
    /// Wakes the writer.
    changed: Notify,
    /// Wakes the reader of the same socket, which has nothing more to do.
    ended: Notify,
}

struct Queue {
    frames: VecDeque<Utf8Bytes>,
    bytes: usize,
    closed: bool,
    overflowed: bool,
}

/// The queue is full.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Full;

impl Outbox {
    pub(super) fn new() -> Self {
        Self {
            queue: Mutex::new(Queue {
                frames: VecDeque::new(),
                bytes: 0,
                closed: false,
                overflowed: false,
            }),
            changed: Notify::new(),
            ended: Notify::new(),
        }
    }

    /// Adds a frame. A single one may exceed the limit, so that a large answer gets through to a
    /// client that has read everything before. Frames for a closed box vanish.
    pub(super) fn push(&self, frame: Utf8Bytes) -> Result<(), Full> {
        let mut queue = self.lock();
        if queue.closed {
            return Ok(());
        }
        if queue.bytes > 0 && queue.bytes + frame.len() > BYTES_MAX {
            queue.overflowed = true;
            return Err(Full);
        }
        queue.bytes += frame.len();
        queue.frames.push_back(frame);
        drop(queue);
        self.changed.notify_one();
        Ok(())
    }

    /// Whether a frame was refused ever since: its reader has a gap and is of no use any more.
    pub(super) fn overflowed(&self) -> bool {
        self.lock().overflowed
    }

    /// Takes no more frames; those that wait are still handed out.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
        self.ended.notify_one();
    }

    pub(super) fn is_closed(&self) -> bool {
        self.lock().closed
    }

    /// Waits until the box is closed. For one waiter.
    pub(super) async fn closed(&self) {
        while !self.lock().closed {
            self.ended.notified().await;
        }
    }

    /// The next frame; `None` when the box is closed and empty. For one reader. Cancel-safe.
    pub(super) async fn next(&self) -> Option<Utf8Bytes> {
        loop {
            {
                let mut queue = self.lock();
                if let Some(frame) = queue.frames.pop_front() {
                    queue.bytes -= frame.len();
                    return Some(frame);
                }
                if queue.closed {
                    return None;
                }
            }
            self.changed.notified().await;
        }
    }

    /// A poisoned lock is as good as any: every change under it is complete in itself.
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn frames_come_out_in_order_and_a_closed_box_is_emptied_first() {
        let outbox = Outbox::new();
        outbox.push("a".into()).unwrap();
        outbox.push("b".into()).unwrap();
        outbox.close();
        outbox.push("c".into()).unwrap();
        assert_eq!(outbox.next().await.unwrap().as_str(), "a");
        assert_eq!(outbox.next().await.unwrap().as_str(), "b");
        assert!(outbox.next().await.is_none());
    }

    #[tokio::test]
    async fn a_box_that_nobody_empties_fills_up() {
        let outbox = Outbox::new();
        let frame = Utf8Bytes::from("x".repeat(1024));
        for _ in 0..BYTES_MAX / 1024 {
            outbox.push(frame.clone()).unwrap();
        }
        assert_eq!(outbox.push(frame.clone()), Err(Full));
        outbox.next().await.unwrap();
        outbox.push(frame).unwrap();
    }
}
