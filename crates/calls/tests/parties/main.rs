//! Several people on one call machine, each speaking a dialect as its façade does: what one does is
//! what the others hear. Virtual time; media is up as soon as a client has its grant.

#![expect(clippy::unwrap_used, reason = "tests")]

mod emic;
mod house;
mod jrtc;
mod rong;
mod snk;
