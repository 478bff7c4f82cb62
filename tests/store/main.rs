//! The stores: the contract that all keep, and what each does when its medium fails.
//!
//! Which behaviour is tested where: `tests/README.md`.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs
)]

#[allow(dead_code)] // Shared with another binary.
#[path = "../common/directory.rs"]
mod directory;
#[allow(dead_code)] // Shared with another binary.
#[path = "../common/disk.rs"]
mod disk;
#[allow(dead_code)] // Shared with another binary.
#[path = "../common/proxy.rs"]
mod proxy;
#[allow(dead_code)] // Shared with another binary.
#[path = "../common/redis.rs"]
mod server;

mod conformance;
mod figures;
mod memory;
mod power_cut;
mod redb;
mod redis;
