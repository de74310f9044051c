//! What an engine does, seen from outside in virtual time: one file per behaviour.

mod people;

mod floods;
mod forwarding;
mod keyframes;
mod lip_sync;
mod long_runs;
mod loss;
mod switching;
