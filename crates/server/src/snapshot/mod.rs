//! Still pictures of video tracks: their newest keyframe, as a file for browsers.
//!
//! Nothing is tapped while nobody asks: the keyframe comes out of the engine's cache for
//! retransmissions, and is asked for when that has none. A VP8 keyframe *is* a WebP picture; all else
//! is put into a file of one frame and decoded by ffmpeg ([`decoder`]), in a process of its own, so that
//! what a stranger's encoder made meets no decoder in this one.

pub(crate) mod moderation;

mod decoder;

use std::time::Duration;

use axum::http::StatusCode;
use bytes::Bytes;
use crosspoint_control::api::RoomControl;
use crosspoint_control::model::{RoomName, TrackSid};
use crosspoint_record::still;
use crosspoint_wire::codec::{Codec, MediaKind};
use crosspoint_wire::payload::vp8::Vp8;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;
use utoipa::ToSchema;

use self::decoder::DecodeError;
use crate::http::problem::Problem;

/// An older keyframe is not shown: a fresh one is asked for.
const AGE_MAX: Duration = Duration::from_secs(2);

/// How long a publisher may take to send one.
const PATIENCE: Duration = Duration::from_secs(4);

/// Pictures that are decoded at the same time.
const DECODERS_MAX: usize = 2;

/// Pictures that are decoded or wait for it: each holds a keyframe, and nobody waits long for one.
const PICTURES_MAX: usize = 16;

/// What a picture is written as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum PictureFormat {
    #[default]
    Webp,
    Jpeg,
    Png,
}

impl PictureFormat {
    /// Its media type.
    pub(crate) const fn mime(self) -> &'static str {
        match self {
            Self::Webp => "image/webp",
            Self::Jpeg => "image/jpeg",
            Self::Png => "image/png",
        }
    }
}

/// Takes pictures, few at a time.
pub(crate) struct Snapshots {
    places: Semaphore,
    decoders: Semaphore,
}

impl Default for Snapshots {
    fn default() -> Self {
        Self {
            places: Semaphore::new(PICTURES_MAX),
            decoders: Semaphore::new(DECODERS_MAX),
        }
    }
}

impl Snapshots {
    /// A picture of a track as it is now.
    pub(crate) async fn take(
        &self,
        control: &dyn RoomControl,
        room: &RoomName,
        track: &TrackSid,
        format: PictureFormat,
    ) -> Result<Bytes, Problem> {
        let owners = control.participants(room).await?;
        let known = owners.iter().flat_map(|who| &who.tracks);
        let info = known.into_iter().find(|info| info.sid == *track);
        if info.is_some_and(|info| info.kind != MediaKind::Video) {
            return Err(not_video());
        }
        let found = control.keyframe(room, track, AGE_MAX, PATIENCE).await?;
        let keyframe = found.ok_or_else(no_keyframe)?;
        if keyframe.codec == Codec::Vp8 && format == PictureFormat::Webp {
            let frame = vp8_frame(&keyframe.packets).ok_or_else(unreadable)?;
            return webp(&frame).map(Bytes::from).ok_or_else(unreadable);
        }
        let file = still(keyframe.codec, &keyframe.packets).ok_or_else(unreadable)?;
        let _place = self.places.try_acquire().map_err(|_| overloaded())?;
        // Closed never.
        let _turn = self.decoders.acquire().await;
        decoder::decode(&file, format)
            .await
            .map_err(|error| match error {
                DecodeError::Missing => decoder_missing(),
                DecodeError::Failed => unreadable(),
            })
    }
}

/// The frame that these packets carry (RFC 7741).
fn vp8_frame(packets: &[Vec<u8>]) -> Option<Vec<u8>> {
    let mut frame = Vec::new();
    for payload in packets {
        let descriptor_len = Vp8::parse(payload).ok()?.descriptor_len;
        frame.extend_from_slice(payload.get(usize::from(descriptor_len)..)?);
    }
    Some(frame)
}

/// A VP8 keyframe in the simple file format of RFC 9649 §2.5.
fn webp(frame: &[u8]) -> Option<Vec<u8>> {
    let padding = frame.len() % 2;
    let chunk_len = u32::try_from(frame.len()).ok()?;
    let riff_len = chunk_len.checked_add(12 + padding as u32)?;
    let mut file = Vec::with_capacity(frame.len() + 21);
    file.extend(b"RIFF");
    file.extend(riff_len.to_le_bytes());
    file.extend(b"WEBPVP8 ");
    file.extend(chunk_len.to_le_bytes());
    file.extend(frame);
    file.extend(&[0][..padding]);
    Some(file)
}

fn not_video() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "not_video",
        "The track has no pictures",
        "only video tracks have snapshots",
    )
}

fn no_keyframe() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "no_keyframe",
        "There is no picture now",
        "the publisher sent no keyframe although it was asked; it may be muted or away",
    )
}

fn unreadable() -> Problem {
    Problem::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "picture_unreadable",
        "The picture cannot be decoded",
        "the publisher's keyframe is not one that a decoder takes; it may be encrypted end to end",
    )
}

fn decoder_missing() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "decoder_missing",
        "There is no decoder",
        "install ffmpeg on the server; without it there is only format=webp of VP8 tracks",
    )
}

fn overloaded() -> Problem {
    Problem::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "overloaded",
        "The server is overloaded",
        "too many pictures are being made; try again in a moment",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_webp_file_has_even_chunks_and_says_its_length() {
        let file = webp(&[1, 2, 3]).unwrap();
        assert_eq!(file.len(), 24);
        assert_eq!(file[..4], *b"RIFF");
        assert_eq!(u32::from_le_bytes(file[4..8].try_into().unwrap()), 16);
        assert_eq!(u32::from_le_bytes(file[16..20].try_into().unwrap()), 3);
        assert_eq!(file[20..], [1, 2, 3, 0]);
        assert_eq!(webp(&[1, 2]).unwrap().len(), 22);
    }
}
