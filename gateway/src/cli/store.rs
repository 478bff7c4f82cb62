//! The store that `--store` names.

use tower_superoffice::{Environment, TenantGateBuilder, store};

use crate::BoxError;

/// Gives `gate` the store that `name` describes.
pub(super) fn open(
    gate: TenantGateBuilder,
    name: &str,
    environment: &Environment,
) -> Result<TenantGateBuilder, BoxError> {
    if name == "memory" {
        return Ok(gate);
    }
    if let Some(file) = name.strip_prefix("redb:") {
        return Ok(gate.store(store::RedbStore::open(file, environment)?));
    }
    if name.starts_with("redis://") || name.starts_with("rediss://") {
        return Ok(gate.store(store::RedisStore::connect(name, environment)?));
    }
    Err("--store takes memory, redb:FILE or redis://HOST:PORT[/DB]".into())
}
