//! The queue of tenants to be written, and the answers of the store so far.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::StoreState;
use crate::{backoff, store::StoreError, tenant_id::TenantId};

/// Delay before a refused tenant is retried. An operator has to fix something first, so frequent
/// retries are of no use.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_secs(15);

/// Pause between attempts while the gate shuts down and has little time left.
pub(super) const LAST_PAUSE: Duration = Duration::from_millis(250);

/// The dirty tenants, and the failures of the store.
#[derive(Default)]
pub(super) struct Dirty {
    tenants: HashMap<TenantId, Entry>,
    /// Dirty tenants that are neither being written nor parked, oldest first, by [`Priority`]. A
    /// tenant that rose leaves its old place behind, whose number is no longer its own.
    queues: [VecDeque<(u64, TenantId)>; 3],
    /// Number of places given so far.
    places: u64,
    /// Number of tenants that are being written because the store lacks them.
    refilling: usize,
    /// Whether changes of others wait to be applied. They may cover tenants that the store lacked,
    /// which are not written until then.
    catching_up: bool,
    /// Tenants that the store refused, by the time of their retry.
    parked: VecDeque<(Instant, TenantId)>,
    /// Number of dirty tenants that the store refused at the last attempt.
    refused: usize,
    outage: Option<Outage>,
    staleness: Option<Staleness>,
    /// Whether the gate shuts down.
    ending: bool,
}

#[derive(Default)]
struct Entry {
    waiting: Vec<Waiter>,
    phase: Phase,
    priority: Priority,
    /// Its place in the queue.
    place: u64,
    /// Whether the store refused it at the last attempt.
    refused: bool,
}

/// The order in which tenants are written. After a loss of data there may be a million to store
/// again, which takes minutes, and a notification is answered within seconds or refused.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Priority {
    /// A write is waited for.
    Awaited,
    #[default]
    Changed,
    /// The store lost it. Another replica may store it first.
    Lacking,
}

/// Number of concurrent writes of tenants that the store lacks. Few, so that replicas that fill the
/// same store receive what the others have stored before they would store it too.
const MAX_REFILLING: usize = 64;

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Queued,
    Writing {
        /// Whether it changed during the write.
        again: bool,
        /// Whether the write is a probe of an unavailable store.
        probe: bool,
    },
    Parked,
}

pub(super) type Waiter = oneshot::Sender<()>;

/// The store can't be written.
struct Outage {
    /// ms since the epoch.
    since: u64,
    tries: u32,
}

/// The store can't be loaded, or its changes are not subscribed to.
struct Staleness {
    /// ms since the epoch.
    since: u64,
    permanent: bool,
}

/// The meaning of a failed write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// The store is unavailable. Carries whether that is new.
    Out { began: bool },
    /// The store refuses this tenant. Carries whether that is new.
    Refused { began: bool },
}

impl Dirty {
    pub(super) fn len(&self) -> usize {
        self.tenants.len()
    }

    /// Returns some of the dirty tenants, in no order, at most `max`.
    pub(super) fn some(&self, max: usize) -> impl Iterator<Item = &TenantId> {
        self.tenants.keys().take(max)
    }

    /// Marks `tenant` after its record changed.
    pub(super) fn mark(&mut self, tenant: &TenantId) {
        if self.tenants.contains_key(tenant) {
            self.raise(tenant, Priority::Changed);
        } else {
            self.insert(tenant, Priority::Changed);
        }
    }

    /// Marks `tenant`, which the store lacks.
    pub(super) fn mark_lacking(&mut self, tenant: &TenantId) {
        match self.tenants.get_mut(tenant) {
            Some(entry) => entry.change(),
            None => self.insert(tenant, Priority::Lacking),
        }
    }

    fn insert(&mut self, tenant: &TenantId, priority: Priority) {
        self.tenants.insert(tenant.clone(), Entry { priority, ..Entry::default() });
        self.enqueue(tenant);
    }

    fn enqueue(&mut self, tenant: &TenantId) {
        let Some(entry) = self.tenants.get_mut(tenant) else { return };
        self.places += 1;
        entry.place = self.places;
        let (priority, place) = (entry.priority, (entry.place, tenant.clone()));
        self.queue(priority).push_back(place);
    }

    fn queue(&mut self, priority: Priority) -> &mut VecDeque<(u64, TenantId)> {
        let [awaited, changed, lacking] = &mut self.queues;
        match priority {
            Priority::Awaited => awaited,
            Priority::Changed => changed,
            Priority::Lacking => lacking,
        }
    }

