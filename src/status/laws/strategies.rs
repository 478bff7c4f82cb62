//! Facts and records to test with: made by hand for tables, and at random.

use std::sync::Arc;

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::model::Answer;
use crate::status::{
    ChangeType, Record, State, TenantStatus,
    derive::{Settle, status},
    fact::{Details, Fact, Notified, Order, PullDetails, Pulled, Word},
    record::Foreign,
};

pub(super) const STATES: [State; 10] = [
    State::Provisioning,
    State::Running,
    State::Deleted,
    State::Suspended,
    State::OnlineMaintenance,
    State::OfflineMaintenance,
    State::ProvisioningFailed,
    State::Deleting,
    State::DeleteFailed,
    State::MigrationPending,
];

/// A notification with the token time `at`, seen `seen` ms after the epoch.
pub(super) fn notified(change: ChangeType, at: i64, seen: u64) -> Fact {
    Fact::Notified(Notified { change, at, seen, details: Arc::default() })
}

/// A pull, the first of its run.
pub(super) fn pulled(state: State, asked: u64) -> Fact {
    Fact::Pulled(Pulled { state, asked, since: asked, details: Arc::default() })
}

pub(super) fn word(order: Order, set_at: u64, until: Option<u64>) -> Fact {
    Fact::Word(Box::new(Word { order, set_at, until, note: String::new(), extra: Map::default() }))
}

pub(super) fn record_of<'a>(facts: impl IntoIterator<Item = &'a Fact>) -> Record {
    let mut record = Record::default();
    for fact in facts {
        record.merge(&Record::of(fact.clone()));
    }
    record
}

pub(super) fn derived(record: &Record) -> TenantStatus {
    status(record, &Settle::default())
}

pub(super) fn answer(record: &Record) -> Answer {
    let status = derived(record);
    Answer {
        closed: status.closure.map(|closure| (closure.reason, closure.since)),
        evidence: status.evidence,
        confirmed: status.confirmed,
        epoch: status.epoch,
    }
}

pub(super) fn changes() -> impl Strategy<Value = ChangeType> {
    prop_oneof![
        3 => (0_u32..5).prop_map(ChangeType::from),
        1 => (5_u32..9).prop_map(ChangeType::from),
    ]
}

pub(super) fn states() -> impl Strategy<Value = State> {
    proptest::sample::select(&STATES[..])
}

/// JSON of every kind but fractions, which a record has no use for.
pub(super) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        "\\PC{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map("[a-z\\PC]{0,4}", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// Fields that only a newer version knows.
pub(super) fn unknown_fields() -> impl Strategy<Value = Map<String, Value>> {
    prop_oneof![
        3 => Just(Map::default()),
        1 => btree_map("x_[ab]", json(), 1..3).prop_map(|map| map.into_iter().collect()),
    ]
}

fn text() -> impl Strategy<Value = SmolStr> {
    prop_oneof![Just(""), Just("a"), Just("Release 10.3"), Just("\u{0}\"\\\u{2028}")]
        .prop_map(SmolStr::new)
}

/// Facts from so few times and texts that they tie in every way.
pub(super) fn facts() -> impl Strategy<Value = Fact> {
    let notified =
        (changes(), 0_i64..4, 0_u64..4, text(), text(), option::of(text()), unknown_fields())
            .prop_map(|(change, at, seen, version_name, file_version, endpoint, extra)| {
                let details = Details { version_name, file_version, endpoint, extra };
                Fact::Notified(Notified { change, at, seen, details: Arc::new(details) })
            });
    let pulled = (states(), 0_u64..4, 0_u64..4, option::of(text()), unknown_fields()).prop_map(
        |(state, asked, since, endpoint, extra)| {
            let details = Arc::new(PullDetails { endpoint, extra });
            Fact::Pulled(Pulled { state, asked, since, details })
        },
    );
    let order = prop_oneof![Just(Order::Open), Just(Order::Close), Just(Order::Release)];
    let word = (order, 0_u64..4, option::of(0_u64..4), text(), unknown_fields()).prop_map(
        |(order, set_at, until, note, extra)| {
            Fact::Word(Box::new(Word { order, set_at, until, note: note.into(), extra }))
        },
    );
    prop_oneof![5 => notified, 3 => pulled, 1 => word]
}

/// Kinds of facts that only a newer version knows: some with a time, some of any shape.
fn foreign() -> impl Strategy<Value = Foreign> {
    let timed = (proptest::sample::select(vec!["at", "asked", "set_at"]), 0_u64..4, json())
        .prop_map(|(key, time, value)| serde_json::json!({ key: time, "x": value }));
    let entries = btree_map("new_[ab]", prop_oneof![timed, json()], 0..3);
    // A minor version of our own with nothing foreign in it is no foreign part.
    (1_u32..4, entries)
        .prop_map(|(minor, entries)| Foreign { minor, entries: entries.into_iter().collect() })
}

pub(super) fn records() -> impl Strategy<Value = Record> {
    (vec(facts(), 0..6), option::weighted(0.3, foreign()))
        .prop_map(|(facts, foreign)| Record::from_parts(facts, foreign))
}

/// The join of two records, by the function that everything uses.
pub(super) fn join(a: &Record, b: &Record) -> Record {
    let mut joined = a.clone();
    joined.merge(b);
    joined
}
