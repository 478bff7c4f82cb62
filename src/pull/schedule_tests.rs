use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::status::{
    ChangeType, State,
    fact::Fact,
    history::Gained,
    overrides::OverrideAction,
    past::Past,
    stamp::{PullAnswer, PullStamp},
    tests::strategies::{notified, overridden, record_of, records, settled, unsettled},
};

const fn s(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// A tenant of one replica: its record, what is kept beside it, and a clock in seconds.
#[derive(Default)]
struct Tenant {
    record: Record,
    knowledge: Knowledge,
    history: PullHistory,
    requested: bool,
    tracked: bool,
    valid_for: Option<Duration>,
    now: u64,
}

impl Tenant {
    fn at(now: u64) -> Self {
        Self { now, ..Self::default() }
    }

    /// A tenant that a process loads which has run for `now` seconds.
    fn loaded(facts: &[Fact], now: u64) -> Self {
        let mut tenant = Self::at(now);
        tenant.follow(true, |record| _ = record.merge(&record_of(facts)));
        tenant
    }

    fn follow(&mut self, loaded: bool, change: impl FnOnce(&mut Record)) -> &mut Self {
        let (before, now) = (self.record.clone(), s(self.now));
        change(&mut self.record);
        let gained = match before.pulls().eq(self.record.pulls()) {
            _ if loaded => Gained::Loaded,
            true => Gained::Other,
            false => Gained::Pull,
        };
        let past = Past::of(&before);
        self.knowledge.update(&past, &self.record, now);
        let after = (&self.record, &status_without_override(&self.record));
        self.history.update(&past, after, gained, now);
        self
    }

    fn gain(&mut self, fact: &Fact) -> &mut Self {
        self.follow(false, |record| _ = record.insert(fact))
    }

    fn notify(&mut self, change: ChangeType, token_time: i64) -> &mut Self {
        self.gain(&notified(change, token_time))
    }

    fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += seconds;
        self
    }

    fn pull(&mut self, state: State) -> &mut Self {
        self.pull_that_takes(0, state)
    }

    fn pull_that_takes(&mut self, seconds: u64, state: State) -> &mut Self {
        let settle = Settle::default();
        let stamp = PullStamp::new(&self.record, &self.knowledge, &settle, s(self.now));
        self.wait(seconds);
        let answer = PullAnswer { state, details: Arc::default(), fresh: None, taken_at: 0 };
        let pulled = stamp.into_pull(answer, &self.record, &settle);
        self.gain(&Fact::Pulled(pulled));
        self.history.attempted(Attempts::None, s(self.now));
        self.requested = false;
        self
    }

    fn fail(&mut self) -> &mut Self {
        self.history.attempted(self.history.attempts().failed(), s(self.now));
        self
    }

    fn unknown(&mut self) -> &mut Self {
        self.history.attempted(self.history.attempts().unknown(), s(self.now));
        self
    }

    fn next_at(&self, random: f64) -> Option<NextPull> {
        let settle = Settle::default();
        let situation = Situation {
            record: &self.record,
            knowledge: &self.knowledge,
            history: &self.history,
            settle: &settle,
            requested: self.requested,
            tracked: self.tracked,
            valid_for: self.valid_for,
        };
        Schedule::default().next_pull(&situation, s(self.now), random)
    }

    /// Returns the seconds until the next pull without jitter, and its trigger.
    fn next(&self) -> Option<(u64, Trigger)> {
        let next = self.next_at(1.0)?;
        Some((next.at.saturating_sub(s(self.now)).as_millis().div_ceil(1_000) as u64, next.trigger))
    }
}

use Trigger::{Closed, Owed, Requested, Stale, Turned};

#[test]
fn a_notification_is_owed_a_pull_when_it_has_settled() {
    use ChangeType::{BackupRestored, Delete, Move, Other, Resume, Suspend, Upgrade};
    for (change, expected) in [
        (Upgrade, Some(60)),
        (Suspend, Some(60)),
        (Resume, Some(60)),
        (Delete, Some(60)),
        (BackupRestored, None),
        (Move, None),
        (Other(9), None),
    ] {
        let mut tenant = Tenant::at(5_000);
        tenant.notify(change, 5);
        assert_eq!(tenant.next(), expected.map(|seconds| (seconds, Owed)), "{change}");
        // It stays overdue until it is made.
        tenant.wait(10_000);
        assert_eq!(tenant.next(), expected.map(|_| (0, Owed)), "{change}");
    }
    assert_eq!(Tenant::default().next(), None);
}

