//! The HTTP API: what a request becomes, and what becomes of the outcome.

#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../common/mod.rs"]
mod common;
mod development;
mod operation;
mod pages;
mod refusals;
mod requests;
