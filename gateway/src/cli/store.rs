//! The store that `--store` names.

mod postgres;

use std::time::Duration;

use tower_superoffice::{
    Environment, TenantGateBuilder,
    store::{self, Store},
};

use crate::BoxError;

/// The schemes of a PostgreSQL server's URL.
const POSTGRES: [&str; 2] = ["postgres", "postgresql"];

/// The schemes of a Redis server's URL.
const REDIS: [&str; 5] = ["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+unix"];

/// The settings of a store, besides its name.
pub(super) struct Settings<'a> {
    pub(super) environment: &'a Environment,
    /// Whether no other environment has the same `--store`.
    pub(super) is_alone: bool,
    /// The store's default when there is none.
    pub(super) connect_timeout: Option<Duration>,
    /// Certificates of authorities that are trusted besides the public ones.
    pub(super) authorities: Option<&'a [u8]>,
}

/// Gives `gate` the store that `name` describes, and returns the store's name without a password.
pub(super) fn open(
    gate: TenantGateBuilder,
    name: &str,
    settings: Settings<'_>,
) -> Result<(TenantGateBuilder, String), BoxError> {
    let Settings { environment, is_alone, connect_timeout, authorities } = settings;
    if name == "memory" {
        return Ok((gate, name.to_owned()));
    }
    if let Some(file) = name.strip_prefix("redb:") {
        // Only one store can open a file.
        let file = match is_alone {
            true => file.to_owned(),
            false => format!("{file}.{}", environment.name()),
        };
        let store = store::RedbStore::open(file, environment)?;
        let name = store.name();
        return Ok((gate.store(store), name));
    }
    if name.split_once("://").is_some_and(|(scheme, _)| REDIS.contains(&scheme)) {
        let mut store = store::RedisStore::builder(name, environment);
        if let Some(timeout) = connect_timeout {
            store = store.connect_timeout(timeout);
        }
        if let Some(pem) = authorities {
            store = store.extra_roots(pem);
        }
        let store = store.connect()?;
        let name = store.name();
        return Ok((gate.store(store), name));
    }
    if name.split_once("://").is_some_and(|(scheme, _)| POSTGRES.contains(&scheme)) {
        let url = postgres::complete(name, |variable| std::env::var(variable).ok())?;
        let mut store = store::PostgresStore::builder(url, environment);
        if let Some(timeout) = connect_timeout {
            store = store.connect_timeout(timeout);
        }
        if let Some(pem) = authorities {
            store = store.extra_roots(pem);
        }
        let store = store.connect()?;
        let name = store.name();
        return Ok((gate.store(store), name));
    }
    // The value is not repeated: it may hold a password.
    Err("--store takes memory, redb:FILE, redis://HOST:PORT[/DB], redis+sentinel://HOST:PORT,..\
         /SERVICE[/DB], redis+unix:///PATH or postgres://USER@HOST[:PORT]/DATABASE"
        .into())
}