#[test]
fn an_upgrade_is_pulled_until_its_settle_time_ends() {
    let mut tenant = Tenant::at(5_000);
    tenant.notify(ChangeType::Upgrade, 5).wait(60).pull(State::Running);
    // Running so soon may tell of the time before it.
    let mut waited = 60;
    while status_without_override(&tenant.record).closed.is_some() {
        let (seconds, trigger) = tenant.next().unwrap();
        let settles = trigger == Owed && waited + seconds == 900;
        assert!((15..=60).contains(&seconds) || settles, "{seconds}");
        waited += seconds;
        tenant.wait(seconds).pull(State::Running);
    }
    assert_eq!(waited, 900);
}

#[test]
fn an_open_tenant_is_left_alone_once_it_has_settled() {
    let mut tenant = Tenant::at(5_000);
    tenant.notify(ChangeType::Resume, 5).wait(60).pull(State::Running);
    assert_eq!(tenant.next(), None);
    let mut tenant = Tenant::at(5_000);
    tenant.notify(ChangeType::Resume, 5).wait(59).pull(State::Running);
    assert_eq!(tenant.next().map(|(_, trigger)| trigger), Some(Owed));
}

#[test]
fn steps_grow_with_the_time_that_a_tenant_is_closed() {
    use State::{Deleted, MigrationPending, OfflineMaintenance, Suspended};
    const HOUR: u64 = 3_600;
    for (state, closed_for, step) in [
        (OfflineMaintenance, 0, 15),
        (OfflineMaintenance, 120, 30),
        (OfflineMaintenance, 240, 60),
        (OfflineMaintenance, 9 * HOUR, 60),
        (Suspended, 0, 300),
        (Suspended, 2_400, 600),
        (Suspended, 100 * HOUR, 900),
        (Deleted, 0, 6 * HOUR),
        (Deleted, 48 * HOUR, 12 * HOUR),
        (Deleted, 9_000 * HOUR, 720 * HOUR),
        (MigrationPending, 0, HOUR),
        (MigrationPending, 900 * HOUR, HOUR),
    ] {
        let mut tenant = Tenant::at(5_000);
        tenant.pull(state);
        for _ in 0..3 {
            tenant.pull(state);
        }
        tenant.wait(closed_for).pull(state);
        assert_eq!(tenant.next(), Some((step, Closed)), "{state} {closed_for}");
    }
}

#[test]
fn an_unconfirmed_deletion_is_pulled_every_6_hours() {
    let mut tenant = Tenant::at(5_000);
    let knew = Some((OpenClose::Delete, 5));
    tenant.notify(ChangeType::Delete, 5).gain(&settled(State::Suspended, 1, knew));
    tenant.wait(900 * 3_600).gain(&settled(State::Suspended, 2, knew));
    assert_eq!(tenant.next(), Some((6 * 3_600, Closed)));
}

#[test]
fn valid_until_puts_a_pull_off_up_to_the_longest_step() {
    for (valid_for, expected) in [(0, 300), (240, 300), (480, 480), (900, 900), (960, 900)] {
        let mut tenant = Tenant::at(5_000);
        for _ in 0..4 {
            tenant.pull(State::Suspended);
        }
        tenant.valid_for = Some(s(valid_for));
        assert_eq!(tenant.next(), Some((expected, Closed)), "{valid_for}");
        tenant.valid_for = Some(Duration::MAX);
        assert_eq!(tenant.next(), Some((900, Closed)));
    }
}

