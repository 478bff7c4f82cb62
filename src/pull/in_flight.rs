//! Pulls in flight: one per tenant, joined by all that wait for it.

use std::collections::HashMap;

use tokio::{sync::oneshot, time::Instant};

use super::{error::RefreshError, recent::RecentPulls};
use crate::tenant_id::TenantId;

type Map<V> = HashMap<TenantId, V, foldhash::fast::RandomState>;
type Waiter = oneshot::Sender<()>;

/// The result of a pull for a refresh. The status is in the registry by then.
pub(crate) type Refreshed = Result<(), RefreshError>;

/// The pulls in flight, those that were made last, and the calls that wait.
#[derive(Debug, Default)]
pub(crate) struct InFlight {
    pulls: Map<InFlightPull>,
    /// Calls that wait for a pull that has not started yet.
    waiters: Map<Vec<Waiter>>,
    /// Refreshes that wait for a pull that has not started yet.
    refreshes: Map<Vec<oneshot::Sender<Refreshed>>>,
    recent: RecentPulls,
    /// The number of the pull that was started last. Pulls are ordered by it, not by a clock.
    pull_seq: u64,
    /// No pull is made any more.
    ended: bool,
}

/// A pull in flight.
#[derive(Debug)]
struct InFlightPull {
    number: u64,
    /// The [term](super::lease::term) of the record when it started. It answers no refresh that is
    /// asked for after a later notification.
    term: u64,
    released: Released,
    /// A request arrived after it was sent: another pull follows at once.
    rerun: bool,
    /// Whether a misdirected call waits for it.
    misdirected: bool,
}

/// The calls and refreshes that a pull which is over releases.
#[derive(Debug, Default)]
#[must_use = "those that waited go on when they are released"]
pub(crate) struct Released {
    waiters: Vec<Waiter>,
    refreshes: Vec<oneshot::Sender<Refreshed>>,
}

/// The host of a tenant after a pull, compared with the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FoundHost {
    /// Another one than before, or the first.
    New,
    Same,
    /// None is known.
    None,
}

/// The pull that a misdirected call waits for.
#[derive(Debug)]
pub(crate) enum Join {
    /// A pull in flight, or one that waits for its turn.
    Joined(oneshot::Receiver<()>),
    /// A pull that is to be requested.
    Requested(oneshot::Receiver<()>),
    /// Nothing: a pull has been made since the call was sent, or recently to no avail, too many
    /// wait already, or no pull is made any more.
    None,
}

/// While so many tenants wait for a requested pull, misdirected calls request no more: their
/// callers would not wait that long.
const MOST_WAITING: usize = 1024;

impl InFlight {
    pub(crate) fn contains(&self, tenant: &TenantId) -> bool {
        self.pulls.contains_key(tenant)
    }

    pub(crate) fn len(&self) -> usize {
        self.pulls.len()
    }

    #[cfg(test)]
    pub(crate) fn tenants(&self) -> impl Iterator<Item = &TenantId> {
        self.pulls.keys()
    }

    /// Returns the number of the pull that was started last.
    pub(crate) fn pull_seq(&self) -> u64 {
        self.pull_seq
    }

    /// Has another pull of `tenant` follow the one in flight; `false` when there is none.
    pub(crate) fn rerun(&mut self, tenant: &TenantId) -> bool {
        let pull = self.pulls.get_mut(tenant);
        pull.map(|pull| pull.rerun = true).is_some()
    }

    /// Has no other pull follow the one of `tenant` in flight, unless one is waited for. Returns
    /// whether one is.
    pub(crate) fn cancel_rerun(&mut self, tenant: &TenantId) -> bool {
        if let Some(pull) = self.pulls.get_mut(tenant) {
            pull.rerun = false;
        }
        self.is_awaited(tenant)
    }

    /// Removes interrupted pulls, and returns their tenants. The calls that waited for them are
    /// released; refreshes wait on.
    pub(crate) fn interrupted(&mut self) -> Vec<TenantId> {
        let mut tenants = Vec::new();
        for (tenant, pull) in std::mem::take(&mut self.pulls) {
            let refreshes = pull.released.refreshes;
            self.wait_on(&tenant, Released { waiters: Vec::new(), refreshes });
            tenants.push(tenant);
        }
        tenants
    }

    /// Releases all that wait for a pull, and has no more join one.
    #[must_use = "those that waited go on when this is dropped"]
    pub(crate) fn end(&mut self) -> impl Sized + use<> {
        self.ended = true;
        let Self { pulls, waiters, refreshes, .. } = self;
        (std::mem::take(pulls), std::mem::take(waiters), std::mem::take(refreshes))
    }

    /// Records the start of a pull of `tenant`, with a record of this [term](super::lease::term),
    /// and returns whether a misdirected call or a refresh waits for it.
    pub(crate) fn start(&mut self, tenant: &TenantId, term: u64) -> bool {
        self.pull_seq += 1;
        let waiters = self.waiters.remove(tenant).unwrap_or_default();
        let refreshes = self.refreshes.remove(tenant).unwrap_or_default();
        let misdirected = !waiters.is_empty();
        let awaited = misdirected || !refreshes.is_empty();
        let released = Released { waiters, refreshes };
        let pull =
            InFlightPull { number: self.pull_seq, term, released, rerun: false, misdirected };
        self.pulls.insert(tenant.clone(), pull);
        awaited
    }

