//! A search through everything that can happen to one tenant, two replicas and their store.
//!
//! Breadth first, over the pure parts as they are: records, their merge and status, the schedule.
//! Notifications are dropped, duplicated and reordered, answers lag or fail to come, replicas and
//! store talk when they like. In every state that can be reached a closed tenant has a next look;
//! and from every one of them, once things go well, both replicas come to the same truth.

use std::{
    collections::HashSet,
    hash::{BuildHasher, Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use foldhash::quality::FixedState;

use super::{
    answer::Answer,
    schedule::{Last, Schedule},
};
use crate::status::{
    ChangeType, Record, State,
    derive::{Settle, status, underneath},
    fact::{Fact, Notified},
};

/// Time goes in steps of this many ms.
const TICK: u64 = 30_000;
const T0: u64 = 1_700_000_000_000;
/// For so many ticks anything may happen.
const TICKS: u64 = 3;
/// What happens to the tenant itself, at most.
const CHANGES: usize = 2;
/// Once things go well, all is well after this many ticks: the longest step of the schedule below,
/// the longest settle time, and one more round for the other replica.
const HEALS: u64 = 20;

fn settle() -> Settle {
    Settle { usual: Duration::from_millis(TICK), upgrade: Duration::from_millis(2 * TICK) }
}

fn schedule() -> Schedule {
    let ticks = |n: u64| Duration::from_millis(n * TICK);
    Schedule::new()
        .first_after_upgrade(ticks(1))
        .upgrading(ticks(1), ticks(2))
        .suspended(ticks(2), ticks(4))
        .deleted(ticks(6))
        .not_ready(ticks(6))
        .failed(ticks(1), ticks(3))
}

#[derive(Clone)]
struct World {
    now: u64,
    /// What the tenant is, and since when; latest last.
    truth: Vec<(u64, State)>,
    /// Announced and not lost yet: whoever wants may hear of it, also again.
    announced: Vec<Notified>,
    replicas: [Replica; 2],
    store: Record,
}

#[derive(Clone, Default)]
struct Replica {
    record: Record,
    due: Option<u64>,
    tries: u8,
    /// It has taken its turn to look in this tick: a look takes time.
    looked: bool,
}

impl Replica {
    fn reschedule(&mut self, last: Last, now: u64) {
        self.due = schedule().next_look(&self.record, &settle(), last, now, 1.0);
        self.tries = match last {
            Last::Failed { tries, .. } | Last::Silent { tries } => tries,
            _ => 0,
        };
    }

    fn take(&mut self, record: &Record, now: u64) {
        if self.record.merge(record) {
            self.reschedule(Last::Unasked, now);
        }
    }

    fn hear(&mut self, notified: &Notified, now: u64) {
        self.take(&arriving(notified, now), now);
    }

    fn has(&self, notified: &Notified) -> bool {
        self.record.notified(notified.change).is_some_and(|own| own.at == notified.at)
    }

    /// Looks, and is told that the tenant is in `state`; `None` when no answer comes.
    fn look(&mut self, state: Option<State>, now: u64) {
        self.looked = true;
        let Some(state) = state else {
            let last = Last::Failed { tries: self.tries.saturating_add(1), retry_after: None };
            return self.reschedule(last, now);
        };
        let answer = Answer { state: Some(state), endpoint: None, valid_until: None };
        let pulled = answer.pulled(now, &self.record).unwrap();
        self.record.merge(&Record::of(Fact::Pulled(pulled)));
        self.reschedule(Last::Told { valid_until: None }, now);
    }

    fn may_look(&self, now: u64) -> bool {
        !self.looked && self.due.is_some_and(|due| due <= now)
    }

    fn is_open(&self) -> bool {
        status(&self.record, &settle()).is_available()
    }
}

fn arriving(notified: &Notified, now: u64) -> Record {
    Record::of(Fact::Notified(Notified { seen: now, ..notified.clone() }))
}

impl World {
    fn new() -> Self {
        Self {
            now: T0,
            truth: vec![(0, State::Running)],
            announced: Vec::new(),
            replicas: Default::default(),
            store: Record::default(),
        }
    }

    fn state(&self) -> State {
        self.truth.last().unwrap().1
    }

    /// What may come next.
    fn next(&self, mut each: impl FnMut(World)) {
        self.changes(&mut each);
        for replica in 0..2 {
            for notified in &self.announced {
                if self.replicas[replica].has(notified) {
                    // It comes again: nothing may change.
                    let mut again = self.replicas[replica].record.clone();
                    assert!(!again.merge(&arriving(notified, self.now)), "a replay counts");
                    continue;
                }
                let mut heard = self.clone();
                heard.replicas[replica].hear(notified, self.now);
                each(heard);
            }
            if self.replicas[replica].may_look(self.now) {
                let mut answers = vec![None];
                answers.extend(self.plausible().into_iter().map(Some));
                for answer in answers {
                    let mut looked = self.clone();
                    looked.replicas[replica].look(answer, self.now);
                    each(looked);
                }
            }
            if self.store != self.replicas[replica].record {
                let mut synced = self.clone();
                synced.sync(replica);
                each(synced);
            }
        }
        if self.now < T0 + TICKS * TICK {
            each(self.ticked());
        }
    }

    fn sync(&mut self, replica: usize) {
        self.store.merge(&self.replicas[replica].record);
        self.replicas[replica].take(&self.store, self.now);
    }

    fn ticked(&self) -> World {
        let mut later = self.clone();
        later.now += TICK;
        later.replicas.iter_mut().for_each(|replica| replica.looked = false);
        later
    }

    /// What may happen to the tenant, told to nobody yet.
    fn changes(&self, each: &mut impl FnMut(World)) {
        if self.truth.len() > CHANGES {
            return;
        }
        let changes: &[(ChangeType, State)] = match self.state() {
            State::Running => &[
                (ChangeType::Suspend, State::Suspended),
                (ChangeType::Upgrade, State::OfflineMaintenance),
                (ChangeType::Delete, State::Deleted),
            ],
            State::Suspended => {
                &[(ChangeType::Resume, State::Running), (ChangeType::Delete, State::Deleted)]
            }
            _ => &[(ChangeType::Resume, State::Running)],
        };
        for &(change, state) in changes {
            let mut changed = self.clone();
            let at = i64::try_from(self.truth.len()).unwrap();
            let details = Arc::default();
            changed.announced.push(Notified { change, at, seen: 0, details });
            changed.truth.push((self.now, state));
            each(changed);
        }
    }

    /// What a state API that lags by less than a settle time may answer.
    fn plausible(&self) -> Vec<State> {
        let oldest = self.now - TICK + 1;
        let mut states: Vec<_> = (0..self.truth.len())
            .filter(|&place| self.truth.get(place + 1).is_none_or(|&(end, _)| end >= oldest))
            .map(|place| self.truth[place].1)
            .collect();
        states.dedup();
        states
    }

    fn has_looks(&self) -> bool {
        self.replicas.iter().all(|replica| {
            underneath(&replica.record, &settle()).is_none() || replica.due.is_some()
        })
    }

    /// A tick in which all is well: nothing new happens, answers are true, and all talk to each other.
    fn healed(&self) -> World {
        let mut world = self.ticked();
        for replica in 0..2 {
            world.sync(replica);
            if world.replicas[replica].may_look(world.now) {
                world.replicas[replica].look(Some(self.state()), world.now);
                world.sync(replica);
            }
        }
        world
    }

    /// What is wrong in a world in which all has been well for long enough.
    fn fault(&self) -> Result<(), &'static str> {
        let world = self;
        let [one, other] = &world.replicas;
        if status(&one.record, &settle()) != status(&other.record, &settle()) {
            return Err("the replicas disagree");
        }
        match (one.is_open(), world.state().is_running()) {
            (false, true) => Err("a tenant that runs stays closed"),
            // That it is closed was never announced, or all that was lost: nobody asks about an open
            // tenant without reason.
            (true, false) if !one.record.facts().is_empty() => {
                let heard = world.announced.iter().any(|last| {
                    last.change != ChangeType::Resume
                        && one.record.notified(last.change).is_some_and(|own| own.at == last.at)
                        && last.at == i64::try_from(world.truth.len() - 1).unwrap()
                });
                if heard { Err("a tenant that is known to be closed is open") } else { Ok(()) }
            }
            _ => Ok(()),
        }
    }
}

/// What was found of worlds that have been seen.
#[derive(Default)]
struct Search {
    seen: HashSet<u64>,
    /// Worlds that were followed, with all going well from then on, and how many ticks were left.
    healed: HashSet<(u64, u64)>,
}

impl Search {
    fn check(&mut self, world: &World) {
        assert!(world.has_looks(), "closed without a next look: {}", tell(world));
        let mut later = world.clone();
        for left in (0..HEALS).rev() {
            later = later.healed();
            // Most worlds soon come to be one that was followed before.
            if !self.healed.insert((later.hash(), left)) {
                return;
            }
        }
        if let Err(fault) = later.fault() {
            panic!("{fault}: {}\nafter: {}", tell(&later), tell(world));
        }
    }
}

#[test]
fn no_tenant_stays_closed_without_a_look_and_replicas_converge() {
    let mut search = Search::default();
    let mut frontier = vec![World::new()];
    while !frontier.is_empty() {
        let mut further = Vec::new();
        for world in frontier {
            world.next(|next| {
                if search.seen.insert(next.hash()) {
                    search.check(&next);
                    further.push(next);
                }
            });
        }
        frontier = further;
    }
    assert!(search.seen.len() > 100_000, "only {} states were reached", search.seen.len());
}

impl World {
    /// 64 bits that tell this world from others, whichever replica is called the first. Among a
    /// million worlds two are mistaken for one about once in 30 million runs.
    fn hash(&self) -> u64 {
        let hasher = || FixedState::with_seed(1).build_hasher();
        let one = |replica: &Replica| {
            let mut hasher = hasher();
            feed(&replica.record, &mut hasher);
            (replica.due, replica.tries, replica.looked).hash(&mut hasher);
            hasher.finish()
        };
        let mut replicas = self.replicas.each_ref().map(one);
        replicas.sort_unstable();
        let mut hasher = hasher();
        (self.now, &self.truth, replicas).hash(&mut hasher);
        feed(&self.store, &mut hasher);
        for notified in &self.announced {
            (notified.change, notified.at).hash(&mut hasher);
        }
        hasher.finish()
    }
}

fn feed(record: &Record, hasher: &mut impl Hasher) {
    for fact in record.facts() {
        match fact {
            Fact::Notified(notified) => (notified.change, notified.at, notified.seen).hash(hasher),
            Fact::Pulled(pulled) => (pulled.state, pulled.asked, pulled.since).hash(hasher),
            Fact::Word(_) => panic!("nobody spoke"),
        }
    }
}

fn tell(world: &World) -> String {
    let text = |record: &Record| String::from_utf8(record.encode()).unwrap();
    format!(
        "tick {}, truth {:?}, store {}, replicas {:?}",
        (world.now - T0) / TICK,
        world.truth,
        text(&world.store),
        world.replicas.each_ref().map(|replica| (text(&replica.record), replica.due)),
    )
}