#[test]
fn an_unsettled_running_pull_is_followed_soon() {
    let mut tenant = Tenant::at(5_000);
    tenant.notify(ChangeType::Suspend, 5).wait(30).pull(State::Running);
    assert_eq!(tenant.next(), Some((15, Closed)));
    // One that found it suspended is followed when the notification has settled.
    let mut suspended = Tenant::at(5_000);
    suspended.notify(ChangeType::Suspend, 5).wait(30).pull(State::Suspended);
    assert_eq!(suspended.next(), Some((30, Owed)));
    // However soon it was made.
    let mut soon = Tenant::at(5_000);
    soon.notify(ChangeType::Suspend, 5).pull(State::Running);
    assert_eq!(soon.next(), Some((15, Closed)));
    // Also under an override.
    tenant.gain(&overridden(OverrideAction::Open, 1, None));
    assert_eq!(tenant.next(), Some((15, Closed)));
}

/// Once an upgraded tenant was seen closed, Running counts a settle time later, and the tenant is
/// pulled then, whatever the step.
#[test]
fn running_after_an_upgrade_is_pulled_again_as_it_settles() {
    let mut tenant = Tenant::at(5_000);
    tenant.notify(ChangeType::Upgrade, 5).wait(60).pull(State::OfflineMaintenance);
    tenant.wait(50).pull(State::Running);
    assert_eq!(tenant.next(), Some((10, Closed)));
}

/// An answer that takes until then leaves the step as it is: pulls can't follow each other at once.
#[test]
fn late_running_answer_after_an_upgrade_leaves_the_step() {
    for (late, step) in [(10, 30), (16, 32)] {
        let mut tenant = Tenant::at(5_000);
        tenant.notify(ChangeType::Upgrade, 5).wait(60).pull(State::OfflineMaintenance);
        tenant.wait(50).pull_that_takes(late, State::Running);
        assert_eq!(tenant.next(), Some((step, Closed)), "{late}");
    }
}

#[test]
fn owed_pull_waits_a_second_after_a_late_answer() {
    let mut tenant = Tenant::at(5_000);
    tenant.notify(ChangeType::Suspend, 5).wait(59).pull_that_takes(5, State::Suspended);
    assert_eq!(tenant.next(), Some((1, Owed)));
}

#[test]
fn resume_that_ends_an_upgrade_can_wait_till_all_else_is_done() {
    use ChangeType::{Delete, Resume, Suspend, Upgrade};
    for (changes, trigger) in [
        (&[(Upgrade, 5), (Resume, 10)][..], Trigger::Idle),
        (&[(Suspend, 4), (Upgrade, 5), (Resume, 10)], Trigger::Idle),
        (&[(Suspend, 5), (Resume, 10)], Owed),
        (&[(Upgrade, 5), (Suspend, 6), (Resume, 10)], Owed),
        (&[(Upgrade, 5), (Delete, 6), (Resume, 10)], Owed),
        (&[(Resume, 5), (Upgrade, 10)], Owed),
        (&[(Resume, 10)], Owed),
    ] {
        let mut tenant = Tenant::at(5_000);
        changes.iter().for_each(|(change, at)| _ = tenant.notify(*change, *at));
        assert_eq!(tenant.next(), Some((60, trigger)), "{changes:?}");
    }
}

#[test]
fn pulls_go_on_under_any_override() {
    for action in [OverrideAction::Open, OverrideAction::Close, OverrideAction::Release] {
        let mut tenant = Tenant::at(5_000);
        for _ in 0..4 {
            tenant.pull(State::Suspended);
        }
        tenant.gain(&overridden(action, 1, None));
        assert_eq!(tenant.next(), Some((300, Closed)), "{action:?}");
        let mut open = Tenant::at(5_000);
        open.gain(&overridden(action, 1, None));
        assert_eq!(open.next(), None, "{action:?}");
    }
}

#[test]
fn a_status_that_turned_on_a_pull_is_watched_until_three_agree() {
    let mut tenant = Tenant::at(5_000);
    tenant.notify(ChangeType::Suspend, 5).wait(600).pull(State::Suspended).wait(300);
    tenant.pull(State::Running);
    for step in [60, 300, 900] {
        assert_eq!(tenant.next(), Some((step, Turned)));
        tenant.wait(step).pull(State::Running);
    }
    assert_eq!(tenant.next(), None);
    // A notification that decides ends it.
    tenant.notify(ChangeType::Suspend, 9).wait(60).pull(State::Running);
    assert_eq!(tenant.next(), Some((60, Turned)));
    tenant.notify(ChangeType::Resume, 10);
    assert_eq!(tenant.next(), Some((60, Owed)));
}

