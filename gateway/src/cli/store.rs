//! The store that `--store` names.

use std::time::Duration;

use tower_superoffice::{Environment, TenantGateBuilder, store};

use crate::BoxError;

/// The schemes of a Redis server's URL.
const REDIS: [&str; 5] = ["redis", "rediss", "redis+sentinel", "rediss+sentinel", "redis+unix"];

/// Gives `gate` the store that `name` describes.
pub(super) fn open(
    gate: TenantGateBuilder,
    name: &str,
    environment: &Environment,
    connect_timeout: Duration,
) -> Result<TenantGateBuilder, BoxError> {
    if name == "memory" {
        return Ok(gate);
    }
    if let Some(file) = name.strip_prefix("redb:") {
        return Ok(gate.store(store::RedbStore::open(file, environment)?));
    }
    if name.split_once("://").is_some_and(|(scheme, _)| REDIS.contains(&scheme)) {
        let store = store::RedisStore::builder(name, environment).connect_timeout(connect_timeout);
        return Ok(gate.store(store.connect()?));
    }
    // The value is not repeated: it may hold a password.
    Err("--store takes memory, redb:FILE, redis://HOST:PORT[/DB], redis+sentinel://HOST:PORT,..\
         /SERVICE[/DB] or redis+unix:///PATH"
        .into())
}
