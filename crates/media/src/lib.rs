//! The sans-IO forwarding engine: packets, commands and time in; packets, events and a next
//! timeout out.
//!
//! One [`Engine`](engine::Engine) belongs to one worker thread. It knows sessions, the tracks
//! they publish, the rooms these are in, and the **slots** through which a session receives:
//! continuous outgoing RTP streams whose source is data, not SDP. It reads no clock, opens no
//! socket, spawns no thread and speaks no JSON; it is not a WebRTC stack either: ICE, DTLS and
//! SRTP are done when a packet comes here, and not yet when one leaves.
//!
//! The contract in one loop: any number of inputs, then [`flush`](engine::Engine::flush), then
//! [`poll_event`](engine::Engine::poll_event) until there is none.
//!
//! ```
//! use crosspoint_media::command::Command;
//! use crosspoint_media::config::*;
//! use crosspoint_media::engine::Engine;
//! use crosspoint_media::sink::PacketSink;
//! use crosspoint_wire::time::Time;
//!
//! /// Drops what it is given.
//! struct Nowhere;
//! impl PacketSink for Nowhere {
//!     fn rtp(&mut self, _: SessionKey, _: u64, _: usize, _: impl FnOnce(&mut [u8]) -> usize) {}
//!     fn rtcp(&mut self, _: SessionKey, _: &[u8]) {}
//!     fn relay(&mut self, _: RelayId, _: impl Fn(&mut Vec<u8>)) {}
//! }
//!
//! let now = Time::from_millis(5);
//! let mut engine = Engine::new(EngineConfig::default());
//! let (room, session) = (RoomId(1), SessionId(1));
//! let config = RoomConfig { top_audio: Some(3), home: true };
//! engine.handle_command(now, Command::PutRoom { room, config })?;
//! engine.handle_command(now, Command::PutSession {
//!     session,
//!     participant: ParticipantId(1),
//!     room,
//!     config: SessionConfig::default(),
//!     auto_subscribe: true,
//! })?;
//! let key = engine.open_session(session);
//! engine.set_connected(now, key, true);
//! engine.handle_rtp(now, key, b"no RTP");
//! engine.flush(now, &mut Nowhere);
//! assert_eq!(engine.poll_event(), None);
//! assert_eq!(engine.counters().rtp_malformed, 1);
//! # Ok::<(), crosspoint_media::command::CommandError>(())
//! ```

pub mod command;
pub mod config;
pub mod counters;
pub mod engine;
pub mod event;
pub mod explain;
pub mod inspect;
pub mod sink;
pub mod tap;

mod allocate;
mod assign;
mod cache;
mod egress;
mod encoding;
mod estimate;
mod facts;
mod keyframe;
mod ladder;
mod layer;
mod meter;
mod nack;
mod pacer;
mod quality;
mod redundancy;
mod relay;
mod remb;
mod report;
mod reporting;
mod rewriter;
mod room;
mod select;
mod sent_log;
mod session;
mod slab;
mod slot;
mod speaker;
mod tally;
mod timers;
mod track;
mod twcc;
