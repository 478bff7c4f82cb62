//! What a tenant is told, turn by turn, and what must be in force after each: told apart by what
//! the gateway shows.

use std::{
    collections::HashMap,
    sync::LazyLock,
    time::{SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use tower_superoffice::{ChangeType, TenantId, simulator::Simulator};

/// The token time of turn 0, of which no notification is sent: half an hour before the test began.
///
/// A token lives for an hour at most, so each is valid for half an hour from the start on, and a
/// tenant can have some 1,800 turns more than seconds pass.
static BASE: LazyLock<i64> = LazyLock::new(|| {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    i64::try_from(now).unwrap() - 1800
});

/// Between two turns of a cycle, and between two cycles, something that is shown changes: the reason
/// or the epoch. No turn shows what another does.
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

/// What `/tenants` says of a tenant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    pub(crate) reason: Option<String>,
    pub(crate) epoch: i64,
}

pub(crate) fn tenant(n: usize) -> TenantId {
    TenantId::new(format!("Cust{n}")).unwrap()
}

fn step(turn: i64) -> (ChangeType, Option<&'static str>) {
    CYCLE[usize::try_from(turn - 1).unwrap() % CYCLE.len()]
}

pub(crate) fn change(turn: i64) -> ChangeType {
    step(turn).0
}

/// What is shown once all turns up to this one have been taken; turn 0 is a tenant never heard of.
pub(crate) fn after(turn: i64) -> Shown {
    let restored = (1..=turn).rev().find(|&turn| change(turn) == ChangeType::BackupRestored);
    Shown {
        reason: (turn > 0).then(|| step(turn).1.map(str::to_owned)).flatten(),
        epoch: restored.map_or(0, |turn| *BASE + turn),
    }
}

/// What a call to the tenant is then answered.
pub(crate) fn answer(shown: &Shown) -> StatusCode {
    match shown.reason.as_deref() {
        None => StatusCode::OK,
        Some("deleted") => StatusCode::GONE,
        Some(_) => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The notification of a turn, dated by the turn and valid now: a tenant can be told of more turns
/// than seconds pass.
pub(crate) fn body(simulator: &Simulator, tenant: &TenantId, turn: i64) -> Bytes {
    let token_time = *BASE + turn;
    simulator
        .notification(change(turn), tenant)
        .claim("nbf", token_time)
        .claim("exp", token_time + 3600)
        .body()
}

/// Reads `/tenants`.
pub(crate) fn read(tenants: &[u8]) -> HashMap<String, Shown> {
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
