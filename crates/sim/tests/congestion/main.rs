//! Congestion control of subscribers, at the engine's door in virtual time: plans after RFC 8867,
//! a publisher of three layers, viewers behind one bottleneck, twenty seeds each.
//!
//! `SIM_SEEDS=100` tries more seeds, `SIM_FIRST_SEED=7` others, `SIM_PLOT_DIR=dir` draws each plan's first seed as an SVG.

mod cellular;
mod chart;
mod narrow;
mod plan;
mod rfc8867;