#[test]
fn a_turn_that_was_joined_or_loaded_is_watched_too() {
    let facts = [
        notified(ChangeType::Suspend, 5),
        settled(State::Running, 3, Some((OpenClose::Suspend, 5))),
    ];
    let mut joined = Tenant::at(5_000);
    joined.follow(false, |record| _ = record.merge(&record_of(&facts)));
    assert_eq!(joined.next(), Some((60, Turned)));
    assert_eq!(Tenant::loaded(&facts, 5_000).next(), Some((60, Turned)));
    // What notifications say too is not watched.
    let facts =
        [notified(ChangeType::Resume, 5), settled(State::Running, 3, Some((OpenClose::Resume, 5)))];
    assert_eq!(Tenant::loaded(&facts, 5_000).next(), None);
}

#[test]
fn pull_that_older_ones_overrule_is_made_again_and_watched() {
    let stored = [
        notified(ChangeType::Suspend, 5),
        notified(ChangeType::Resume, 10),
        settled(State::Running, 3, Some((OpenClose::Resume, 10))),
    ];
    let overruled = || {
        let mut tenant = Tenant::at(5_000);
        tenant.pull(State::Suspended).wait(100);
        tenant.follow(true, |record| _ = record.merge(&record_of(&stored)));
        assert_eq!(tenant.next(), Some((0, Turned)));
        tenant
    };
    // One that agrees is the first of three.
    assert_eq!(overruled().pull(State::Running).next(), Some((300, Turned)));
    // One that does not, and has not settled, ends nothing.
    let mut tenant = overruled();
    tenant.pull(State::Suspended);
    assert_eq!(status_without_override(&tenant.record).closed, None);
    assert_eq!(tenant.next(), Some((60, Turned)));
    // Nor is one watched that this replica did not make.
    let mut tenant = Tenant::loaded(&[settled(State::Suspended, 1, None)], 5_000);
    tenant.wait(100).follow(true, |record| _ = record.merge(&record_of(&stored)));
    assert_eq!(tenant.next().map(|(_, trigger)| trigger), Some(Turned));
    assert!(!tenant.history.is_overruled());
}

#[test]
fn after_a_load_pulls_are_spread_over_a_step() {
    let knew = Some((OpenClose::Suspend, 5));
    let facts = [notified(ChangeType::Suspend, 5), settled(State::Suspended, 3, knew)];
    let tenant = Tenant::loaded(&facts, 5_000);
    for (random, seconds) in [(1.0, 300), (0.5, 150), (0.1, 30)] {
        let next = tenant.next_at(random).unwrap();
        assert_eq!((next.at, next.trigger), (s(5_000 + seconds), Closed));
    }
    // The settle time of what no pull has settled yet counts from the load.
    let tenant = Tenant::loaded(&facts[..1], 5_000);
    let next = tenant.next_at(0.5).unwrap();
    assert_eq!((next.at, next.trigger), (s(5_030), Owed));
    assert!(tenant.next_at(0.0).unwrap().at > s(5_000));
    // From its first news on a tenant is like any other.
    let mut tenant = Tenant::loaded(&facts, 5_000);
    tenant.wait(100).pull(State::Suspended);
    assert_eq!(tenant.next_at(0.0).unwrap().at, s(5_250));
}

#[test]
fn a_notification_after_the_load_settles_in_full() {
    let mut tenant = Tenant::loaded(&[notified(ChangeType::Move, 4)], 5_000);
    tenant.wait(100).notify(ChangeType::Suspend, 5);
    assert_eq!(tenant.next_at(0.1).unwrap().trigger, Owed);
    assert_eq!(tenant.next_at(0.1).unwrap().at, s(5_160));
}

#[test]
fn jitter_shortens_a_step_by_up_to_its_half() {
    let mut tenant = Tenant::at(5_000);
    for _ in 0..4 {
        tenant.pull(State::Suspended);
    }
    for (random, seconds) in [(0.0, 150), (0.5, 225), (1.0, 300), (9.0, 300), (-1.0, 150)] {
        assert_eq!(tenant.next_at(random).unwrap().at, s(5_000 + seconds));
    }
}

