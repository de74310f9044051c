//! Behaviour of the engine at its door, in virtual time: one module per behaviour.

mod world;

mod first_call;
