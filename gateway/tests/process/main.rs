//! Programs as processes: the gateway, alone and as a fleet, and the examples.
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
#[path = "../../../tests/common/directory.rs"]
mod directory;
#[allow(dead_code)] // Shared with another binary.
#[path = "../../../tests/common/gateway.rs"]
mod process;
#[allow(dead_code)] // Shared with another binary.
#[path = "../../../tests/common/proxy.rs"]
mod proxy;
#[allow(dead_code)] // Shared with another binary.
#[path = "../../../tests/common/redis.rs"]
mod server;
#[allow(dead_code)] // Shared with another binary.
#[path = "../../../tests/common/turns.rs"]
mod turns;

mod crash_recovery;
mod examples;
mod fleet;
mod gateway;
mod keys;
mod wire;