#[test]
fn a_request_is_served_at_once_and_backs_off_after_a_failure() {
    let mut tenant = Tenant::at(5_000);
    tenant.pull(State::Running);
    tenant.requested = true;
    assert_eq!(tenant.next(), Some((0, Requested)));
    for pause in [15, 30, 60, 120, 240, 300, 300] {
        tenant.fail();
        assert_eq!(tenant.next(), Some((pause, Requested)));
        tenant.wait(pause);
        assert_eq!(tenant.next(), Some((0, Requested)));
    }
    tenant.pull(State::Running);
    assert_eq!(tenant.next(), None);
}

#[test]
fn answers_that_say_nothing_back_off_to_the_longest_step() {
    let mut tenant = Tenant::at(5_000);
    tenant.requested = true;
    let mut pauses = Vec::new();
    for _ in 0..10 {
        tenant.unknown();
        pauses.push(tenant.next().unwrap().0);
    }
    assert_eq!(pauses, [15, 30, 60, 120, 240, 480, 960, 1_920, 3_600, 3_600]);
    // A closed tenant is not put off for longer than its longest step.
    tenant.requested = false;
    tenant.gain(&settled(State::Suspended, 1, None));
    for _ in 0..10 {
        tenant.wait(1_000).unknown();
    }
    assert_eq!(tenant.next().unwrap().0, 900);
}

#[test]
fn failures_of_the_state_api_put_off_what_is_owed() {
    let mut tenant = Tenant::at(5_000);
    tenant.notify(ChangeType::Suspend, 5).wait(60).fail();
    assert_eq!(tenant.next(), Some((15, Owed)));
    tenant.wait(15).fail();
    assert_eq!(tenant.next(), Some((30, Owed)));
    // News of another replica ends the back-off.
    tenant.gain(&settled(State::Suspended, 3, Some((OpenClose::Suspend, 5))));
    assert_eq!(tenant.next(), Some((300, Closed)));
}

#[test]
fn new_deciding_notification_alone_ends_a_back_off() {
    let mut tenant = Tenant::at(5_000);
    tenant.notify(ChangeType::Suspend, 5).wait(60);
    for _ in 0..9 {
        tenant.fail();
    }
    assert_eq!(tenant.next(), Some((300, Owed)));
    tenant.notify(ChangeType::Move, 6);
    assert_eq!(tenant.next(), Some((300, Owed)));
    tenant.notify(ChangeType::Suspend, 7);
    assert_eq!(tenant.next(), Some((60, Owed)));
}

#[test]
fn only_pulls_that_agree_end_the_watch_of_a_turn() {
    let knew = Some((OpenClose::Suspend, 5));
    let mut tenant = Tenant::at(5_000);
    tenant.notify(ChangeType::Suspend, 5).gain(&settled(State::Running, 1, knew));
    assert_eq!(tenant.history.turned(), Some(0));
    tenant.notify(ChangeType::Move, 6);
    tenant.gain(&unsettled(State::Suspended, 2, knew));
    assert_eq!(tenant.history.turned(), Some(0), "neither is an agreement");
    for (seq, agreeing) in (3..300).zip([Some(1), Some(2)].into_iter().chain([None; 300])) {
        tenant.gain(&settled(State::Running, seq, knew));
        assert_eq!(tenant.history.turned(), agreeing, "{seq}");
    }
}

#[test]
fn setters_set_what_they_name_and_nothing_else() {
    let (first, longest) = (s(7), s(70));
    let (steps, one) = (Steps { first, longest }, Steps { first, longest: first });
    let (new, default) = (Schedule::new, Schedule::default);
    for (set, expected) in [
        (new().first_after_upgrade(first), Schedule { after_upgrade: first, ..default() }),
        (new().upgrading(first, longest), Schedule { upgrading: steps, ..default() }),
        (new().suspended(first, longest), Schedule { suspended: steps, ..default() }),
        (new().deleted(first, longest), Schedule { deleted: steps, ..default() }),
        (new().not_ready(first), Schedule { not_ready: one, ..default() }),
        (new().failed(first, longest), Schedule { failed: steps, ..default() }),
        (new().pulls_per_second(3), Schedule { pulls_per_second: 3, ..default() }),
        (new().pulls_at_once(4), Schedule { pulls_at_once: 4, ..default() }),
        (new().failed(longest, first), new().failed(longest, longest)),
        (new().suspended(s(0), s(0)), new().suspended(SHORTEST, SHORTEST)),
        (new().first_after_upgrade(s(0)), new().first_after_upgrade(SHORTEST)),
    ] {
        assert_eq!(set, expected);
    }
    let limits = new().pulls_per_second(3).pulls_at_once(4);
    assert_eq!((limits.rate(), limits.at_once()), (3, 4));
}

