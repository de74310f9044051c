//! A world in which an [`Engine`](crosspoint_media::engine::Engine) can be watched for hours in a
//! second: a virtual clock, emulated links, synthetic publishers and receivers that speak plain
//! RTP and RTCP.
//!
//! [`World`] owns everything and always runs the earliest event, so a run depends on nothing but
//! its script and one seed; every panic of a test names that seed. Peers are written from the
//! RFCs and share no code with the engine beyond `wire`'s formats: their jitter buffer, their
//! NACKs and reports are their own.
//!
//! For tests only. Not a model of any browser's congestion control or encoder.

pub mod link;
pub mod media;
pub mod peer;
pub mod publisher;
pub mod receiver;
pub mod rng;
pub mod world;

pub use link::{Link, LinkConfig, Loss};
pub use peer::{Peer, PeerConfig};
pub use world::World;
