//! Bytes to types, and the units they are counted in.
//!
//! This crate knows the formats that travel between Crosspoint and its peers: RTP headers and
//! header extensions, payload descriptors of VP8, VP9, H264 and AV1, RTCP, STUN and SDP.
//! It holds no state, reads no clock, does no IO and, on the packet path, allocates nothing:
//! views borrow the datagram and rewriting happens in place.
//!
//! It is *not* a WebRTC stack: sessions, repair and forwarding live in `crosspoint-media`,
//! sockets and encryption in `crosspoint-transport`.
//!
//! Every parser here accepts any byte sequence without panicking; malformed input is a
//! [`ParseError`], never a partial result that looks whole.

#![deny(clippy::indexing_slicing)]

pub mod codec;
pub mod dd;
pub mod ext;
#[doc(hidden)]
pub mod fuzzing;
pub mod ids;
pub mod num;
pub mod payload;
pub mod rtcp;
pub mod rtp;
pub mod sdp;
pub mod stun;
pub mod time;

mod bits;
mod error;
pub use error::{BufferFull, ParseError};
