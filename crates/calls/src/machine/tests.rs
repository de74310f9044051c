//! The machine at its door, in virtual time. `rig` is a tenant full of people; the files beside it
//! say one kind of behaviour each.

mod behaviour;
mod centre;
mod chaos;
mod devices;
mod flood;
mod inside;
mod recordings;
mod rig;
mod table;
mod vanish;
