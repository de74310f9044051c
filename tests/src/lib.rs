//! Harness of the whole-server tests: a server in this process, and WHIP/WHEP clients made of the
//! `webrtc` crate, which shares no code with Crosspoint.

pub mod caller;
pub mod client;
pub mod relay;
pub mod server;
