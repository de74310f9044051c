//! Calls: who rings whom, who may hear whom, and when it ends.
//!
//! The machine is a sans-IO state machine: commands, media news and time in; events, results and
//! wishes about media out. It reaches media only by [`MediaAction`](media::MediaAction)s, which
//! the service carries out through `crosspoint_control::api::RoomControl`. The vocabulary
//! ([`command`], [`event`], [`reason`], [`error`], [`model`], [`policy`]) is closed: four dialects
//! are pure codecs between it and the words of four call systems.
//!
//! | module | what |
//! |---|---|
//! | `ids`, `model`, `command`, `event`, `error`, `reason`, `policy`, `media`, `record`, `door` | the vocabulary |
//! | `machine` | the rules |
//! | `dialect` | codecs: native (JSON of the vocabulary) and the four systems |
//! | `service` | one task that runs a machine against `RoomControl` |

pub mod command;
pub mod dialect;
pub mod door;
pub mod error;
pub mod event;
pub mod ids;
pub mod machine;
pub mod media;
pub mod model;
pub mod policy;
pub mod reason;
pub mod record;
pub mod service;
