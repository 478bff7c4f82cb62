//! A small world: a tenant, the notifications about it, a state API that lags, replicas with clocks
//! of their own, and the store between them. It runs the algebra as it is, and judges each step.

use std::{
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use foldhash::quality::FixedState;

use crate::status::{
    Record, State, UnavailableReason,
    derive::{Derived, derive},
    fact::Fact,
    knowledge::Knowledge,
    notified::{Notified, OpenClose},
    past::Past,
    pulled::Knew,
    repetition::repeats,
    settle::Settle,
    stamp::{PullAnswer, PullStamp},
    state::PullOutcome,
};

/// The limits of a world, and the events that may happen in it.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) replicas: usize,
    pub(super) ticks: u8,
    /// Number of ticks for which the state API may answer with an earlier state.
    pub(super) lag: u8,
    /// Largest number of ticks from the notice of an upgrade to its beginning.
    pub(super) notice: u8,
    pub(super) types: &'static [OpenClose],
    pub(super) budget: Budget,
    /// Two ticks share a token second, in which more than one event may happen.
    pub(super) shared_seconds: bool,
    /// An event may be announced again.
    pub(super) repeats: bool,
    /// Wall times that a replica's clock may show at any moment.
    pub(super) walls: &'static [u64],
}

/// Number of times that each thing may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(super) struct Budget {
    pub(super) events: u8,
    pub(super) deliveries: u8,
    pub(super) pulls: u8,
    pub(super) restarts: u8,
    /// Answers that were never true.
    pub(super) wrong: u8,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Step {
    Tick,
    Event(OpenClose),
    UpgradeBegins,
    Deliver { event: usize, replica: usize, wall: u64 },
    Send { replica: usize },
    Answer { replica: usize, state: State, wall: u64 },
    Sync { replica: usize },
    Restart { replica: usize },
}

#[derive(Debug, Clone)]
pub(super) struct World {
    now: u8,
    left: Budget,
    /// States of the tenant, and since when; latest last.
    truth: Vec<(u8, State)>,
    events: Vec<Knew>,
    last_event: Option<u8>,
    /// The last tick at which an announced upgrade may begin.
    upgrade_by: Option<u8>,
    replicas: Vec<Replica>,
    store: Record,
    /// Each outcome that a pull said, with what it knew.
    said: Vec<(PullOutcome, Option<Knew>)>,
}

#[derive(Debug, Clone, Default)]
struct Replica {
    record: Record,
    knowledge: Knowledge,
    in_flight: Option<(PullStamp, u8)>,
}

const TICK: Duration = Duration::from_secs(10);
const ANSWERS: [State; 4] =
    [State::Running, State::OfflineMaintenance, State::Suspended, State::Deleted];

impl Scenario {
    fn settle(&self) -> Settle {
        let ticks = |ticks: u8| TICK * u32::from(ticks);
        Settle { usual: ticks(self.lag), upgrade: ticks(self.lag + self.notice) }
    }

    fn steps(&self) -> Vec<Step> {
        let mut steps = vec![Step::Tick, Step::UpgradeBegins];
        steps.extend(self.types.iter().map(|own| Step::Event(*own)));
        for replica in 0..self.replicas {
            for &wall in self.walls {
                let events = 0..usize::from(self.budget.events);
                steps.extend(events.map(|event| Step::Deliver { event, replica, wall }));
                steps.extend(ANSWERS.map(|state| Step::Answer { replica, state, wall }));
            }
            steps.push(Step::Send { replica });
            if self.replicas > 1 || self.budget.restarts > 0 {
                steps.extend([Step::Sync { replica }, Step::Restart { replica }]);
            }
        }
        steps
    }
}

impl World {
    pub(super) fn new(scenario: &Scenario) -> Self {
        Self {
            now: 1,
            left: scenario.budget,
            truth: vec![(0, State::Running)],
            events: Vec::new(),
            last_event: None,
            upgrade_by: None,
            replicas: vec![Replica::default(); scenario.replicas],
            store: Record::default(),
            said: Vec::new(),
        }
    }

