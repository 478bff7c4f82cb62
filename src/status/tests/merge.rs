//! `merge` is a join: the laws that make order, repetition and replicas harmless.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::strategies::{facts, join, notified, overridden, record_of, records, settled};
use crate::status::{
    ChangeType, Record, State, UnavailableReason, derive::status, fact::Fact, intern::Interner,
    overrides::OverrideAction,
};

/// Records, and those that stand for a malformed one.
fn any_records() -> impl Strategy<Value = Record> {
    prop_oneof![6 => records(), 1 => Just(Record::unreadable()), 1 => Just(Record::default())]
}

proptest! {
    #[test]
    fn merge_is_commutative(a in any_records(), b in any_records()) {
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&a, &b).encode(), join(&b, &a).encode());
    }

    #[test]
    fn merge_is_associative(a in any_records(), b in any_records(), c in any_records()) {
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
    }

    #[test]
    fn merge_is_idempotent(a in any_records(), b in any_records()) {
        prop_assert_eq!(join(&a, &a), a.clone());
        prop_assert!(!a.clone().merge(&a));
        let both = join(&a, &b);
        prop_assert_eq!(join(&both, &a), both.clone());
        prop_assert_eq!(join(&both, &b), both);
    }

    #[test]
    fn merging_an_empty_record_changes_nothing(a in any_records()) {
        prop_assert_eq!(join(&a, &Record::default()), a.clone());
        prop_assert_eq!(join(&Record::default(), &a), a);
    }

    #[test]
    fn merge_returns_whether_anything_changed(a in any_records(), b in any_records()) {
        let mut joined = a.clone();
        let changed = joined.merge(&b);
        prop_assert_eq!(changed, joined != a);
    }

    #[test]
    fn join_returns_whether_a_pull_was_gained(a in any_records(), b in any_records()) {
        let pulls = |record: &Record| record.pulls().cloned().collect::<Vec<_>>();
        let mut joined = a.clone();
        let gains = joined.join(&b);
        prop_assert_eq!((gains.any, gains.pulls), (joined != a, pulls(&joined) != pulls(&a)));
    }

    #[test]
    fn a_record_of_many_facts_is_the_join_of_single_ones(facts in vec(facts(), 0..9)) {
        prop_assert_eq!(Record::from_facts(facts.clone(), None), record_of(&facts));
        let mut inserted = Record::default();
        for fact in facts.iter().rev() {
            let before = inserted.clone();
            prop_assert_eq!(inserted.insert(fact), inserted != before);
        }
        prop_assert_eq!(inserted, record_of(&facts));
    }

    #[test]
    fn merge_invents_nothing_and_loses_no_kind(a in any_records(), b in any_records()) {
        let joined = join(&a, &b);
        for fact in joined.facts() {
            prop_assert!(a.facts().contains(fact) || b.facts().contains(fact));
        }
        for fact in a.facts().iter().chain(b.facts()) {
            prop_assert!(joined.facts().iter().any(|kept| kept.slot() == fact.slot()));
        }
        prop_assert_eq!(joined.is_empty(), a.is_empty() && b.is_empty());
    }

    #[test]
    fn a_record_holds_one_fact_of_each_kind_in_order(a in any_records(), b in any_records()) {
        prop_assert!(join(&a, &b).facts().is_sorted_by(|one, next| one.slot() < next.slot()));
    }

    #[test]
    fn the_age_of_facts_is_a_total_order(a in facts(), b in facts(), c in facts()) {
        prop_assert_eq!(a.age(&b), b.age(&a).reverse());
        prop_assert_eq!(a.age(&b).is_eq(), a == b);
        if a.slot() == b.slot() && b.slot() == c.slot() && a.age(&b).is_ge() && b.age(&c).is_ge() {
            prop_assert!(a.age(&c).is_ge());
        }
    }

    #[test]
    fn foreign_parts_have_no_share_in_the_status(a in records()) {
        let known = Record::from_facts(a.facts().to_vec(), None);
        prop_assert_eq!(status(&a), status(&known));
    }

    /// Wall time is the very last that distinguishes two facts, and the earlier one stays.
    #[test]
    fn no_wall_time_outweighs_any_other_difference(facts in vec(facts(), 2..12), late: bool) {
        let at = |fact: &Fact, time: u64| {
            let mut fact = fact.clone();
            match &mut fact {
                Fact::Notified(own) => own.received_at = time,
                Fact::Pulled(own) => own.since = time,
                Fact::Override(own) => own.set_at = time,
            }
            fact
        };
        let (one, other) = if late { (1, 9) } else { (9, 1) };
        for (a, b) in facts.iter().flat_map(|a| facts.iter().map(move |b| (a, b))) {
            if a.slot() == b.slot() {
                let expected = at(a, 5).age(&at(b, 5)).then(other.cmp(&one));
                prop_assert_eq!(at(a, one).age(&at(b, other)), expected);
            }
        }
    }
}