    /// Notes that `tenant`, which is dirty, changed or is waited for.
    fn raise(&mut self, tenant: &TenantId, priority: Priority) {
        let Some(entry) = self.tenants.get_mut(tenant) else { return };
        // The record being written may have been read before the change.
        entry.change();
        if priority < entry.priority && !entry.is_writing() {
            entry.priority = priority;
            if entry.phase == Phase::Queued {
                self.enqueue(tenant);
            }
        }
    }

    /// Sets whether changes of others wait to be applied.
    pub(super) fn set_catching_up(&mut self, catching_up: bool) {
        self.catching_up = catching_up;
    }

    /// Clears the mark of `tenant`, whose current record the store has. A write in progress is
    /// completed as any other.
    pub(super) fn covered(&mut self, tenant: &TenantId) {
        if self.tenants.get(tenant).is_some_and(|entry| entry.phase == Phase::Queued)
            && let Some(entry) = self.tenants.remove(tenant)
        {
            self.refused -= usize::from(entry.refused);
            for waiter in entry.waiting {
                // Fails when the waiter has timed out and answered already.
                let _ = waiter.send(());
            }
        }
    }

    /// Returns a receiver that gets a message when the current record of `tenant` is stored; `None`
    /// when it already is. Its sender is dropped when the record will not be stored for now, or the
    /// gate shuts down.
    pub(super) fn wait(&mut self, tenant: &TenantId) -> Option<oneshot::Receiver<()>> {
        let entry = self.tenants.get_mut(tenant)?;
        let (sender, receiver) = oneshot::channel();
        if entry.phase != Phase::Parked && !self.ending {
            entry.waiting.push(sender);
        }
        self.raise(tenant, Priority::Awaited);
        Some(receiver)
    }

    /// Puts tenants whose write was interrupted back into the queue. Their waiters are gone.
    pub(super) fn requeue_interrupted(&mut self) {
        let writing = self.tenants.iter().filter(|(_, entry)| entry.is_writing());
        let writing: Vec<_> = writing.map(|(tenant, _)| tenant.clone()).collect();
        writing.iter().for_each(|tenant| self.requeue(tenant));
        self.refilling = 0;
    }

    /// Puts a tenant back into the queue after a write.
    fn requeue(&mut self, tenant: &TenantId) {
        let Some(entry) = self.tenants.get_mut(tenant) else { return };
        let changed = matches!(entry.phase, Phase::Writing { again: true, .. });
        if !entry.waiting.is_empty() {
            entry.priority = Priority::Awaited;
        } else if changed || entry.priority == Priority::Awaited {
            // Its waiters have given up: the others get their turn.
            entry.priority = Priority::Changed;
        }
        entry.phase = Phase::Queued;
        self.enqueue(tenant);
    }

    /// Returns the next tenant to write, and its waiters.
    pub(super) fn begin(&mut self) -> Option<(TenantId, Vec<Waiter>)> {
        let probe = self.outage.is_some();
        for priority in [Priority::Awaited, Priority::Changed, Priority::Lacking] {
            let wait = self.catching_up || self.refilling >= MAX_REFILLING;
            // While the gate shuts down there is no time to wait for others.
            if priority == Priority::Lacking && wait && !self.ending {
                continue;
            }
            while let Some((place, tenant)) = self.queue(priority).pop_front() {
                let Some(entry) = self.tenants.get_mut(&tenant) else { continue };
                if entry.phase != Phase::Queued || entry.place != place {
                    continue;
                }
                entry.phase = Phase::Writing { again: false, probe };
                self.refilling += usize::from(priority == Priority::Lacking);
                return Some((tenant, std::mem::take(&mut entry.waiting)));
            }
        }
        None
    }

    /// Notes that a write of `tenant` ended.
    fn end_write(&mut self, tenant: &TenantId) {
        let lacking = |entry: &Entry| entry.priority == Priority::Lacking;
        self.refilling -= usize::from(self.tenants.get(tenant).is_some_and(lacking));
    }

    /// Completes a write: the tenant is clean, unless it changed since `begin`.
    pub(super) fn finish(&mut self, tenant: &TenantId) {
        self.end_write(tenant);
        let Some(entry) = self.tenants.get_mut(tenant) else { return };
        self.refused -= usize::from(std::mem::take(&mut entry.refused));
        if let Phase::Writing { again: true, .. } = entry.phase {
            self.requeue(tenant);
        } else {
            self.tenants.remove(tenant);
        }
    }

