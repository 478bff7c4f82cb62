//! A script of notifications for a tenant, and the status that each step must lead to. `/tenants`
//! tells every step from the one before.

use std::{
    collections::HashMap,
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use tower_superoffice::{ChangeType, TenantId, simulator::Simulator};

/// The token time of step 0, for which no notification is sent: half an hour before the test began.
///
/// A token lives for an hour at most, so each is valid for half an hour from the start on, and a
/// tenant can have some 1,800 steps more than seconds pass.
static BASE: LazyLock<i64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() - 1800
});

/// Consecutive steps differ in the reason or the epoch, within a cycle and between two, so no step
/// can be taken for another.
const CYCLE: [(ChangeType, Option<&str>); 8] = [
    (ChangeType::Suspend, Some("suspended")),
    (ChangeType::BackupRestored, Some("suspended")),
    (ChangeType::Upgrade, Some("upgrading")),
    (ChangeType::Resume, None),
    (ChangeType::BackupRestored, None),
    (ChangeType::Delete, Some("deleted")),
    (ChangeType::BackupRestored, Some("deleted")),
    (ChangeType::Resume, None),
];

/// The part of a tenant in `/tenants` that the script determines.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) reason: Option<String>,
    pub(crate) epoch: i64,
}

pub(crate) fn tenant(n: usize) -> TenantId {
    TenantId::new(format!("Cust{n}")).unwrap()
}

fn expected(step: i64) -> (ChangeType, Option<&'static str>) {
    CYCLE[usize::try_from(step - 1).unwrap() % CYCLE.len()]
}

pub(crate) fn change(step: i64) -> ChangeType {
    expected(step).0
}

/// Returns what `/tenants` shows after all steps up to this one; step 0 is an unknown tenant.
pub(crate) fn after(step: i64) -> Shown {
    let restored = (1..=step).rev().find(|&step| change(step) == ChangeType::BackupRestored);
    Shown {
        reason: (step > 0).then(|| expected(step).1.map(str::to_owned)).flatten(),
        epoch: restored.map_or(0, |step| *BASE + step),
    }
}

/// Returns the response to a call to the tenant.
pub(crate) fn answer(shown: &Shown) -> StatusCode {
    match shown.reason.as_deref() {
        None => StatusCode::OK,
        Some("deleted") => StatusCode::GONE,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Returns the body of a step's notification. Its token time follows from the step, not from the
/// clock, so that there can be more than one a second.
pub(crate) fn body(simulator: &Simulator, tenant: &TenantId, step: i64) -> Bytes {
    let token_time = *BASE + step;
    simulator
        .notification(change(step), tenant)
        .claim("nbf", token_time)
        .claim("exp", token_time + 3600)
        .body()
}

/// Parses `/tenants`.
pub(crate) fn parse_tenants(tenants: &[u8]) -> HashMap<String, Shown> {
    let list: Vec<Value> = serde_json::from_slice(tenants).unwrap();
    let shown = list.into_iter().map(|tenant| {
        let shown = Shown {
            reason: tenant["reason"].as_str().map(str::to_owned),
            epoch: tenant["epoch"].as_i64().unwrap(),
        };
        assert_eq!(tenant["available"], shown.reason.is_none());
        (tenant["tenant"].as_str().unwrap().to_owned(), shown)
    });
    shown.collect()
}
