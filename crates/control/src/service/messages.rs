//! Application messages: from a participant or the server to a room or some of it.

use std::collections::BTreeSet;

use bytes::Bytes;
use crosspoint_media::config::{ParticipantId, RoomId};
use crosspoint_transport::api::{Command, DataChannelKind};

use super::rooms::check_len;
use super::state::State;
use crate::api::{ControlError, Message, SessionEvent};
use crate::model::RoomName;

/// Longest topic, in bytes.
const TOPIC_BYTES_MAX: usize = 128;
/// Largest payload, in bytes.
const PAYLOAD_BYTES_MAX: usize = 64 * 1024;

impl State {
    pub(super) fn send_message(
        &mut self,
        room: &RoomName,
        message: Message,
    ) -> Result<(), ControlError> {
        let room_id = self.room_id(room)?;
        let sender = match &message.from {
            Some(identity) => Some(self.member(room, identity)?),
            None => None,
        };
        self.deliver(room_id, sender, message)
    }

    /// A participant's message that came by data channel.
    pub(super) fn on_data(
        &mut self,
        id: ParticipantId,
        channel: DataChannelKind,
        payload: &Bytes,
        text: bool,
    ) {
        let room = self.people.get(&id).map(|participant| participant.room);
        let message = self.config.message_codec.decode(payload, text);
        let outcome = room.zip(message).map(|(room, message)| {
            let message = Message {
                from: self.identity(id),
                reliable: channel == DataChannelKind::Reliable,
                ..message
            };
            self.deliver(room, Some(id), message)
        });
        if !matches!(outcome, Some(Ok(()))) {
            self.counters.messages_dropped += 1;
        }
    }

    fn deliver(
        &mut self,
        room: RoomId,
        sender: Option<ParticipantId>,
        mut message: Message,
    ) -> Result<(), ControlError> {
        check_len("the topic", message.topic.len(), TOPIC_BYTES_MAX)?;
        check_len("the message", message.payload.len(), PAYLOAD_BYTES_MAX)?;
        let may_send = sender
            .and_then(|sender| self.people.get(&sender))
            .is_none_or(|sender| sender.permissions.can_publish_data);
        if !may_send {
            return Err(ControlError::NotPermitted("canPublishData"));
        }
        // Receivers are not told who else is: a copy of a long list for each would be dear.
        let to = std::mem::take(&mut message.to);
        // Once each, however often the sender names them.
        let recipients: BTreeSet<ParticipantId> = match self.rooms.get(&room) {
            None => BTreeSet::new(),
            Some(room) if to.is_empty() => room.members.iter().copied().collect(),
            Some(room) => {
                let known = to.iter().filter_map(|to| room.by_identity.get(to));
                known.copied().collect()
            }
        };
        if let (Some(first), true) = (to.into_iter().next(), recipients.is_empty()) {
            return Err(ControlError::ParticipantNotFound(first));
        }
        let sender_info = sender.and_then(|sender| self.people.get_mut(&sender));
        if sender_info.is_some_and(|sender| !sender.deliveries.take(recipients.len())) {
            return Err(ControlError::TooMany("messages"));
        }
        self.counters.messages += 1;
        // Encoded once, when the first recipient has a channel for it.
        let mut encoded = None;
        for recipient in recipients {
            if Some(recipient) != sender {
                self.deliver_to(recipient, &message, &mut encoded);
            }
        }
        Ok(())
    }

    fn deliver_to(
        &mut self,
        id: ParticipantId,
        message: &Message,
        encoded: &mut Option<(Bytes, bool)>,
    ) {
        let channel = match message.reliable {
            true => DataChannelKind::Reliable,
            false => DataChannelKind::Unreliable,
        };
        let Some(participant) = self.people.get(&id) else {
            return;
        };
        if participant.channels.contains(&channel) {
            let (session, worker) = (participant.session, participant.worker);
            let codec = &self.config.message_codec;
            let (payload, text) = encoded.get_or_insert_with(|| codec.encode(message)).clone();
            let command = Command::SendData {
                session,
                channel,
                payload,
                text,
            };
            self.send(worker, command);
        } else if message.reliable {
            self.tell(id, SessionEvent::Message(message.clone()));
        } else {
            // What may be lost must not fill the queue of what may not.
            self.counters.messages_dropped += 1;
        }
    }
}
