//! However notifications are delivered, everybody ends where in-order delivery leads.

use proptest::{
    collection::{btree_map, vec},
    prelude::*,
    sample::Index,
};

use super::{
    model::Model,
    strategies::{answer, changes, derived, join, notified, pulled, record_of, states, word},
};
use crate::status::{
    ChangeType, Record,
    fact::{Fact, Order},
};

/// Notifications in order, a token second of its own each, seen when they were sent.
fn in_order() -> impl Strategy<Value = Vec<Fact>> {
    btree_map(0_i64..200, changes(), 1..12).prop_map(|by_second| {
        let seen = |at: i64| u64::try_from(at).unwrap() * 1000 + 300;
        by_second.into_iter().map(|(at, change)| notified(change, at, seen(at))).collect()
    })
}

/// Notifications that share seconds and moments.
fn within_few_seconds() -> impl Strategy<Value = Vec<Fact>> {
    let one = (changes(), 0_i64..3, 0_u64..3);
    vec(one.prop_map(|(change, at, seen)| notified(change, at, seen)), 1..12)
}

/// Everything that can happen to a tenant, notifications late and pulls in order.
fn histories() -> impl Strategy<Value = Vec<Fact>> {
    #[derive(Debug, Clone)]
    enum Step {
        Notify(ChangeType, i64),
        Pull(crate::status::State),
        Say(Order),
    }
    let order =
        prop_oneof![1 => Just(Order::Open), 1 => Just(Order::Close), 2 => Just(Order::Release)];
    let step = prop_oneof![
        6 => (changes(), 0_i64..3).prop_map(|(change, late)| Step::Notify(change, late * 25)),
        5 => states().prop_map(Step::Pull),
        1 => order.prop_map(Step::Say),
    ];
    // The settle times are 60 s and 900 s: steps of up to 400 s fall on all sides of them.
    let pause = prop_oneof![1_u64..30_000, Just(60_000), 50_000_u64..400_000];
    vec((step, pause), 1..16).prop_map(|steps| {
        let mut now = 1_000_000;
        let mut facts = Vec::new();
        let mut run = None;
        for (step, pause) in steps {
            now += pause;
            facts.push(match step {
                Step::Notify(change, late) => {
                    notified(change, i64::try_from(now / 1000).unwrap() - late, now)
                }
                Step::Say(order) => word(order, now, None),
                Step::Pull(state) => {
                    let mut fact = pulled(state, now);
                    let Fact::Pulled(pull) = &mut fact else { unreachable!() };
                    match run {
                        Some((verdict, since)) if verdict == state.verdict() => pull.since = since,
                        _ => run = Some((state.verdict(), now)),
                    }
                    fact
                }
            });
        }
        facts
    })
}

fn shuffled(facts: &[Fact], picks: &[Index]) -> Vec<Fact> {
    let mut left = facts.to_vec();
    let mut shuffled = Vec::new();
    for pick in picks.iter().cycle() {
        if left.is_empty() {
            break;
        }
        shuffled.push(left.swap_remove(pick.index(left.len())));
    }
    shuffled
}

/// Delivers `facts` in an order, some of them again, to some of four gates; joins the gates two by
/// two in any grouping.
fn delivered(facts: &[Fact], picks: &[Index]) -> Record {
    let mut gates = vec![Record::default(); 4];
    for (fact, pick) in shuffled(facts, picks).iter().zip(picks.iter().cycle()) {
        gates[pick.index(4)].merge(&Record::of(fact.clone()));
        if pick.index(3) == 0 {
            gates[pick.index(7) % 4].merge(&Record::of(fact.clone()));
        }
    }
    let mut picks = picks.iter().cycle();
    while gates.len() > 1 {
        let one = gates.swap_remove(picks.next().unwrap().index(gates.len()));
        let other = gates.swap_remove(picks.next().unwrap().index(gates.len()));
        gates.push(join(&one, &other));
    }
    gates.remove(0)
}

fn modelled(facts: &[Fact]) -> Model {
    let mut model = Model::default();
    facts.iter().for_each(|fact| model.take(fact.clone()));
    model
}

proptest! {
    #[test]
    fn any_delivery_of_distinct_seconds_ends_as_in_order_delivery(
        facts in in_order(),
        picks in vec(any::<Index>(), 16),
    ) {
        let expected = record_of(&facts);
        let record = delivered(&facts, &picks);
        prop_assert_eq!(&record, &expected);
        prop_assert_eq!(answer(&record), modelled(&facts).status());
    }

    #[test]
    fn arrival_times_change_nothing_but_since_when_seconds_are_distinct(
        facts in in_order(),
        picks in vec(any::<Index>(), 16),
    ) {
        let in_order = derived(&record_of(&facts));
        let late: Vec<Fact> = (1_u64..)
            .zip(shuffled(&facts, &picks))
            .map(|(arrival, mut fact)| {
                let Fact::Notified(notified) = &mut fact else { unreachable!() };
                notified.seen = arrival;
                fact
            })
            .collect();
        let status = derived(&delivered(&late, &picks));
        prop_assert_eq!(status.reason(), in_order.reason());
        prop_assert_eq!(status.epoch(), in_order.epoch());
        prop_assert_eq!(status.evidence(), in_order.evidence());
    }

    #[test]
    fn within_one_second_all_gates_converge(
        facts in within_few_seconds(),
        picks in vec(any::<Index>(), 16),
        others in vec(any::<Index>(), 16),
    ) {
        let record = delivered(&facts, &picks);
        prop_assert_eq!(&record, &delivered(&facts, &others));
        prop_assert_eq!(answer(&record), modelled(&facts).status());
    }

    #[test]
    fn a_replay_never_changes_a_record(
        facts in in_order(),
        replays in vec((any::<Index>(), 1_u64..1_000_000), 1..8),
    ) {
        let record = record_of(&facts);
        let mut replayed = record.clone();
        for (which, delay) in replays {
            let mut fact = which.get(&facts).clone();
            let Fact::Notified(notified) = &mut fact else { unreachable!() };
            notified.seen += delay;
            prop_assert!(!replayed.merge(&Record::of(fact)));
        }
        prop_assert_eq!(replayed, record);
    }

    #[test]
    fn pulls_and_words_among_late_notifications_end_as_the_model_says(
        facts in histories(),
        picks in vec(any::<Index>(), 16),
    ) {
        let record = delivered(&facts, &picks);
        prop_assert_eq!(&record, &record_of(&facts));
        let model = modelled(&facts);
        let (real, model_says) = (answer(&record), model.status());
        if model.repeats_itself() {
            prop_assert_eq!(real.closed.is_some(), model_says.closed.is_some());
        } else {
            prop_assert_eq!(real, model_says);
        }
    }
}
