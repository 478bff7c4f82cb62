//! Tenants and records for the checks.

use std::{collections::HashMap, sync::Arc};

use serde_json::json;

use super::report::Broken;
use crate::{
    status::ChangeType,
    status::{
        Record, State,
        fact::Fact,
        foreign::Foreign,
        notified::{Details, Notified, OpenClose},
        overrides::{Override, OverrideAction},
        pulled::{Knew, PullDetails, Pulled},
    },
    tenant_id::TenantId,
};

/// Creates a tenant that no other run of the suite uses.
pub(super) fn tenant(what: &str) -> Result<TenantId, Broken> {
    let run = fastrand::u64(..);
    TenantId::new(format!("Cust-{what}-{run:016x}")).map_err(|error| Broken::new(error.to_string()))
}

/// The records of a replica: the join of all that it received.
#[derive(Debug, Default)]
pub(super) struct View(HashMap<TenantId, Record>);

impl View {
    pub(super) fn join(&mut self, tenant: TenantId, record: &Record) {
        self.0.entry(tenant).or_default().merge(record);
    }

    /// Removes the record of `tenant`, unless it has something that `record` lacks.
    pub(super) fn remove(&mut self, tenant: &TenantId, record: &Record) {
        if self.get(tenant).is_some_and(|own| record.contains(own)) {
            self.0.remove(tenant);
        }
    }

    pub(super) fn get(&self, tenant: &TenantId) -> Option<&Record> {
        self.0.get(tenant)
    }

    /// Returns the spelling of `tenant`.
    pub(super) fn spelling(&self, tenant: &TenantId) -> Option<&str> {
        self.0.get_key_value(tenant).map(|(id, _)| id.as_str())
    }

    /// Returns whether the record of `tenant` contains all of `record`.
    pub(super) fn covers(&self, tenant: &TenantId, record: &Record) -> bool {
        self.get(tenant).is_some_and(|own| covers(own, record))
    }
}

/// Returns whether `own` contains all of `record`.
pub(super) fn covers(own: &Record, record: &Record) -> bool {
    !own.clone().merge(record)
}

/// Creates a record of a suspension at `at`, in unix seconds.
pub(super) fn suspended(at: i64) -> Record {
    notified(ChangeType::Suspend, at, at.unsigned_abs() * 1000, "Release 10.3.8")
}

/// Creates the same record with additional fields of a newer minor schema.
pub(super) fn with_newer_fields(at: i64) -> Record {
    let mut extra = serde_json::Map::new();
    extra.insert("reason".to_owned(), json!({"code": 7}));
    let details = Details { version_name: "Release 11".into(), extra, ..Details::default() };
    let (received_at, details) = (at.unsigned_abs() * 1000, Arc::new(details));
    let suspend = Notified::new(ChangeType::Suspend, at, received_at, details);
    let suspend = Fact::Notified(suspend);
    let mut entries = serde_json::Map::new();
    entries.insert("billing".to_owned(), json!({"at": at, "plan": "\u{e5}rlig"}));
    Record::from_facts(vec![suspend], Some(Foreign::new(7, entries)))
}

/// Creates one to four facts of few kinds and few times, so that ties and conflicts are common.
pub(super) fn any(random: &mut fastrand::Rng) -> Record {
    let mut record = Record::default();
    for _ in 0..random.usize(1..=4) {
        record.merge(&any_fact(random));
    }
    if random.u8(..8) == 0 {
        record.merge(&with_newer_fields(random.i64(1..4)));
    }
    record
}

fn any_fact(random: &mut fastrand::Rng) -> Record {
    let version =
        if random.bool() { "Release_10.3.8_2024.08.30-01" } else { "\u{2014} \"8.4\" \\" };
    match random.u8(..10) {
        kind @ 0..7 => {
            notified(ChangeType::from(u32::from(kind)), random.i64(-1..4), random.u64(..4), version)
        }
        7 | 8 => {
            let states =
                [State::Running, State::Suspended, State::Deleted, State::MigrationPending];
            let state = random.choice(states).unwrap_or(State::Running);
            let endpoint = random.bool().then(|| "https://online2.superoffice.com".into());
            let knew = random.choice(OpenClose::ALL).filter(|_| random.bool());
            let knew = knew.map(|change| Knew { token_time: random.i64(-1..4), change });
            let mut pulled = Pulled::new(state, random.u32(1..4), knew);
            pulled.settled = random.bool();
            pulled.since = random.u64(..4);
            pulled.details = Arc::new(PullDetails { endpoint, ..PullDetails::default() });
            Record::from(Fact::Pulled(pulled))
        }
        _ => {
            let actions = [OverrideAction::Open, OverrideAction::Close, OverrideAction::Release];
            Record::from(Fact::Override(Box::new(Override {
                action: random.choice(actions).unwrap_or(OverrideAction::Open),
                order: random.u32(1..4),
                set_at: random.u64(..4),
                until: random.bool().then(|| random.u64(..1 << 40)),
                note: "until the audit ends\n".into(),
                extra: serde_json::Map::new(),
            })))
        }
    }
}

fn notified(change: ChangeType, at: i64, seen: u64, version: &str) -> Record {
    let details = Details { version_name: version.into(), ..Details::default() };
    Record::from(Fact::Notified(Notified::new(change, at, seen, Arc::new(details))))
}