/// Ties down to the last field, where chance seldom leads: of two records that differ in one place
/// only, the same one stays whichever comes first.
#[test]
fn records_that_differ_in_any_one_place_converge() {
    let places = [
        ("suspend", "place", json!(2), json!(1)),
        ("suspend", "seen", json!(2), json!(1)),
        ("suspend", "version", json!("a"), json!("b")),
        ("suspend", "file", json!("a"), json!("b")),
        ("suspend", "endpoint", json!("a"), json!("b")),
        ("suspend", "new", json!(1), json!(2)),
        ("other", "number", json!(6), json!(7)),
        ("settled_running", "knew_at", json!(4), json!(5)),
        ("settled_running", "seq", json!(4), json!(5)),
        ("settled_running", "knew", json!("resume"), json!("upgrade")),
        ("settled_running", "known", json!(1), json!(2)),
        ("settled_running", "fresh", json!(1), json!(2)),
        ("settled_running", "since", json!(2), json!(1)),
        ("settled_running", "state", json!("Running"), json!("OnlineMaintenance")),
        ("settled_running", "endpoint", json!("a"), json!("b")),
        ("settled_running", "version", json!("a"), json!("b")),
        ("settled_running", "new", json!(1), json!(2)),
        ("unsettled", "state", json!("Running"), json!("Suspended")),
        ("operator", "number", json!(1), json!(2)),
        ("operator", "order", json!("open"), json!("close")),
        ("operator", "order", json!("close"), json!("release")),
        ("operator", "until", json!(1), json!(2)),
        ("operator", "note", json!("a"), json!("b")),
        ("operator", "set_at", json!(2), json!(1)),
        ("operator", "new", json!(1), json!(2)),
    ];
    for (kind, field, lesser, greater) in places {
        let with = |value: &Value| {
            let mut fact = match kind {
                "operator" => json!({ "set_at": 9, "order": "close", "number": 1, "note": "" }),
                "suspend" | "other" => json!({ "at": 9, "seen": 5, "version": "", "file": "" }),
                _ => json!({ "state": "Running", "seq": 3, "knew": "suspend", "knew_at": 4,
                    "known": 3, "since": 5 }),
            };
            if kind == "other" {
                fact["number"] = json!(6);
            }
            fact[field] = value.clone();
            let record = json!({ "v": "1.1", kind: fact }).to_string();
            Record::decode(record.as_bytes()).unwrap()
        };
        let (lesser, greater) = (with(&lesser), with(&greater));
        assert_eq!(join(&lesser, &greater), greater, "{kind}.{field}");
        assert_eq!(join(&greater, &lesser), greater, "{kind}.{field}");
    }
}

#[test]
fn a_record_is_empty_until_anything_at_all_is_known() {
    assert!(Record::default().is_empty());
    let record = |text: &str| Record::decode(text.as_bytes()).unwrap();
    assert!(record(r#"{"v":"1.0"}"#).is_empty());
    let ordered = r#"{"v":"1.0","operator":{"set_at":1,"order":"open","note":""}}"#;
    for known in [ordered, r#"{"v":"1.2"}"#, r#"{"v":"1.1","new":1}"#] {
        assert!(!record(known).is_empty(), "{known}");
    }
}

#[test]
fn unreadable_record_is_closed_until_any_fact_replaces_it() {
    let unreadable = Record::unreadable();
    assert!(unreadable.is_empty() && unreadable.is_unreadable());
    assert_eq!(status(&unreadable).reason(), Some(UnavailableReason::Unreadable));
    assert_eq!(join(&unreadable, &Record::default()), unreadable, "no fact replaces nothing");
    assert_ne!(unreadable, Record::default());
    for fact in [
        notified(ChangeType::Move, 1),
        settled(State::Running, 1, None),
        overridden(OverrideAction::Release, 1, None),
    ] {
        let known = Record::from(fact.clone());
        assert_eq!(join(&unreadable, &known), known);
        let mut record = unreadable.clone();
        assert!(record.insert(&fact));
        assert_eq!((status(&record).reason(), record.is_unreadable()), (None, false));
    }
}

/// In an upgrade night a million tenants get the same versions, and are on a few hosts.
#[test]
fn equal_details_are_kept_once_for_all_records() {
    let with = |seen: u64, version: &str, host: &str| {
        let text = format!(
            r#"{{"v":"1.1","upgrade":{{"at":2,"seen":{seen},"version":"{version}","file":""}},
            "resume":{{"at":1,"seen":{seen},"version":"of before","file":""}},
            "settled_running":{{"state":"Running","seq":{seen},"since":{seen},"known":0,"endpoint":"{host}"}}}}"#
        );
        Record::decode(text.as_bytes()).unwrap()
    };
    let mut interner = Interner::default();
    let mut intern = |seen, version, host| {
        let mut record = with(seen, version, host);
        record.intern(&mut interner);
        assert_eq!(record, with(seen, version, host));
        record
    };
    let [one, two] = [1, 2].map(|seen| intern(seen, "new", "https://online2.superoffice.com"));
    for change in [ChangeType::Upgrade, ChangeType::Resume] {
        let [one, two] = [&one, &two].map(|record| &record.notified(change).unwrap().details);
        assert!(Arc::ptr_eq(one, two), "{change}");
    }
    let [one, two] = [&one, &two].map(|record| &record.pulls().next().unwrap().details);
    assert!(Arc::ptr_eq(one, two));
}
