//! The answers of the routes, as JSON.

use serde_json::{Value, json};
use tower_superoffice::simulator::{ClosedCall, TenantSummary};

use crate::driver::{Chosen, Driver, Place};

/// Calls to closed tenants that are listed.
const CLOSED_CALLS: usize = 20;

pub(super) fn tenant_json(tenant: &TenantSummary) -> Value {
    json!({
        "tenant": tenant.id().as_str(),
        "state": tenant.state(),
        "running": tenant.is_running(),
        "host": tenant.host(),
        "calls": tenant.calls(),
        "calls_while_closed": tenant.calls_while_closed(),
        "misdirected_calls": tenant.misdirected_calls(),
        "state_requests": tenant.state_requests(),
    })
}

pub(super) fn fault_json(driver: &Driver, place: Place) -> Value {
    let fault = driver.fault(place);
    let value = fault.as_ref().and_then(|fault| fault.value.as_deref());
    let kind = |fault: &Chosen| fault.kind.name;
    json!({
        "fault": place.name(),
        "kind": fault.as_ref().map_or("none", kind),
        "value": value,
        "kinds": place.kinds().iter().map(|kind| kind.name).collect::<Value>(),
    })
}

pub(super) fn keys_json(driver: &Driver) -> Value {
    let ids = driver.key_ids();
    json!({ "signing": ids.first(), "published": ids, "requests": driver.simulator().key_requests() })
}

pub(super) fn calls_json(driver: &Driver) -> Value {
    let simulator = driver.simulator();
    let closed = simulator.closed_calls();
    let call = |call: &ClosedCall| {
        json!({
            "at": humantime::format_rfc3339_seconds(call.at()).to_string(),
            "tenant": call.tenant().as_str(),
            "state": call.state(),
            "method": call.method().as_str(),
            "path": call.path(),
        })
    };
    json!({
        "calls": simulator.all_calls(),
        "calls_while_closed": simulator.calls_while_closed(),
        "latest_while_closed": closed.iter().rev().take(CLOSED_CALLS).map(call).collect::<Value>(),
    })
}
