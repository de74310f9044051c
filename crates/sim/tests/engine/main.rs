//! What an engine does, seen from outside in virtual time: one file per behaviour.

#![expect(clippy::unwrap_used, reason = "tests")]

mod people;

mod far_away;
mod floods;
mod forwarding;
mod keyframes;
mod lip_sync;
mod long_runs;
mod loss;
mod neighbours;
mod random_relays;
mod random_scripts;
mod reports;
mod speakers;
mod switching;
