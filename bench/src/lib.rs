//! The load generator: many WebRTC clients in one process, and what they and the server cost.
//!
//! It is the command `crosspoint load`, and what `cargo xtask bench` measures with. Clients speak
//! real ICE, DTLS and SRTP on a socket each ([`peer`]), live on few threads ([`pool`]), come in by
//! WHIP and WHEP, Crosspoint's signalling or Janus's ([`door`]), in numbers and roles that a
//! [`scenario`] gives, and [`run`] measures what becomes of it. [`verbs`] measures
//! signalling alone, calls without media. [`floor`] measures the least that the
//! same work can cost.
//!
//! It shares the SRTP and UDP modules with the server, so that a packet costs it less than it costs
//! the server. Whether the server speaks the protocols right is not proved here but by the browsers
//! and independent clients of `tests`.

pub mod access;
pub mod clip;
pub mod clock;
pub mod door;
pub mod floor;
pub mod load;
pub mod outcome;
pub mod peer;
pub mod pool;
pub mod recording;
pub mod report;
pub mod run;
pub mod scenario;
pub mod sdp;
pub mod subject;
pub mod suite;
pub mod tally;
pub mod verbs;
pub mod versus;
pub mod watch;
