//! The server: configuration, HTTP, signalling, WHIP and WHEP, webhooks, metrics, wiring.
//!
//! All front doors end at [`RoomControl`](crosspoint_control::api::RoomControl): a request is
//! authenticated ([`auth`]), translated ([`http`], [`signal`], [`whip`]) and handed over. No rule about
//! rooms is decided here. The binary `crosspoint` is a thin shell around [`server::Server`], which
//! whole-server tests start in process.

pub mod app;
pub mod auth;
pub mod config;
pub mod development;
pub mod http;
pub mod recordings;
pub mod server;
pub mod tls;

mod calls;
mod media;
mod messages;
mod records;
mod report;
mod signal;
mod snapshot;
mod sockets;
mod telemetry;
mod text;
mod webhook;
mod whip;

pub use server::{RunningServer, Server};
