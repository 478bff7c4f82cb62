//! The handle: configuration, overrides, waiters, events, health, and the end of its tasks.

mod build;
mod concurrency;
mod events;
mod extremes;
mod forget;
mod gates;
mod lifecycle;
mod network;
mod overrides;
mod ready;
mod replica_events;
mod shutdown;
mod store;
mod store_faults;
mod supervision;
mod traces;
mod unreadable;
mod watch;

use tower_superoffice::{Environment, TenantGate, TenantGateBuilder, token::SigningKeys};

/// Builds a gate of SuperOffice's production that sends no request.
fn builder() -> TenantGateBuilder {
    TenantGate::builder(Environment::Production).state_api(false).signing_keys(keys())
}

fn keys() -> SigningKeys {
    SigningKeys::from_file(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/v1-sha1.crt"))
        .unwrap()
}

async fn gate() -> TenantGate {
    builder().any_audience().build().await.unwrap()
}
