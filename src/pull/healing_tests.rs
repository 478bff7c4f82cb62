//! Long runs of replicas that follow the schedule: for some hours anything goes wrong that can,
//! then nothing does any more, and soon all replicas say what is true.

use std::{sync::Arc, time::Duration};

use super::schedule::{Schedule, Situation};
use crate::status::{
    ChangeType, Record, State,
    derive::{derive, status_without_override},
    fact::Fact,
    history::{Attempts, Gained, PullHistory},
    knowledge::Knowledge,
    notified::Notified,
    past::Past,
    repetition::repeats,
    settle::Settle,
    stamp::{PullAnswer, PullStamp},
};

/// All times are in seconds.
const STEP: u64 = 5;
const QUIET: u64 = 3 * 3_600;
const LAG: u64 = 60;
/// Time after which all must be well again: the longest step of a suspended tenant, the longest
/// settle time, and the back-off of a state API that has just failed.
const HEALED: u64 = 3_600;

fn settle() -> Settle {
    Settle { usual: Duration::from_secs(LAG), upgrade: Duration::from_secs(900) }
}

struct Replica {
    record: Record,
    knowledge: Knowledge,
    history: PullHistory,
    started: u64,
    in_flight: Option<(PullStamp, u64, u64)>,
    due: Option<u64>,
    partitioned: bool,
    dies: u64,
    /// Offset of its wall clock.
    skew: u64,
}

impl Replica {
    fn start(store: &Record, now: u64) -> Self {
        let mut replica = Self {
            record: Record::default(),
            knowledge: Knowledge::default(),
            history: PullHistory::default(),
            started: now,
            in_flight: None,
            due: None,
            partitioned: false,
            dies: u64::MAX,
            skew: 0,
        };
        replica.follow(true, now, |record| _ = record.merge(store));
        replica
    }

    fn elapsed(&self, now: u64) -> Duration {
        Duration::from_secs(now - self.started)
    }

    fn follow(&mut self, loaded: bool, now: u64, change: impl FnOnce(&mut Record)) {
        let before = self.record.clone();
        change(&mut self.record);
        if before != self.record {
            let gained = match before.pulls().eq(self.record.pulls()) {
                _ if loaded => Gained::Loaded,
                true => Gained::Other,
                false => Gained::Pull,
            };
            let (past, elapsed) = (Past::of(&before), self.elapsed(now));
            self.knowledge.update(&past, &self.record, elapsed);
            let after = (&self.record, &status_without_override(&self.record));
            self.history.update(&past, after, gained, elapsed);
            self.reschedule(now);
        }
    }

    fn reschedule(&mut self, now: u64) {
        let settle = settle();
        let situation = Situation {
            record: &self.record,
            knowledge: &self.knowledge,
            history: &self.history,
            settle: &settle,
            requested: false,
            tracked: false,
            valid_for: None,
        };
        let next = Schedule::default().next_pull(&situation, self.elapsed(now), fastrand::f64());
        self.due = next.map(|next| self.started + next.at.as_secs() + 1);
    }

    fn is_open(&self) -> bool {
        derive(&self.record).closed.is_none()
    }
}

struct Run {
    rng: fastrand::Rng,
    now: u64,
    replicas: Vec<Replica>,
    store: Record,
    truth: Vec<(u64, State)>,
    upgrade: Option<u64>,
    inbox: Vec<(u64, usize, ChangeType, i64)>,
    pulls: u64,
}

/// The chance of each thing that may go wrong in a run, in percent.
struct Trouble {
    lost: u64,
    failed: u64,
    wrong: u64,
    /// Every process lives for at most so many seconds.
    life: Option<u64>,
}

impl Run {
    fn new(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let replicas = (0..rng.usize(1..=3)).map(|_| Replica::start(&Record::default(), 0));
        Self {
            replicas: replicas.collect(),
            rng,
            now: 0,
            store: Record::default(),
            truth: vec![(0, State::Running)],
            upgrade: None,
            inbox: Vec::new(),
            pulls: 0,
        }
    }

    fn percent(&mut self, percent: u64) -> bool {
        self.rng.u64(0..100) < percent
    }

    fn state(&self) -> State {
        self.truth.last().unwrap().1
    }

    fn happen(&mut self, trouble: &Trouble) {
        let state = self.state();
        let (change, next) = match self.rng.u8(0..8) {
            0..3 if state != State::Running || self.upgrade.is_some() => {
                (ChangeType::Resume, Some(State::Running))
            }
            3..5 if state == State::Running && self.upgrade.is_none() => {
                (ChangeType::Upgrade, None)
            }
            5..7 if state == State::Running => (ChangeType::Suspend, Some(State::Suspended)),
            7 if state != State::Deleted => (ChangeType::Delete, Some(State::Deleted)),
            _ => return,
        };
        self.upgrade = None;
        match next {
            Some(next) => self.truth.push((self.now, next)),
            None => self.upgrade = Some(self.now + self.rng.u64(0..840)),
        }
        if !self.percent(trouble.lost) {
            for _ in 0..self.rng.u8(1..=2) {
                let late = if self.percent(70) { 5 } else { 4_000 };
                let at = self.now + self.rng.u64(0..late);
                let replica = self.rng.usize(..self.replicas.len());
                self.inbox.push((at, replica, change, i64::try_from(self.now).unwrap()));
            }
        }
    }

    /// Returns the answer of the state API to a request that was sent at `sent`.
    fn answer(&mut self, sent: u64) -> State {
        let moment = self.rng.u64(sent.saturating_sub(LAG)..=self.now);
        let known = self.truth.iter().rfind(|(since, _)| *since <= moment);
        known.map_or(State::Running, |(_, state)| *state)
    }