    /// Records a failed write at `now`, which is `unix_ms` since the epoch.
    pub(super) fn fail(
        &mut self,
        (tenant, waiting): (&TenantId, Vec<Waiter>),
        error: &StoreError,
        now: Instant,
        unix_ms: u64,
    ) -> Failed {
        self.end_write(tenant);
        let entry = self.tenants.entry(tenant.clone()).or_default();
        let phase = entry.phase;
        if !error.is_unavailable() {
            // Waiters are released at once: waiting would not help.
            entry.waiting.clear();
            entry.phase = Phase::Parked;
            let began = !std::mem::replace(&mut entry.refused, true);
            self.refused += usize::from(began);
            let pause = if self.ending { LAST_PAUSE } else { REFUSED_PAUSE };
            self.parked.push_back((now + pause, tenant.clone()));
            return Failed::Refused { began };
        }
        entry.waiting.extend(waiting);
        entry.waiting.retain(|waiter| !waiter.is_closed());
        self.requeue(tenant);
        if let Some(outage) = &mut self.outage {
            // All writes in flight at the start of an outage count as one attempt.
            let probe = matches!(phase, Phase::Writing { probe: true, .. });
            outage.tries = outage.tries.saturating_add(u32::from(probe));
            return Failed::Out { began: false };
        }
        self.outage = Some(Outage { since: unix_ms, tries: 0 });
        Failed::Out { began: true }
    }

    /// Puts the parked tenants that are due back into the queue.
    pub(super) fn unpark_due(&mut self, now: Instant) {
        while self.next_unpark().is_some_and(|due| due <= now) {
            if let Some((_, tenant)) = self.parked.pop_front() {
                self.requeue(&tenant);
            }
        }
    }

    /// Returns the time at which the next parked tenant is due.
    pub(super) fn next_unpark(&self) -> Option<Instant> {
        self.parked.front().map(|(due, _)| *due)
    }

    /// Returns the pause before the next attempt, shortened by a part that `random` from 0 to 1
    /// decides; `None` while the store is available.
    pub(super) fn pause(&self, random: f64) -> Option<Duration> {
        let pause = backoff::STORE.jittered(self.outage.as_ref()?.tries, random);
        Some(if self.ending { pause.min(LAST_PAUSE) } else { pause })
    }

    /// Has everything tried again now, and often from now on.
    pub(super) fn begin_end(&mut self, now: Instant) {
        self.ending = true;
        self.parked.iter_mut().for_each(|(due, _)| *due = now);
    }

    pub(super) fn is_ending(&self) -> bool {
        self.ending
    }

    /// Removes the waiters of all writes, and returns them.
    pub(super) fn take_waiters(&mut self) -> Vec<Waiter> {
        self.tenants.values_mut().flat_map(|entry| std::mem::take(&mut entry.waiting)).collect()
    }

    /// Records an answer of the store. Returns the start of the outage, if any, in ms since the
    /// epoch.
    pub(super) fn answered(&mut self) -> Option<u64> {
        self.outage.take().map(|outage| outage.since)
    }

    /// Records that the subscription to changes is lost.
    pub(super) fn disconnected(&mut self, unix_ms: u64) {
        self.staleness.get_or_insert(Staleness { since: unix_ms, permanent: false });
    }

    /// Records that the store can't be loaded. Returns whether that is new.
    pub(super) fn load_failed(&mut self, permanent: bool, unix_ms: u64) -> bool {
        let began = self.staleness.is_none();
        let staleness = self.staleness.get_or_insert(Staleness { since: unix_ms, permanent });
        staleness.permanent = permanent;
        began
    }

    /// Records that the whole store was loaded. `subscribed` tells whether later changes of others
    /// are subscribed to.
    pub(super) fn loaded(&mut self, subscribed: bool) {
        match &mut self.staleness {
            Some(staleness) if !subscribed => staleness.permanent = false,
            staleness => *staleness = None,
        }
    }

    pub(super) fn health(&self) -> StoreState {
        let staleness = self.staleness.as_ref();
        if self.refused > 0 || staleness.is_some_and(|staleness| staleness.permanent) {
            return StoreState::Failed;
        }
        let since = [self.outage.as_ref().map(|o| o.since), staleness.map(|b| b.since)];
        match since.into_iter().flatten().min() {
            Some(since) => StoreState::Stale { since },
            None => StoreState::Fresh,
        }
    }
}

impl Entry {
    fn is_writing(&self) -> bool {
        matches!(self.phase, Phase::Writing { .. })
    }

    fn change(&mut self) {
        if let Phase::Writing { again, .. } = &mut self.phase {
            *again = true;
        }
    }
}
