//! Worker threads: UDP batches, demultiplexing, ICE-lite, DTLS, SRTP and SCTP around one
//! forwarding engine each.

pub mod api;
pub mod srtp;