    /// Joins a pull of `tenant`: the one in flight, unless the record had another term when that
    /// started, or else the next. Returns whether that has to be requested.
    ///
    /// # Errors
    ///
    /// When too many wait, or no pull is made any more.
    pub(crate) fn refresh(
        &mut self,
        tenant: &TenantId,
        term: u64,
    ) -> Result<(oneshot::Receiver<Refreshed>, bool), RefreshError> {
        if self.ended {
            return Err(RefreshError::ShutDown);
        }
        let (refresh, receiver) = oneshot::channel();
        let in_flight = match self.pulls.get_mut(tenant) {
            Some(pull) if pull.term == term => {
                pull.released.refreshes.push(refresh);
                return Ok((receiver, false));
            }
            pull => pull.is_some(),
        };
        if self.refreshes.len() >= MOST_WAITING && !self.refreshes.contains_key(tenant) {
            return Err(RefreshError::Busy);
        }
        self.refreshes.entry(tenant.clone()).or_default().push(refresh);
        Ok((receiver, !in_flight))
    }

    /// Removes the refreshes that wait for a pull to start.
    pub(crate) fn take_refreshes(&mut self) -> Released {
        let refreshes = std::mem::take(&mut self.refreshes).into_values().flatten().collect();
        Released { waiters: Vec::new(), refreshes }
    }

    /// Joins the pull that explains a 421 to a call sent when `mark` was the last pull. `waiting`
    /// tenants wait for a requested pull.
    pub(crate) fn join(
        &mut self,
        tenant: &TenantId,
        pull_seq: u64,
        waiting: usize,
        now: Instant,
    ) -> Join {
        if self.ended {
            return Join::None;
        }
        let (waiter, receiver) = oneshot::channel();
        let in_flight = match self.pulls.get_mut(tenant) {
            Some(pull) if pull.number > pull_seq => {
                pull.released.waiters.push(waiter);
                return Join::Joined(receiver);
            }
            pull => pull.is_some(),
        };
        if self.recent.answers(tenant, pull_seq, now) || (!in_flight && waiting >= MOST_WAITING) {
            return Join::None;
        }
        // While a pull is in flight they wait for what it finds: see `complete`.
        self.waiters.entry(tenant.clone()).or_default().push(waiter);
        if in_flight { Join::Joined(receiver) } else { Join::Requested(receiver) }
    }

    /// Joins a pull that may find the host of a tenant that has none yet. `waiting` tenants wait
    /// for a requested pull.
    pub(crate) fn locate(&mut self, tenant: &TenantId, waiting: usize, now: Instant) -> Join {
        if self.ended {
            return Join::None;
        }
        let (waiter, receiver) = oneshot::channel();
        if let Some(pull) = self.pulls.get_mut(tenant) {
            pull.released.waiters.push(waiter);
            return Join::Joined(receiver);
        }
        if let Some(waiters) = self.waiters.get_mut(tenant) {
            waiters.push(waiter);
            return Join::Joined(receiver);
        }
        if waiting >= MOST_WAITING || self.recent.pauses_locating(tenant, now) {
            return Join::None;
        }
        self.waiters.entry(tenant.clone()).or_default().push(waiter);
        Join::Requested(receiver)
    }

    /// Ends the pull of `tenant`. Returns whether another pull has to follow at once, and those
    /// that waited.
    pub(crate) fn complete(
        &mut self,
        tenant: &TenantId,
        found: FoundHost,
        now: Instant,
    ) -> (bool, Released) {
        let Some(mut pull) = self.pulls.remove(tenant) else { return (false, Released::default()) };
        let moved = found == FoundHost::New;
        if moved {
            // Calls that were sent while it was in flight went to the old place too.
            pull.released.waiters.extend(self.waiters.remove(tenant).unwrap_or_default());
        }
        let unhelpful = pull.misdirected && !moved;
        self.recent.record(tenant, pull.number, unhelpful, found == FoundHost::None, now);
        (pull.rerun || self.is_awaited(tenant), pull.released)
    }

    /// Ends the pull of `tenant` that another replica makes. Those that have come to wait for it go
    /// on waiting; returns whether they or a request need another pull at once.
    pub(crate) fn delegate(&mut self, tenant: &TenantId) -> bool {
        let Some(pull) = self.pulls.remove(tenant) else { return false };
        let rerun = pull.rerun;
        self.wait_on(tenant, pull.released);
        rerun || self.is_awaited(tenant)
    }

    /// Has those that waited for one pull wait for the next.
    fn wait_on(&mut self, tenant: &TenantId, Released { waiters, refreshes }: Released) {
        if !waiters.is_empty() {
            self.waiters.entry(tenant.clone()).or_default().extend(waiters);
        }
        if !refreshes.is_empty() {
            self.refreshes.entry(tenant.clone()).or_default().extend(refreshes);
        }
    }

    /// Returns whether the next pull of `tenant` is waited for.
    fn is_awaited(&self, tenant: &TenantId) -> bool {
        self.waiters.contains_key(tenant) || self.refreshes.contains_key(tenant)
    }
}

impl Released {
    /// Lets those that waited go on, refreshes with this result.
    pub(crate) fn release(self, refreshed: &Refreshed) {
        for refresh in self.refreshes {
            // Fails when the caller waits no longer.
            let _ = refresh.send(refreshed.clone());
        }
    }
}

#[cfg(test)]
#[path = "in_flight_tests.rs"]
mod tests;
