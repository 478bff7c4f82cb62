//! The library as a user has it, in one process: gate, layers and simulator.
//!
//! `tests/README.md` maps behaviours to modules.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]

mod auto_traits;
mod client;
mod endpoint;
mod gate;
mod guard;
mod metrics;
mod notification;
mod pull;
mod simulator;
mod time;
