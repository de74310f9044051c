//! What carriers hand in, and the connections of devices.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{broadcast, mpsc, oneshot};

use super::TenantWebhook;
use super::archive::Archive;
use crate::command::{AdminCommand, Command};
use crate::door::AdminData;
use crate::error::ErrorCode;
use crate::event::{CommandResult, Delivery};
use crate::ids::{DeviceRef, RequestId, TenantId};

/// Messages that may wait for the machine.
pub(super) const INBOX_MAX: usize = 16_384;
/// What may wait for a device that reads slowly.
const OUTGOING_MAX: usize = 512;

/// One entry of the inbox.
pub(super) enum Message {
    Connect {
        device: DeviceRef,
        number: u64,
        outgoing: mpsc::Sender<Outgoing>,
    },
    Disconnect {
        device: DeviceRef,
        number: u64,
    },
    Alive {
        device: DeviceRef,
    },
    Command {
        from: DeviceRef,
        request: RequestId,
        command: Command,
        answer: Option<oneshot::Sender<CommandResult>>,
    },
    Admin {
        tenant: TenantId,
        command: AdminCommand,
        answer: oneshot::Sender<Result<AdminData, ErrorCode>>,
    },
    Barrier(oneshot::Sender<()>),
}

/// What a device is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// The answer to a request of this connection.
    Result {
        /// Which request.
        request: RequestId,
        /// The answer.
        result: CommandResult,
    },
    /// An event.
    Event(Box<Delivery>),
}

/// The door for carriers. Everything is refused with [`ErrorCode::Unavailable`] while the inbox is
/// full.
pub struct CallService {
    inbox: mpsc::Sender<Message>,
    webhooks: broadcast::Sender<TenantWebhook>,
    archive: Arc<dyn Archive>,
    connections: AtomicU64,
    refused: AtomicU64,
}

impl CallService {
    pub(super) fn new(
        inbox: mpsc::Sender<Message>,
        webhooks: broadcast::Sender<TenantWebhook>,
        archive: Arc<dyn Archive>,
    ) -> Self {
        Self {
            inbox,
            webhooks,
            archive,
            connections: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    /// A connection of a device whose user the carrier has verified. An earlier connection of the same
    /// device ends. The device logs in (or comes back) by its first command.
    ///
    /// # Errors
    /// A full inbox.
    pub fn connect(&self, device: DeviceRef) -> Result<Connection, ErrorCode> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed);
        let (outgoing, receiver) = mpsc::channel(OUTGOING_MAX);
        self.put(Message::Connect {
            device: device.clone(),
            number,
            outgoing,
        })?;
        Ok(Connection {
            device,
            number,
            inbox: self.inbox.clone(),
            receiver,
        })
    }

    /// A command whose result is awaited here; its events go to the device's connection.
    pub async fn command(
        &self,
        from: DeviceRef,
        request: RequestId,
        command: Command,
    ) -> CommandResult {
        let (answer, result) = oneshot::channel();
        let sent = self.put(Message::Command {
            from,
            request,
            command,
            answer: Some(answer),
        });
        let failed = |error: ErrorCode| CommandResult {
            error,
            detail: error.meaning().to_owned(),
            data: crate::event::Data::None,
        };
        match sent {
            Ok(()) => result
                .await
                .unwrap_or_else(|_| failed(ErrorCode::ServerInternal)),
            Err(error) => failed(error),
        }
    }

    /// A command of an application server. The carrier has verified that it may.
    ///
    /// # Errors
    /// The machine's refusal; a full inbox.
    pub async fn admin(
        &self,
        tenant: TenantId,
        command: AdminCommand,
    ) -> Result<AdminData, ErrorCode> {
        let (answer, result) = oneshot::channel();
        self.put(Message::Admin {
            tenant,
            command,
            answer,
        })?;
        result.await.map_err(|_| ErrorCode::ServerInternal)?
    }

    /// Returns when what was asked here, and what rooms told, has been carried out so far.
    pub async fn settled(&self) {
        let (done, barrier) = oneshot::channel();
        if self.inbox.send(Message::Barrier(done)).await.is_ok() {
            // The task may have ended with the runtime.
            let _ = barrier.await;
        }
    }

    /// What application servers are to be told. A receiver that lags loses the oldest.
    #[must_use]
    pub fn webhooks(&self) -> broadcast::Receiver<TenantWebhook> {
        self.webhooks.subscribe()
    }

    /// Records of calls.
    #[must_use]
    pub fn archive(&self) -> &Arc<dyn Archive> {
        &self.archive
    }

    /// How many messages were refused because the inbox was full.
    #[must_use]
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn put(&self, message: Message) -> Result<(), ErrorCode> {
        self.inbox.try_send(message).map_err(|_| {
            self.refused.fetch_add(1, Ordering::Relaxed);
            ErrorCode::Unavailable
        })
    }
}

/// One connection of a device. Dropping it without a logout is a loss: the device has the tenant's
/// grace to come back.
pub struct Connection {
    device: DeviceRef,
    number: u64,
    inbox: mpsc::Sender<Message>,
    receiver: mpsc::Receiver<Outgoing>,
}

impl Connection {
    /// Whose.
    #[must_use]
    pub const fn device(&self) -> &DeviceRef {
        &self.device
    }

    /// Asks for something; the answer comes by [`Self::next`].
    ///
    /// # Errors
    /// A full inbox.
    pub fn ask(&self, request: RequestId, command: Command) -> Result<(), ErrorCode> {
        let message = Message::Command {
            from: self.device.clone(),
            request,
            command,
            answer: None,
        };
        self.inbox
            .try_send(message)
            .map_err(|_| ErrorCode::Unavailable)
    }

    /// A sign of life.
    pub fn alive(&self) {
        // The next one comes soon.
        let _ = self.inbox.try_send(Message::Alive {
            device: self.device.clone(),
        });
    }

    /// What comes next; `None` when the connection is over (logged out, turned out, taken over by another
    /// connection of the device, cut because it did not read).
    pub async fn next(&mut self) -> Option<Outgoing> {
        self.receiver.recv().await
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let message = Message::Disconnect {
            device: self.device.clone(),
            number: self.number,
        };
        if let Err(mpsc::error::TrySendError::Full(message)) = self.inbox.try_send(message) {
            // It must not be lost, or the device would seem online for ever.
            let inbox = self.inbox.clone();
            tokio::spawn(async move { inbox.send(message).await });
        }
    }
}
