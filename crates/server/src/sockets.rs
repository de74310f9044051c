//! WebSockets of which a stopping server takes leave: it has them send what waits, and does not go
//! before they have.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

/// How long last words may take. Who does not read them by then is not waited for.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// The sockets of those who have come in, of signalling and of calls.
pub(crate) struct Sockets {
    open: watch::Sender<usize>,
    closing: watch::Sender<bool>,
}

/// Counts a socket as long as it lives.
pub(crate) struct Open(Arc<Sockets>);

impl Sockets {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            open: watch::Sender::new(0),
            closing: watch::Sender::new(false),
        })
    }

    /// Takes note of a socket.
    pub(crate) fn open(self: &Arc<Self>) -> Open {
        self.open.send_modify(|open| *open += 1);
        Open(Arc::clone(self))
    }

    /// Has sockets close when they have sent what waits, and waits for that, but not for long.
    pub(crate) async fn close(&self) {
        self.closing.send_replace(true);
        let mut open = self.open.subscribe();
        let closed = open.wait_for(|open| *open == 0);
        let _ = tokio::time::timeout(LAST_WORDS, closed).await;
    }
}

impl Open {
    /// Ends when the socket shall close.
    pub(crate) async fn closing(&self) {
        // The sender is in what `self` holds.
        let _ = self
            .0
            .closing
            .subscribe()
            .wait_for(|closing| *closing)
            .await;
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.send_modify(|open| *open -= 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_stopping_server_waits_for_its_sockets_but_not_for_ever() {
        let sockets = Sockets::new();
        let begun = tokio::time::Instant::now();
        let polite = sockets.open();
        let leaving = tokio::spawn(async move {
            polite.closing().await;
            tokio::time::sleep(Duration::from_millis(300)).await;
        });
        sockets.close().await;
        assert!(leaving.is_finished());
        assert!(begun.elapsed() < LAST_WORDS);

        let _deaf = sockets.open();
        sockets.close().await;
        assert!(begun.elapsed() >= LAST_WORDS);
    }
}
