//! The sans-IO forwarding engine: packets, commands and time in; packets, events and a next
//! timeout out.
//!
//! One [`Engine`](engine::Engine) belongs to one worker thread. It knows sessions, the tracks they publish,
//! the rooms these are in, and the **slots** through which a session receives: continuous
//! outgoing RTP streams whose source is data, not SDP. It reads no clock, opens no socket,
//! spawns no thread and speaks no JSON.

pub mod command;
pub mod config;
pub mod counters;
pub mod engine;
pub mod event;
pub mod sink;

mod assign;
mod cache;
mod egress;
mod encoding;
mod facts;
mod keyframe;
mod nack;
mod relay;
mod remb;
mod report;
mod reporting;
mod rewriter;
mod room;
mod sent_log;
mod session;
mod slab;
mod slot;
mod speaker;
mod timers;
mod track;
mod twcc;
