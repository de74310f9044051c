//! Worker threads: UDP batches, demultiplexing, ICE-lite, DTLS, SRTP and SCTP around one
//! forwarding engine each.
//!
//! [`Transport`] is the whole of it as the control plane sees it: [`api::Command`]s go in,
//! [`api::Event`]s come out, and between a peer's sockets and the engines no other thread has a
//! hand. Each worker has its own sockets, sessions and engine; workers share bounded queues only.
//!
//! This crate has all media sockets. It does not know rooms' policies, SDP, HTTP or JSON.

pub mod api;
pub mod dtls;
pub mod sctp;
pub mod srtp;
pub mod udp;

mod demux;
mod ice;
mod path;
mod session;
mod tcp;
#[cfg(test)]
mod testing;
mod transport;
mod worker;

pub use transport::Transport;
