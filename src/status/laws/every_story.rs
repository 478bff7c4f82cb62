//! Every story of up to five steps over a small alphabet, told to the model and to the real thing.

use super::{
    model::Model,
    strategies::{answer, notified, pulled},
};
use crate::status::{
    ChangeType::{Delete, Resume, Suspend, Upgrade},
    Record, State,
    fact::Fact,
};

const LONGEST: u64 = 5;

/// What can happen at step `n`. Steps are 35 s apart, so a pull two steps after a notification is
/// past the usual settle time and one step after is not.
fn letters(n: u64) -> Vec<Fact> {
    let seen = 10_000_000 + n * 35_000;
    let on_time = i64::try_from(seen / 1000).unwrap();
    // The later it comes, the longer ago it was sent: reordered against everything before it.
    let late = 1000 - i64::try_from(n).unwrap();
    vec![
        notified(Upgrade, on_time, seen),
        notified(Suspend, on_time, seen),
        notified(Resume, on_time, seen),
        notified(Delete, on_time, seen),
        notified(Suspend, late, seen),
        notified(Resume, late, seen),
        pulled(State::Running, seen),
        pulled(State::Suspended, seen),
        pulled(State::Deleted, seen),
        pulled(State::OfflineMaintenance, seen),
        // An hour later, or rather: all settled.
        pulled(State::Running, seen + 3_600_000 * n),
    ]
}

struct Told {
    stories: u64,
    /// How many were held against the model in every detail.
    exact: u64,
}

fn tell(record: &Record, model: &Model, past: &[Fact], told: &mut Told) {
    let n = u64::try_from(past.len()).unwrap();
    if n == LONGEST {
        return;
    }
    for mut fact in letters(n) {
        if let Fact::Pulled(pull) = &mut fact {
            let Some(since) = run_start(past, pull.asked, pull.state) else { continue };
            pull.since = since;
        }
        let (mut record, mut model, mut past) = (record.clone(), model.clone(), past.to_vec());
        record.merge(&Record::of(fact.clone()));
        model.take(fact.clone());
        past.push(fact);
        let (real, expected) = (answer(&record), model.status());
        told.stories += 1;
        if model.repeats_itself() {
            assert_eq!(real.closed.is_some(), expected.closed.is_some(), "{past:#?}");
        } else {
            told.exact += 1;
            assert_eq!(real, expected, "{past:#?}");
        }
        replay_all(&record, &past);
        tell(&record, &model, &past, told);
    }
}

/// Where the run of equal answers starts that a pull at `asked` belongs to; `None` when a later pull
/// has been answered already, which a gate that has one pull in flight never sees.
fn run_start(past: &[Fact], asked: u64, state: State) -> Option<u64> {
    let newest = past.iter().rev().find_map(|fact| match fact {
        Fact::Pulled(pull) => Some(pull),
        _ => None,
    });
    match newest {
        Some(newest) if newest.asked >= asked => None,
        Some(newest) if newest.state.verdict() == state.verdict() => Some(newest.since),
        _ => Some(asked),
    }
}

/// Nothing that was taken can be sent again to any effect.
fn replay_all(record: &Record, past: &[Fact]) {
    for fact in past {
        let mut fact = fact.clone();
        if let Fact::Notified(notified) = &mut fact {
            notified.seen += 1_000_000_000;
        }
        assert!(!record.clone().merge(&Record::of(fact)), "{past:#?}");
    }
}

#[test]
fn every_short_story_ends_as_the_model_says() {
    let mut told = Told { stories: 0, exact: 0 };
    tell(&Record::default(), &Model::default(), &[], &mut told);
    assert!(told.stories > 100_000, "{}", told.stories);
    assert!(told.exact * 10 > told.stories * 7, "{} of {}", told.exact, told.stories);
}