#[test]
fn steps_of_any_size_neither_panic_nor_wrap() {
    let extreme = Schedule::new()
        .first_after_upgrade(Duration::MAX)
        .upgrading(Duration::MAX, Duration::ZERO)
        .suspended(Duration::ZERO, Duration::MAX)
        .deleted(Duration::MAX, Duration::MAX)
        .not_ready(Duration::ZERO)
        .failed(Duration::MAX, Duration::MAX)
        .pulls_per_second(0)
        .pulls_at_once(0);
    assert_eq!((extreme.rate(), extreme.at_once()), (1, 1));
    let settle = Settle { usual: Duration::MAX, upgrade: Duration::MAX };
    for change in [ChangeType::Upgrade, ChangeType::Suspend, ChangeType::Delete] {
        for mut tenant in [Tenant::at(7), Tenant::loaded(&[notified(change, 5)], 7)] {
            tenant.notify(change, 6).fail();
            tenant.requested = true;
            let situation = Situation {
                record: &tenant.record,
                knowledge: &tenant.knowledge,
                history: &tenant.history,
                settle: &settle,
                requested: false,
                tracked: true,
                valid_for: Some(Duration::MAX),
            };
            for now in [Duration::ZERO, Duration::MAX] {
                for random in [0.0, 1.0, f64::NAN, f64::INFINITY] {
                    assert!(extreme.next_pull(&situation, now, random).is_some());
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn a_closed_tenant_always_has_a_next_pull(
        record in records(),
        loaded: bool,
        later in 0_u64..100_000,
        random in 0.0..1.0,
    ) {
        let mut tenant = Tenant::at(5_000);
        tenant.follow(loaded, |own| _ = own.merge(&record)).wait(later);
        let next = tenant.next_at(random);
        let closed = status_without_override(&tenant.record).closed;
        prop_assert!(next.is_some() || closed.is_none());
        if let (Some(next), Some(closed)) = (next, closed) {
            let steps = Schedule::default().steps(closed.reason, true);
            prop_assert!(next.at <= s(tenant.now) + steps.longest.max(s(900)));
        }
    }
}

#[test]
fn tracked_open_tenant_is_pulled_when_its_answer_is_no_longer_fresh() {
    let mut tenant = Tenant { tracked: true, ..Tenant::at(1_000) };
    assert_eq!(tenant.next(), None, "its first pull is requested");
    tenant.pull(State::Running);
    assert_eq!(tenant.next(), Some((300, Stale)));
    tenant.history.set_fresh(Some(s(1_800)));
    assert_eq!(tenant.next(), Some((1_800, Stale)));
    tenant.wait(1_800).fail();
    assert_eq!(tenant.next(), Some((60, Stale)), "whatever the back-off allows");
    tenant.fail().fail().fail().fail().fail();
    assert_eq!(tenant.next(), Some((300, Stale)));
    tenant.pull(State::Running).notify(ChangeType::Suspend, 5_000);
    assert_eq!(tenant.next(), Some((60, Owed)));
    tenant.wait(60).pull(State::Suspended);
    assert_eq!(tenant.next().unwrap().1, Closed);
    let called = Tenant { tracked: false, ..tenant };
    assert_eq!(called.next().unwrap().1, Closed);
}

#[test]
fn loaded_tracked_tenant_is_pulled_within_its_freshness() {
    let mut tenant = Tenant::loaded(&[settled(State::Running, 1, None)], 500);
    assert_eq!(tenant.next(), None);
    tenant.tracked = true;
    assert_eq!(tenant.next(), Some((300, Stale)));
    assert!(tenant.next_at(0.1).unwrap().at < s(531));
}
