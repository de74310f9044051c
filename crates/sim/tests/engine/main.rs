//! What an engine does, seen from outside in virtual time: one file per behaviour.

mod people;

mod forwarding;
mod keyframes;
mod loss;
