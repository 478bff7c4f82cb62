//! `merge` is a join: the laws that make order, repetition and replicas harmless.

use std::sync::Arc;

use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

use super::strategies::{derived, facts, join, record_of, records};
use crate::status::{ChangeType, Record, alike::Alike, fact::Fact};

proptest! {
    #[test]
    fn merge_is_commutative(a in records(), b in records()) {
        prop_assert_eq!(join(&a, &b), join(&b, &a));
        prop_assert_eq!(join(&a, &b).encode(), join(&b, &a).encode());
    }

    #[test]
    fn merge_is_associative(a in records(), b in records(), c in records()) {
        prop_assert_eq!(join(&join(&a, &b), &c), join(&a, &join(&b, &c)));
    }

    #[test]
    fn merge_is_idempotent(a in records(), b in records()) {
        prop_assert_eq!(join(&a, &a), a.clone());
        prop_assert!(!a.clone().merge(&a));
        let both = join(&a, &b);
        prop_assert_eq!(join(&both, &a), both.clone());
        prop_assert_eq!(join(&both, &b), both);
    }

    #[test]
    fn merging_nothing_changes_nothing(a in records()) {
        prop_assert_eq!(join(&a, &Record::default()), a.clone());
        prop_assert_eq!(join(&Record::default(), &a), a);
    }

    #[test]
    fn merge_says_whether_it_changed_anything(a in records(), b in records()) {
        let mut joined = a.clone();
        let grew = joined.merge(&b);
        prop_assert_eq!(grew, joined != a);
    }

    #[test]
    fn a_record_of_many_facts_is_the_join_of_records_of_one(facts in vec(facts(), 0..8)) {
        prop_assert_eq!(Record::from_parts(facts.clone(), None), record_of(&facts));
    }

    #[test]
    fn merge_invents_nothing(a in records(), b in records()) {
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
    fn a_record_holds_one_fact_of_each_kind_in_a_fixed_order(a in records()) {
        prop_assert!(a.facts().is_sorted_by(|one, next| one.slot() < next.slot()));
    }

    #[test]
    fn of_two_facts_one_is_the_newer_unless_they_are_equal(a in facts(), b in facts()) {
        prop_assert_eq!(a.age(&b), b.age(&a).reverse());
        prop_assert_eq!(a.age(&b).is_eq(), a == b);
    }

    #[test]
    fn what_only_a_newer_version_knows_has_no_part_in_the_status(a in records()) {
        let known = Record::from_parts(a.facts().to_vec(), None);
        prop_assert_eq!(derived(&a), derived(&known));
    }

    #[test]
    fn a_repeated_notification_does_not_move_its_arrival(
        fact in facts().prop_filter("a notification", |fact| matches!(fact, Fact::Notified(_))),
        delay in 1_u64..1_000_000,
    ) {
        let first = Record::of(fact.clone());
        let Fact::Notified(mut repeated) = fact else { unreachable!() };
        repeated.seen += delay;
        let again = Record::of(Fact::Notified(repeated));
        prop_assert_eq!(join(&first, &again), first.clone());
        prop_assert_eq!(join(&again, &first), first);
    }
}

/// Ties down to the last field, where chance seldom leads: of two records that differ in one place
/// only, the same one stays whichever comes first.
#[test]
fn records_that_differ_in_any_one_place_converge() {
    let places = [
        ("suspend", "seen", json!(2), json!(1)),
        ("suspend", "version", json!("a"), json!("b")),
        ("suspend", "file", json!("a"), json!("b")),
        ("suspend", "endpoint", json!("a"), json!("b")),
        ("suspend", "new", json!(1), json!(2)),
        ("other", "number", json!(6), json!(7)),
        ("pull_running", "since", json!(2), json!(1)),
        ("pull_running", "state", json!("Running"), json!("OnlineMaintenance")),
        ("pull_running", "endpoint", json!("a"), json!("b")),
        ("pull_running", "new", json!(1), json!(2)),
        ("operator", "order", json!("open"), json!("release")),
        ("operator", "until", json!(1), json!(2)),
        ("operator", "note", json!("a"), json!("b")),
        ("operator", "new", json!(1), json!(2)),
    ];
    for (kind, field, lesser, greater) in places {
        let with = |value: &Value| {
            let mut fact = match kind {
                "pull_running" => json!({ "asked": 9, "since": 5, "state": "Running" }),
                "operator" => json!({ "set_at": 9, "order": "close", "note": "" }),
                _ => json!({ "at": 9, "seen": 5, "version": "", "file": "" }),
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
    let word = r#"{"v":"1.0","operator":{"set_at":1,"order":"open","note":""}}"#;
    for known in [word, r#"{"v":"1.1"}"#, r#"{"v":"1.1","new":1}"#] {
        assert!(!record(known).is_empty(), "{known}");
    }
}

/// In an upgrade night a million tenants are told of the same versions, and are on a few hosts.
#[test]
fn what_facts_say_besides_is_kept_once_for_all_records() {
    let with = |seen: u64, version: &str, host: &str| {
        let text = format!(
            r#"{{"v":"1.0","upgrade":{{"at":2,"seen":{seen},"version":"{version}","file":""}},
            "resume":{{"at":1,"seen":{seen},"version":"of before","file":""}},
            "pull_running":{{"asked":{seen},"since":{seen},"state":"Running","endpoint":"{host}"}}}}"#
        );
        Record::decode(text.as_bytes()).unwrap()
    };
    let mut alike = Alike::default();
    let mut share = |seen, version, host| {
        let mut record = with(seen, version, host);
        record.share_details(&mut alike);
        assert_eq!(record, with(seen, version, host));
        record
    };
    let [one, two] = [1, 2].map(|seen| share(seen, "new", "https://online2.superoffice.com"));
    for change in [ChangeType::Upgrade, ChangeType::Resume] {
        let [one, two] = [&one, &two].map(|record| &record.notified(change).unwrap().details);
        assert!(Arc::ptr_eq(one, two), "{change}");
    }
    let [one, two] = [&one, &two].map(|record| &record.pulls().next().unwrap().details);
    assert!(Arc::ptr_eq(one, two));
}
