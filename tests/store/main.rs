//! The stores: the contract that all keep, and what each does when its medium fails.
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

mod conformance;
mod disk;
mod events;
mod figures;
mod memory;
mod postgres;
mod power_cut;
mod redb;
mod redis;
mod unreadable;
