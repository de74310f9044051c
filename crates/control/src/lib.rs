//! The room-control API: rooms, participants, permissions, SDP answers, events.
//!
//! [`RoomControl`](api::RoomControl) is the only way to change a room. HTTP, WHIP, the WebSocket
//! signalling, call dialects, the cluster and tests all enter here. This crate knows no HTTP, no
//! JSON and no tokens: callers arrive with verified grants and typed requests.

pub mod api;
mod error;
#[doc(hidden)]
pub mod fuzzing;
pub mod model;
pub mod negotiate;
pub mod quality;
pub mod report;
pub mod service;
pub mod shared;