    /// Calls `each` with every step that can come next, the world after it, and what is wrong with
    /// that.
    pub(super) fn next(
        &self,
        scenario: &Scenario,
        mut each: impl FnMut(Step, Self, Result<(), &'static str>),
    ) {
        for step in scenario.steps() {
            let mut next = self.clone();
            if let Some(judged) = next.take(step, scenario) {
                each(step, next, judged);
            }
        }
    }

    fn state(&self) -> State {
        self.truth.last().unwrap().1
    }

    fn become_state(&mut self, state: State) {
        self.upgrade_by = None;
        if self.state() != state {
            self.truth.push((self.now, state));
        }
    }

    fn elapsed(&self) -> Duration {
        TICK * u32::from(self.now)
    }

    fn take(&mut self, step: Step, scenario: &Scenario) -> Option<Result<(), &'static str>> {
        let judged = match step {
            Step::Tick => {
                let late = self.upgrade_by.is_some_and(|by| self.now >= by);
                self.now = Some(self.now + 1).filter(|now| *now <= scenario.ticks && !late)?;
                Ok(())
            }
            Step::Event(change) => self.happen(change, scenario).map(|()| Ok(()))?,
            Step::UpgradeBegins => {
                self.upgrade_by?;
                self.become_state(State::OfflineMaintenance);
                Ok(())
            }
            Step::Deliver { event, replica, wall } => self.deliver(event, replica, wall)?,
            Step::Send { replica } => {
                self.left.pulls = self.left.pulls.checked_sub(1)?;
                let (settle, now, elapsed) = (scenario.settle(), self.now, self.elapsed());
                let own = self.replicas.get_mut(replica).filter(|own| own.in_flight.is_none())?;
                let stamp = PullStamp::new(&own.record, &own.knowledge, &settle, elapsed);
                own.in_flight = Some((stamp, now));
                Ok(())
            }
            Step::Answer { replica, state, wall } => self.answer(replica, state, wall, scenario)?,
            Step::Sync { replica } => self.sync(replica)?,
            Step::Restart { replica } => {
                self.left.restarts = self.left.restarts.checked_sub(1)?;
                let mut knowledge = Knowledge::default();
                knowledge.update(&Past::of(&Record::default()), &self.store, self.elapsed());
                let record = self.store.clone();
                self.replicas[replica] = Replica { record, knowledge, in_flight: None };
                Ok(())
            }
        };
        Some(judged.and_then(|()| self.judge(scenario)))
    }

    /// Has something happen to the tenant, and announces it.
    fn happen(&mut self, change: OpenClose, scenario: &Scenario) -> Option<()> {
        let state = self.state();
        let again = scenario.repeats && self.events.last().map(|own| own.change) == Some(change);
        let possible = match change {
            OpenClose::Resume => state != State::Running || self.upgrade_by.is_some(),
            OpenClose::Upgrade if self.upgrade_by.is_some() => again,
            OpenClose::Upgrade => state == State::Running,
            OpenClose::Suspend => state != State::Deleted && (state != State::Suspended || again),
            OpenClose::Delete => state != State::Deleted,
        };
        let one_a_tick = scenario.shared_seconds || self.last_event != Some(self.now);
        let second = if scenario.shared_seconds { self.now / 2 } else { self.now };
        let event = Knew { change, token_time: i64::from(second) };
        if !possible || !one_a_tick || self.events.contains(&event) {
            return None;
        }
        self.left.events = self.left.events.checked_sub(1)?;
        self.events.push(event);
        self.last_event = Some(self.now);
        match change {
            OpenClose::Resume => self.become_state(State::Running),
            OpenClose::Upgrade => self.upgrade_by = Some(self.now + scenario.notice),
            OpenClose::Suspend => self.become_state(State::Suspended),
            OpenClose::Delete => self.become_state(State::Deleted),
        }
        Some(())
    }

