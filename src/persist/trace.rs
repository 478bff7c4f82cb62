//! The span of a merge.

use std::sync::Arc;

use tracing::field::Empty;

use crate::{
    span::{Span, span},
    store::{Store, StoreError},
    tenant_id::TenantId,
};

/// Makes the span of a merge of `tenant`. `store` is called only where there is a span.
pub(super) fn merge_span(
    store: impl Fn() -> Result<Arc<dyn Store>, StoreError>,
    tenant: &TenantId,
) -> Span {
    let name = || store().map(|store| store.name()).unwrap_or_default();
    span!(
        "merge",
        otel.kind = "client",
        db.system.name = system_of(&name()),
        db.operation.name = "merge",
        server.address = server_of(&name()),
        "error.type" = Empty,
        superoffice.tenant = %tenant,
    )
}

/// Returns OpenTelemetry's name of the database, from a store's name: those of our own stores are
/// URLs, or the one word of a medium.
fn system_of(store: &str) -> &str {
    match store.split([':', '+', ' ']).next() {
        Some("rediss") => "redis",
        Some("postgres") => "postgresql",
        first => first.unwrap_or_default(),
    }
}

/// Returns the server, with its port, in a store's name.
fn server_of(store: &str) -> Option<&str> {
    let (_, rest) = store.split_once("://")?;
    rest.split('/').next().filter(|server| !server.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn system_and_server_are_parts_of_a_stores_name() {
        for (name, system, server) in [
            ("memory", "memory", None),
            ("redb:/var/lib/tenants.redb", "redb", None),
            ("redis://10.0.0.1:6379/0", "redis", Some("10.0.0.1:6379")),
            ("rediss://a.example:6379/0", "redis", Some("a.example:6379")),
            ("redis+sentinel://a:1,b:2/primary/0", "redis", Some("a:1,b:2")),
            ("redis+unix:///run/redis.sock?db=0", "redis", None),
            ("postgres://a.example/tenants", "postgresql", Some("a.example")),
            ("", "", None),
        ] {
            assert_eq!((system_of(name), server_of(name)), (system, server), "{name}");
        }
    }
}
