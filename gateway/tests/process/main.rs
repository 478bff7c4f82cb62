//! Programs as processes: the gateway, alone and as a fleet, and the examples.
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

mod authorities;
mod best_effort_logs;
mod clocks;
mod commands;
mod configuration;
mod connections;
mod crash_recovery;
mod environments;
mod events;
mod examples;
mod flags;
mod fleet;
mod gateway;
mod javascript;
mod keys;
mod logs;
mod lying_server;
mod metrics;
mod monitoring;
mod nginx;
mod openapi;
mod orders;
mod page;
mod paths;
mod process;
mod rehearsal;
mod routes;
mod script;
mod shared_server;
mod shutdown;
#[cfg(unix)]
mod supervisor;
mod tenant_list;
mod tenant_page;
mod unreadable;
mod wire;
