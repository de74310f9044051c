//! Behaviour of the engine at its door, in virtual time: one module per behaviour.

#![expect(clippy::unwrap_used, reason = "tests")]

mod world;

mod bandwidth;
mod codecs;
mod demand;
mod first_call;
mod inspect;
mod keyframe_requests;
mod layers;
mod leaving;
mod moving;
mod muting;
mod opaque_payload;
mod redundancy;
mod relays;
mod reoffers;
mod reports;
mod retransmission;
mod rounds;
mod simulcast;
mod speakers;
mod steady_state;
mod switching;
mod transport_numbers;
mod unknown_streams;
