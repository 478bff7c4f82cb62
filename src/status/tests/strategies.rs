//! Facts and records to test with: made by hand for tables, and at random.

use std::sync::Arc;

use proptest::{
    collection::{btree_map, vec},
    option,
    prelude::*,
    sample::select,
};
use serde_json::{Map, Value};
use smol_str::SmolStr;

use crate::status::{
    ChangeType, Record, State,
    fact::Fact,
    foreign::Foreign,
    notified::{Details, Notified, OpenClose},
    overrides::{Override, OverrideAction},
    pulled::{Knew, PullDetails, Pulled},
};

pub(crate) const STATES: [State; 10] = [
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

/// A notification of that token time, the first of its second.
pub(crate) fn notified(change: ChangeType, token_time: i64) -> Fact {
    Fact::Notified(Notified::new(change, token_time, 1_000, Arc::default()))
}

/// Creates a notification like [`notified`], at this place of its second.
pub(crate) fn placed(change: ChangeType, token_time: i64, place: u16) -> Fact {
    let fact = Notified::new(change, token_time, 1_000, Arc::default());
    Fact::Notified(fact.at_place(place))
}

/// A settled pull that knew the notification of that type and token time.
pub(crate) fn settled(state: State, seq: u32, knew: Option<(OpenClose, i64)>) -> Fact {
    Fact::Pulled(pull(state, seq, knew))
}

/// Creates a pull like [`settled`] that has not settled.
pub(crate) fn unsettled(state: State, seq: u32, knew: Option<(OpenClose, i64)>) -> Fact {
    let mut pulled = pull(state, seq, knew);
    pulled.settled = false;
    Fact::Pulled(pulled)
}

fn pull(state: State, seq: u32, knew: Option<(OpenClose, i64)>) -> Pulled {
    let knew = knew.map(|(change, token_time)| Knew { token_time, change });
    let mut pulled = Pulled::new(state, seq, knew);
    pulled.since = 2_000;
    pulled
}

pub(crate) fn overridden(action: OverrideAction, order: u32, until: Option<u64>) -> Fact {
    let (note, extra) = (String::new(), Map::new());
    Fact::Override(Box::new(Override {
        action,
        order,
        set_at: 3_000,
        until,
        note: note.into(),
        extra,
    }))
}

/// The join of records of one fact each.
pub(crate) fn record_of(facts: &[Fact]) -> Record {
    let mut record = Record::default();
    for fact in facts {
        record.merge(&Record::from(fact.clone()));
    }
    record
}

/// The join of two records, by the function that everything uses.
pub(crate) fn join(a: &Record, b: &Record) -> Record {
    let mut joined = a.clone();
    joined.merge(b);
    joined
}

fn changes() -> impl Strategy<Value = ChangeType> {
    prop_oneof![
        4 => select(OpenClose::ALL.map(OpenClose::change).to_vec()),
        1 => select(vec![
            ChangeType::BackupRestored,
            ChangeType::Move,
            ChangeType::Other(6),
            ChangeType::Other(7),
        ]),
    ]
}

/// Any JSON, for what a newer version may write.
pub(crate) fn json() -> impl Strategy<Value = Value> {
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
fn unknown_fields() -> impl Strategy<Value = Map<String, Value>> {
    prop_oneof![
        3 => Just(Map::default()),
        1 => btree_map("x_[ab]", json(), 1..3).prop_map(|map| map.into_iter().collect()),
    ]
}

fn text() -> impl Strategy<Value = SmolStr> {
    select(vec!["", "a", "Release 10.3", "\u{0}\"\\\u{2028}"]).prop_map(SmolStr::new)
}

fn some_notified() -> impl Strategy<Value = Fact> {
    let details = (text(), text(), option::of(text()), unknown_fields());
    (changes(), 0_i64..4, 1_u16..4, 0_u64..3, details).prop_map(
        |(change, token_time, place, received_at, details)| {
            let (version_name, file_version, endpoint, extra) = details;
            let details = Arc::new(Details { version_name, file_version, endpoint, extra });
            let fact = Notified::new(change, token_time, received_at, details);
            Fact::Notified(fact.at_place(place))
        },
    )
}

fn some_pulled() -> impl Strategy<Value = Fact> {
    let knew = option::weighted(0.8, (0_i64..4, select(OpenClose::ALL.to_vec())));
    let details = (option::of(text()), option::of(text()), unknown_fields());
    let numbers = (1_u32..5, 0_u32..3, 0_u16..3, 0_u64..3);
    (select(STATES.to_vec()), knew, numbers, any::<bool>(), details).prop_map(
        |(state, knew, (seq, known, fresh, since), settled, (endpoint, version, extra))| {
            let knew = knew.map(|(token_time, change)| Knew { token_time, change });
            let mut pulled = Pulled::new(state, seq, knew);
            pulled.known = known;
            pulled.fresh = fresh;
            pulled.since = since;
            pulled.settled = settled;
            pulled.details = Arc::new(PullDetails { endpoint, version, extra });
            Fact::Pulled(pulled)
        },
    )
}

fn some_override() -> impl Strategy<Value = Fact> {
    let action = select(vec![OverrideAction::Open, OverrideAction::Close, OverrideAction::Release]);
    (action, 1_u32..3, 0_u64..3, option::of(0_u64..4), text(), unknown_fields()).prop_map(
        |(action, order, set_at, until, note, extra)| {
            Fact::Override(Box::new(Override { action, order, set_at, until, note, extra }))
        },
    )
}

/// Facts from so few times and texts that they tie in every way.
pub(crate) fn facts() -> impl Strategy<Value = Fact> {
    prop_oneof![5 => some_notified(), 4 => some_pulled(), 1 => some_override()]
}

/// Kinds of facts that only a newer version knows: some with a number, some of any shape.
fn foreign() -> impl Strategy<Value = Foreign> {
    let numbered = (select(vec!["at", "seq"]), 0_u64..4, json())
        .prop_map(|(key, number, value)| serde_json::json!({ key: number, "x": value }));
    let entries = btree_map("new_[ab]", prop_oneof![numbered, json()], 0..3);
    // A minor version of our own with nothing foreign in it is no foreign part.
    (2_u32..5, entries)
        .prop_map(|(minor, entries)| Foreign::new(minor, entries.into_iter().collect()))
}

pub(crate) fn records() -> impl Strategy<Value = Record> {
    (vec(facts(), 0..9), option::weighted(0.3, foreign()))
        .prop_map(|(facts, foreign)| Record::from_facts(facts, foreign))
}
