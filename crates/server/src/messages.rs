//! Application messages as they stand in JSON: over HTTP, in signalling and on data channels.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use crosspoint_control::api::{Message, MessageCodec};
use crosspoint_control::model::Identity;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::http::path::identity_of;
use crate::http::problem::Problem;

/// An application message: `text`, or `data` in base64.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MessageDto {
    /// Identities; empty: everyone in the room.
    #[serde(default)]
    to: Vec<String>,
    /// At most 128 bytes.
    #[serde(default)]
    topic: String,
    /// At most 64 KiB.
    #[serde(default)]
    text: Option<String>,
    /// Base64 of at most 64 KiB.
    #[serde(default)]
    data: Option<String>,
    #[serde(default = "yes")]
    reliable: bool,
}

const fn yes() -> bool {
    true
}

/// A message as its receivers read it.
#[derive(Debug, Serialize)]
pub(crate) struct ReceivedDto {
    /// `null`: the server.
    from: Option<String>,
    topic: String,
    #[serde(flatten)]
    payload: Payload,
    reliable: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Payload {
    Text(String),
    Data(String),
}

/// How messages look on data channels: as in signalling.
pub(crate) struct JsonMessages;

impl MessageDto {
    /// The message as from `from`.
    ///
    /// # Errors
    /// A name that is none, both or neither of `text` and `data`, or no base64.
    pub(crate) fn from(self, from: Option<Identity>) -> Result<Message, Problem> {
        let (payload, text) = match (self.text, self.data) {
            (Some(text), None) => (Bytes::from(text), true),
            (None, Some(data)) => {
                let data = STANDARD.decode(data).map_err(|_| {
                    Problem::bad_request("invalid_value", "`data` must be base64 (RFC 4648 §4)")
                })?;
                (Bytes::from(data), false)
            }
            _ => {
                let detail = "give one of `text` and `data`";
                return Err(Problem::bad_request("invalid_value", detail));
            }
        };
        let to = self.to.iter().map(|name| identity_of(name));
        Ok(Message {
            from,
            to: to.collect::<Result<_, _>>()?,
            topic: self.topic,
            payload,
            text,
            reliable: self.reliable,
        })
    }
}

impl From<&Message> for ReceivedDto {
    fn from(message: &Message) -> Self {
        let payload = if message.text {
            // Text came from JSON or from a text frame, so it is UTF-8 already.
            let text: Cow<'_, str> = String::from_utf8_lossy(&message.payload);
            Payload::Text(text.into_owned())
        } else {
            Payload::Data(STANDARD.encode(&message.payload))
        };
        Self {
            from: message.from.as_ref().map(ToString::to_string),
            topic: message.topic.clone(),
            payload,
            reliable: message.reliable,
        }
    }
}

impl MessageCodec for JsonMessages {
    fn encode(&self, message: &Message) -> (Bytes, bool) {
        // A plain struct with text keys cannot fail to serialise.
        let json = serde_json::to_vec(&ReceivedDto::from(message)).unwrap_or_default();
        (json.into(), true)
    }

    fn decode(&self, payload: &Bytes, _text: bool) -> Option<Message> {
        let dto: MessageDto = serde_json::from_slice(payload).ok()?;
        dto.from(None).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(json: &str) -> Option<Message> {
        JsonMessages.decode(&Bytes::copy_from_slice(json.as_bytes()), true)
    }

    #[test]
    fn text_goes_through_a_data_channel() {
        let sent = decoded(r#"{"topic":"chat","text":"hi","to":["bob"]}"#).unwrap();
        assert_eq!((sent.to.len(), sent.text, sent.reliable), (1, true, true));
        let message = Message {
            from: Identity::new("alice"),
            ..sent
        };
        let (json, text) = JsonMessages.encode(&message);
        assert!(text);
        assert_eq!(
            json,
            r#"{"from":"alice","topic":"chat","text":"hi","reliable":true}"#
        );
    }

    #[test]
    fn binary_data_is_base64() {
        let message = decoded(r#"{"topic":"x","data":"AP8=","reliable":false}"#).unwrap();
        assert_eq!(message.payload.as_ref(), [0, 255]);
        assert!(!message.text && !message.reliable);
    }

    #[test]
    fn what_is_not_a_message_is_none() {
        for json in [
            "",
            "[]",
            "null",
            r#"{"topic":"x"}"#,
            r#"{"text":"a","data":"AA=="}"#,
            r#"{"data":"not base64"}"#,
            r#"{"text":"a","to":[""]}"#,
            r#"{"text":"a","from":"mallory"}"#,
        ] {
            assert_eq!(decoded(json), None, "{json}");
        }
    }
}