    fn deliver(
        &mut self,
        event: usize,
        replica: usize,
        wall: u64,
    ) -> Option<Result<(), &'static str>> {
        let Knew { change, token_time } = *self.events.get(event)?;
        self.left.deliveries = self.left.deliveries.checked_sub(1)?;
        let elapsed = self.elapsed();
        let own = &mut self.replicas[replica];
        let before = own.record.clone();
        own.record.record_notification(Notified::new(
            change.change(),
            token_time,
            wall,
            Arc::default(),
        ));
        own.knowledge.update(&Past::of(&before), &own.record, elapsed);
        let (last, next) = (derive(&before), derive(&own.record));
        let known =
            before.notified(change.change()).is_some_and(|own| own.token_time == token_time);
        let newest = before.notifications().all(|own| own.token_time <= token_time) && !known;
        let old = before.deciding().is_some_and(|own| own.token_time > token_time);
        let deleted = |derived: &Derived| {
            derived.outcome() == PullOutcome::Closed(UnavailableReason::Deleted)
        };
        let stays_deleted = deleted(&last) && deleted(&next) && change != OpenClose::Resume;
        let comes_back = !deleted(&last) && deleted(&next) && change != OpenClose::Delete;
        Some(if newest && !stays_deleted && next.outcome() != outcome(change) {
            Err("the newest notification does not act at once")
        } else if newest && comes_back {
            Err("a Delete that was overruled comes back")
        } else if old && next.closed.is_some() != last.closed.is_some() {
            Err("an old notification that comes late opens or closes")
        } else if known && (before != own.record || next != last) {
            Err("a duplicate changes something")
        } else {
            Ok(())
        })
    }

    /// Returns the states that an answer to a request sent at `sent` may have.
    fn visible(&self, sent: u8, lag: u8) -> impl Iterator<Item = State> {
        let oldest = sent.saturating_sub(lag);
        let base = self.truth.iter().rposition(|(since, _)| *since <= oldest).unwrap_or(0);
        self.truth.iter().skip(base).map(|(_, state)| *state)
    }

    fn answer(
        &mut self,
        replica: usize,
        state: State,
        wall: u64,
        scenario: &Scenario,
    ) -> Option<Result<(), &'static str>> {
        let (stamp, sent) = self.replicas[replica].in_flight?;
        let wrong = !self.visible(sent, scenario.lag).any(|own| own == state);
        if wrong {
            self.left.wrong = self.left.wrong.checked_sub(1)?;
        }
        let elapsed = self.elapsed();
        let own = &mut self.replicas[replica];
        own.in_flight = None;
        let before = own.record.clone();
        let answer = PullAnswer { state, details: Arc::default(), fresh: None, taken_at: wall };
        let pulled = stamp.into_pull(answer, &before, &scenario.settle());
        let said = (pulled.outcome(), pulled.knew());
        if !repeats(&pulled, &before, &scenario.settle()) {
            own.record.insert(&Fact::Pulled(pulled));
        }
        own.knowledge.update(&Past::of(&before), &own.record, elapsed);
        let (last, next) = (derive(&before), derive(&own.record));
        if !self.said.contains(&said) {
            self.said.push(said);
        }
        let agrees = last.rests_on_pull() && last.outcome() == state.outcome();
        Some(if agrees && !wrong && next.outcome() != last.outcome() {
            Err("an answer that agrees with the status undoes it")
        } else {
            Ok(())
        })
    }

    fn sync(&mut self, replica: usize) -> Option<Result<(), &'static str>> {
        let elapsed = self.elapsed();
        let own = &mut self.replicas[replica];
        if own.record == self.store {
            return None;
        }
        let (mine, theirs) = (own.record.clone(), self.store.clone());
        self.store.merge(&own.record);
        own.record.merge(&self.store);
        own.knowledge.update(&Past::of(&mine), &own.record, elapsed);
        let joined = derive(&own.record);
        let newer_by_pull = |record: &Record, derived: &Derived| {
            record.deciding() == own.record.deciding() && derived.rests_on_pull()
        };
        let (one, other) = (derive(&mine), derive(&theirs));
        let same = one.outcome() == other.outcome();
        Some(if own.record != self.store {
            Err("replica and store differ after they were joined")
        } else if same
            && joined.outcome() != one.outcome()
            && (newer_by_pull(&mine, &one) || newer_by_pull(&theirs, &other))
        {
            Err("both said the same by a pull, and their join says another thing")
        } else {
            Ok(())
        })
    }

    /// Judges what every replica says now.
    fn judge(&self, scenario: &Scenario) -> Result<(), &'static str> {
        for own in &self.replicas {
            let derived = derive(&own.record);
            self.judge_newest(own, &derived, scenario)?;
            self.judge_confirmed(own, &derived)?;
        }
        Ok(())
    }

    /// Judges a replica that has the newest event: its status is what that means, and no answer
    /// that lags undoes it.
    fn judge_newest(
        &self,
        own: &Replica,
        derived: &Derived,
        scenario: &Scenario,
    ) -> Result<(), &'static str> {
        let Some((newest, before)) = self.events.split_last() else { return Ok(()) };
        if scenario.budget.wrong > 0
            || scenario.shared_seconds
            || own.record.notified(newest.change.change()).map(|own| own.token_time)
                != Some(newest.token_time)
        {
            return Ok(());
        }
        // Accepted: an opening between two closings of one type that was lost.
        let resumed = before.iter().rposition(|own| own.change == OpenClose::Resume);
        let closed_before = resumed
            .is_some_and(|index| before.iter().take(index).any(|own| own.change == newest.change));
        let accepted = newest.change != OpenClose::Resume && closed_before;
        let opens = newest.change == OpenClose::Resume;
        if derived.closed.is_some() == opens && !accepted {
            return Err("the newest event is known, and the status is another");
        }
        Ok(())
    }

    /// Judges a confirmed status: a pull has said the same that knew the deciding notification or a
    /// later one.
    fn judge_confirmed(&self, own: &Replica, derived: &Derived) -> Result<(), &'static str> {
        let deciding = own.record.deciding();
        let said = |(outcome, knew): &(PullOutcome, Option<Knew>)| {
            let knew = match (deciding, *knew) {
                (Some(deciding), Some(knew)) => knew.token_time >= deciding.token_time,
                (Some(_), None) => false,
                (None, _) => true,
            };
            *outcome == derived.outcome() && knew
        };
        if derived.confirmed && !self.said.iter().any(said) {
            return Err("confirmed, and no pull said so");
        }
        Ok(())
    }

    /// Returns 64 bits that distinguish this world from others, whichever replica is called the
    /// first.
    pub(super) fn key(&self) -> u64 {
        let hasher = || FixedState::with_seed(1).build_hasher();
        let one = |replica: &Replica| {
            let mut hasher = hasher();
            feed(&replica.record, &mut hasher);
            (replica.knowledge, replica.in_flight).hash(&mut hasher);
            hasher.finish()
        };
        let mut replicas: Vec<_> = self.replicas.iter().map(one).collect();
        replicas.sort_unstable();
        let mut said = self.said.clone();
        said.sort_unstable();
        let mut hasher = hasher();
        (self.now, self.left, &self.truth, &self.events, self.upgrade_by).hash(&mut hasher);
        (replicas, said).hash(&mut hasher);
        feed(&self.store, &mut hasher);
        hasher.finish()
    }
}

fn outcome(change: OpenClose) -> PullOutcome {
    change.reason().map_or(PullOutcome::Running, PullOutcome::Closed)
}

fn feed(record: &Record, hasher: &mut impl Hasher) {
    for fact in record.facts() {
        match fact {
            Fact::Notified(own) => (own.position(), own.received_at).hash(hasher),
            Fact::Pulled(own) => {
                (own.state, own.knew(), own.seq, own.known, own.settled, own.since).hash(hasher);
            }
            Fact::Override(_) => unreachable!("no operator here"),
        }
    }
}
