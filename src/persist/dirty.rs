//! Which tenants have to be written, in which order, and how the store has answered so far.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::StoreState;
use crate::{store::StoreError, tenant_id::TenantId};

/// After this time a tenant that the store refused is tried again. Somebody has to mend something
/// first, so there is no use in asking often.
pub(super) const REFUSED_PAUSE: Duration = Duration::from_secs(15);

/// The dirty tenants and the troubles of the store.
#[derive(Default)]
pub(super) struct Dirty {
    tenants: HashMap<TenantId, Entry>,
    /// Dirty tenants that are neither being written nor set aside, in the order they became so.
    queue: VecDeque<TenantId>,
    /// Tenants that the store refused, and when each is tried again, soonest first.
    parked: VecDeque<(Instant, TenantId)>,
    /// How many dirty tenants the store refused when it was last asked.
    refused: usize,
    outage: Option<Outage>,
    behind: Option<Behind>,
}

#[derive(Default)]
struct Entry {
    waiting: Vec<Waiter>,
    phase: Phase,
    /// Whether the store refused it when it was last asked.
    refused: bool,
}

#[derive(Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    #[default]
    Queued,
    Writing {
        /// Whether it changed meanwhile.
        again: bool,
        /// Whether it is written to find out if the store is back.
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

/// The store can't be read, or what others write is not heard of.
struct Behind {
    /// ms since the epoch.
    since: u64,
    permanent: bool,
}

/// What a failed write says about the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Failed {
    /// Nothing can be written for now, which is news or not.
    Out { began: bool },
    /// It refuses this tenant, which is news or not.
    Refused { began: bool },
}

impl Dirty {
    pub(super) fn len(&self) -> usize {
        self.tenants.len()
    }

    /// The record of `tenant` grew.
    pub(super) fn mark(&mut self, tenant: &TenantId) {
        match self.tenants.get_mut(tenant) {
            Some(entry) => entry.change(),
            None => {
                self.tenants.insert(tenant.clone(), Entry::default());
                self.queue.push_back(tenant.clone());
            }
        }
    }

    /// Is told when what is now known of `tenant` is stored; `None` when it is already. A receiver
    /// without a sender learns that it will not be for now.
    pub(super) fn wait(&mut self, tenant: &TenantId) -> Option<oneshot::Receiver<()>> {
        let entry = self.tenants.get_mut(tenant)?;
        let (sender, receiver) = oneshot::channel();
        if entry.phase != Phase::Parked {
            entry.waiting.push(sender);
        }
        // What is being written may have been read before the change that is waited for.
        entry.change();
        Some(receiver)
    }

    /// Puts those back into the queue whose writing broke off. Those who waited for it are gone.
    pub(super) fn requeue_interrupted(&mut self) {
        for (tenant, entry) in &mut self.tenants {
            if matches!(entry.phase, Phase::Writing { .. }) {
                entry.phase = Phase::Queued;
                self.queue.push_back(tenant.clone());
            }
        }
    }

    /// The next tenant to write, and those who wait for it.
    pub(super) fn begin(&mut self) -> Option<(TenantId, Vec<Waiter>)> {
        let tenant = self.queue.pop_front()?;
        let probe = self.outage.is_some();
        let entry = self.tenants.entry(tenant.clone()).or_default();
        entry.phase = Phase::Writing { again: false, probe };
        Some((tenant, std::mem::take(&mut entry.waiting)))
    }

    /// What was read at `begin` is stored: the tenant is clean, unless it changed since.
    pub(super) fn finish(&mut self, tenant: &TenantId) {
        let Some(entry) = self.tenants.get_mut(tenant) else { return };
        self.refused -= usize::from(std::mem::take(&mut entry.refused));
        if let Phase::Writing { again: true, .. } = entry.phase {
            entry.phase = Phase::Queued;
            self.queue.push_back(tenant.clone());
        } else {
            self.tenants.remove(tenant);
        }
    }

    /// The tenant could not be written at `now`, which is `unix_ms` since the epoch.
    pub(super) fn fail(
        &mut self,
        (tenant, waiting): (&TenantId, Vec<Waiter>),
        error: &StoreError,
        now: Instant,
        unix_ms: u64,
    ) -> Failed {
        let entry = self.tenants.entry(tenant.clone()).or_default();
        let phase = entry.phase;
        if !error.is_unavailable() {
            // Whoever waits is told at once: waiting would not mend it.
            entry.waiting.clear();
            entry.phase = Phase::Parked;
            let began = !std::mem::replace(&mut entry.refused, true);
            self.refused += usize::from(began);
            self.parked.push_back((now + REFUSED_PAUSE, tenant.clone()));
            return Failed::Refused { began };
        }
        entry.phase = Phase::Queued;
        entry.waiting.extend(waiting);
        entry.waiting.retain(|waiter| !waiter.is_closed());
        self.queue.push_back(tenant.clone());
        if let Some(outage) = &mut self.outage {
            // The many writes that an outage meets under way are one try.
            let probe = matches!(phase, Phase::Writing { probe: true, .. });
            outage.tries = outage.tries.saturating_add(u32::from(probe));
            return Failed::Out { began: false };
        }
        self.outage = Some(Outage { since: unix_ms, tries: 0 });
        Failed::Out { began: true }
    }

    /// Puts those back into the queue that were set aside for long enough.
    pub(super) fn unpark_due(&mut self, now: Instant) {
        while self.next_unpark().is_some_and(|due| due <= now) {
            self.queue.extend(self.parked.pop_front().map(|(_, tenant)| tenant));
        }
    }

    /// When one that was set aside is due.
    pub(super) fn next_unpark(&self) -> Option<Instant> {
        self.parked.front().map(|(due, _)| *due)
    }

    /// How often the store was tried since it can't be written; `None` while it can.
    pub(super) fn tries(&self) -> Option<u32> {
        self.outage.as_ref().map(|outage| outage.tries)
    }

    /// The store answered; since when it had not, in ms since the epoch.
    pub(super) fn answered(&mut self) -> Option<u64> {
        self.outage.take().map(|outage| outage.since)
    }

    /// The changes of the store are not subscribed to.
    pub(super) fn disconnected(&mut self, unix_ms: u64) {
        self.behind.get_or_insert(Behind { since: unix_ms, permanent: false });
    }

    /// The store can't be read. Says whether that is news.
    pub(super) fn load_failed(&mut self, permanent: bool, unix_ms: u64) -> bool {
        let began = self.behind.is_none();
        let behind = self.behind.get_or_insert(Behind { since: unix_ms, permanent });
        behind.permanent = permanent;
        began
    }

    /// All that the store holds was read. `subscribed` says whether what others store from now on
    /// comes as changes.
    pub(super) fn loaded(&mut self, subscribed: bool) {
        match &mut self.behind {
            Some(behind) if !subscribed => behind.permanent = false,
            behind => *behind = None,
        }
    }

    pub(super) fn health(&self) -> StoreState {
        let behind = self.behind.as_ref();
        if self.refused > 0 || behind.is_some_and(|behind| behind.permanent) {
            return StoreState::Failed;
        }
        let since = [self.outage.as_ref().map(|o| o.since), behind.map(|b| b.since)];
        match since.into_iter().flatten().min() {
            Some(since) => StoreState::Stale { since },
            None => StoreState::Fresh,
        }
    }
}

impl Entry {
    fn change(&mut self) {
        if let Phase::Writing { again, .. } = &mut self.phase {
            *again = true;
        }
    }
}