    fn step(&mut self, quiet: bool, trouble: &Trouble) {
        if self.upgrade.is_some_and(|begins| begins <= self.now || quiet) {
            self.upgrade = None;
            self.truth.push((self.now, State::OfflineMaintenance));
        }
        let (now, due) = (self.now, std::mem::take(&mut self.inbox));
        for (at, replica, change, token_time) in due {
            if at > now {
                self.inbox.push((at, replica, change, token_time));
                continue;
            }
            let own = &mut self.replicas[replica];
            let notified = Notified::new(change, token_time, now + own.skew, Arc::default());
            own.follow(false, now, |record| _ = record.record_notification(notified));
        }
        for index in 0..self.replicas.len() {
            self.live(index, quiet, trouble);
        }
        self.now += STEP;
    }

    fn live(&mut self, index: usize, quiet: bool, trouble: &Trouble) {
        let now = self.now;
        if quiet {
            self.replicas[index].partitioned = false;
        } else if self.percent(1) {
            self.replicas[index].partitioned ^= true;
            self.replicas[index].skew = self.rng.u64(0..10_000_000);
        }
        if let Some(life) = trouble.life
            && self.replicas[index].dies == u64::MAX
        {
            self.replicas[index].dies = now + self.rng.u64(5..=life);
        }
        if self.replicas[index].dies <= now {
            self.replicas[index] = Replica::start(&self.store, now);
        }
        match self.replicas[index].in_flight {
            Some((stamp, sent, lands)) if lands <= now => {
                self.replicas[index].in_flight = None;
                self.complete(index, stamp, sent, quiet, trouble);
            }
            None if self.replicas[index].due.is_some_and(|due| due <= now) => {
                let own = &mut self.replicas[index];
                let elapsed = own.elapsed(now);
                let stamp = PullStamp::new(&own.record, &own.knowledge, &settle(), elapsed);
                own.in_flight = Some((stamp, now, now + self.rng.u64(0..=2) * STEP));
                self.pulls += 1;
            }
            _ => {}
        }
        if !self.replicas[index].partitioned {
            let own = &mut self.replicas[index];
            self.store.merge(&own.record);
            own.follow(false, now, |record| _ = record.merge(&self.store));
        }
    }

    fn complete(
        &mut self,
        index: usize,
        stamp: PullStamp,
        sent: u64,
        quiet: bool,
        trouble: &Trouble,
    ) {
        let now = self.now;
        let failed = !quiet && self.percent(trouble.failed);
        let wrong = !quiet && self.percent(trouble.wrong);
        let state = if wrong { State::Running } else { self.answer(sent) };
        let own = &mut self.replicas[index];
        let elapsed = own.elapsed(now);
        if failed {
            own.history.attempted(own.history.attempts().failed(), elapsed);
        } else {
            let taken_at = now + own.skew;
            let answer = PullAnswer { state, details: Arc::default(), fresh: None, taken_at };
            let pulled = stamp.into_pull(answer, &own.record, &settle());
            if own.history.turned().is_none() && repeats(&pulled, &own.record, &settle()) {
                let past = Past::of(&own.record);
                let after = (&own.record, &status_without_override(&own.record));
                own.history.update(&past, after, Gained::Pull, elapsed);
            } else {
                own.follow(false, now, |record| _ = record.insert(&Fact::Pulled(pulled)));
            }
            own.history.attempted(Attempts::None, elapsed);
        }
        own.reschedule(now);
    }

    fn is_right(&self) -> bool {
        let open = self.state() == State::Running;
        self.replicas.iter().all(|own| own.is_open() == open)
    }
}

fn heal(seed: u64, short_lives: bool) {
    // The schedule's jitter is drawn from the thread's own generator.
    fastrand::seed(seed);
    let mut run = Run::new(seed);
    let life = short_lives.then(|| run.rng.u64(10..50));
    let trouble = Trouble {
        lost: run.rng.u64(0..60),
        failed: run.rng.u64(0..40),
        wrong: run.rng.u64(0..10),
        life,
    };
    let (chaos, gap) = (run.rng.u64(600..5_000), run.rng.u64(20..1_000));
    let mut next = 0;
    while run.now < chaos {
        if run.now >= next {
            next = run.now + run.rng.u64(5..=gap);
            run.happen(&trouble);
        }
        run.step(false, &trouble);
    }
    // Every tenant ends closed or notified of: an open one that is not called is not pulled.
    let (before, mut wrong) = (run.pulls, 0);
    while run.now < chaos + QUIET {
        run.step(true, &trouble);
        if !run.is_right() {
            wrong = run.now;
        }
    }
    let closed = run.state() != State::Running;
    let asked = run.replicas.iter().all(|own| own.due.is_some());
    let unnoticed = closed && run.replicas.iter().all(Replica::is_open) && !asked;
    assert!(
        wrong <= chaos + HEALED || unnoticed,
        "seed {seed}: wrong until {} s after the last trouble, truth {:?}, {}",
        wrong - chaos,
        run.truth.last(),
        String::from_utf8_lossy(&run.replicas[0].record.encode()),
    );
    if !short_lives {
        let most = run.replicas.len() as u64 * QUIET / 40;
        assert!(run.pulls - before <= most, "seed {seed}: {} pulls", run.pulls - before);
    }
}

#[test]
fn replicas_heal_after_hours_of_trouble() {
    for seed in 0..30 {
        heal(seed, false);
    }
}

#[test]
fn replicas_that_restart_all_the_time_heal_too() {
    for seed in 0..10 {
        heal(1_000 + seed, true);
    }
}
