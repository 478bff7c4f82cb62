//! Set-ups that the integration tests share: a gate with a simulated SuperOffice, Redis and
//! PostgreSQL servers, a network that fails, a browser, and waiting for a condition.
//!
//! Set-ups of one test binary stay with that binary. `tests/README.md` maps behaviours to modules.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stderr
)]

mod amount;
mod browser;
mod directory;
mod env;
mod gate;
pub mod night;
mod postgres_server;
mod proxy;
mod records;
mod redis_server;
mod small_disk;
mod tools;
mod wait;
mod wrapped_store;

pub use self::{
    amount::amount,
    browser::Browser,
    directory::Directory,
    env::{Clock, TestEnv, gate_builder_on, simulator_at_own_host, simulator_on, tokio_clock},
    gate::{
        call_to, gate_builder, gate_builder_of, gate_with_closed, operator_gate, post, refusal,
        tenant, tenant_number,
    },
    postgres_server::{PostgresServer, Session, postgres_installed},
    proxy::{Network, Proxy},
    records::suspended,
    redis_server::{RedisServer, RedisVersion, free_port},
    small_disk::SmallDisk,
    tools::{certificates, installed, libfaketime, openssl, promtool, skip, skip_without},
    wait::{MAX_WAIT, until, within},
    wrapped_store::{Wrap, Wrapped},
};
