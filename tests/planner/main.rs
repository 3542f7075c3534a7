//! The planner's rules, a file for each question. One binary: it is compiled once, with the optimisation that the model
//! checker needs.

#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)] // A test fails by panicking.

mod autoscaling;
mod campaigns;
mod convergence;
mod crash;
mod database;
mod deletion;
mod drift;
mod examples;
mod fleet;
mod network;
mod pinning;
mod properties;
mod refusals;
mod rehearsal;
mod rendering;
mod sharing;
mod simulate;
mod support;
mod telling;
mod unwanted;
mod upgrade;
