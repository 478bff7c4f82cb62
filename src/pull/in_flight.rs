//! Pulls in flight: one per tenant, joined by all that wait for it.

use std::collections::HashMap;

use tokio::{
    sync::oneshot,
    time::{Duration, Instant},
};

use super::error::RefreshError;
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
    recent: Map<RecentPull>,
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

/// The last pull of a tenant, kept for as long as calls that were sent before it may come back.
#[derive(Debug, Clone, Copy)]
struct RecentPull {
    number: u64,
    at: Instant,
    /// It was made for a misdirected call, and returned the host of that call.
    unhelpful: bool,
    /// Number of pulls in a row that found the tenant at no new place.
    fruitless: u32,
}

/// The pull that a misdirected call waits for.
#[derive(Debug)]
pub(crate) enum Join {
    /// A pull in flight, or one that waits for its turn.
    Joined(oneshot::Receiver<()>),
    /// A pull that is to be requested.
    Requested(oneshot::Receiver<()>),
    /// Nothing: a pull has been made since the call was sent, or recently to no avail, too many wait
    /// already, or no pull is made any more.
    None,
}

/// Time after a pull that did not explain a 421 in which no other is made for one.
const MISDIRECT_COOLDOWN: Duration = Duration::from_secs(5);

/// Time after a pull that did not find a tenant's host in which calls to it don't wait for another:
/// it doubles from the first to the longest.
const FIRST_LOCATE_PAUSE: Duration = Duration::from_secs(15);
const LONGEST_LOCATE_PAUSE: Duration = Duration::from_secs(300);

/// While so many tenants wait for a requested pull, misdirected calls request no more: their
/// callers would not wait that long.
const MOST_WAITING: usize = 1024;

/// How long a call may be in flight and still use a pull made since it was sent.
const RECENT: Duration = Duration::from_secs(60);

/// Recent pulls of fewer tenants are not swept.
const SLACK: usize = 1024;

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
        mark: u64,
        waiting: usize,
        now: Instant,
    ) -> Join {
        if self.ended {
            return Join::None;
        }
        let (waiter, receiver) = oneshot::channel();
        let in_flight = match self.pulls.get_mut(tenant) {
            Some(pull) if pull.number > mark => {
                pull.released.waiters.push(waiter);
                return Join::Joined(receiver);
            }
            pull => pull.is_some(),
        };
        if self.recent.get(tenant).is_some_and(|recent| recent.answers(mark, now))
            || (!in_flight && waiting >= MOST_WAITING)
        {
            return Join::None;
        }
        // While a pull is in flight they wait for what it finds: see `complete`.
        self.waiters.entry(tenant.clone()).or_default().push(waiter);
        if in_flight { Join::Joined(receiver) } else { Join::Requested(receiver) }
    }

    /// Joins a pull that may find the host of a tenant that has none yet. `waiting` tenants wait for
    /// a requested pull.
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
        let recent = self.recent.get(tenant);
        if waiting >= MOST_WAITING
            || recent.is_some_and(|recent| now - recent.at < recent.locate_pause())
        {
            return Join::None;
        }
        self.waiters.entry(tenant.clone()).or_default().push(waiter);
        Join::Requested(receiver)
    }

    /// Ends the pull of `tenant`. `moved` says whether it found the tenant at a new place. Returns
    /// whether another pull has to follow at once, and those that waited.
    pub(crate) fn complete(
        &mut self,
        tenant: &TenantId,
        moved: bool,
        now: Instant,
    ) -> (bool, Released) {
        let Some(mut pull) = self.pulls.remove(tenant) else { return (false, Released::default()) };
        if moved {
            // Calls that were sent while it was in flight went to the old place too.
            pull.released.waiters.extend(self.waiters.remove(tenant).unwrap_or_default());
        }
        let unhelpful = pull.misdirected && !moved;
        let before = self.recent.get(tenant).map_or(0, |recent| recent.fruitless);
        let fruitless = if moved { 0 } else { before.saturating_add(1) };
        let recent = RecentPull { number: pull.number, at: now, unhelpful, fruitless };
        self.recent.insert(tenant.clone(), recent);
        if self.recent.len() > SLACK {
            self.recent.retain(|_, recent| now - recent.at < RECENT.max(recent.locate_pause()));
        }
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

impl RecentPull {
    /// Time after this pull in which no other is made to locate the tenant.
    fn locate_pause(&self) -> Duration {
        let doublings = self.fruitless.saturating_sub(1).min(8);
        FIRST_LOCATE_PAUSE.saturating_mul(1 << doublings).min(LONGEST_LOCATE_PAUSE)
    }

    /// Whether there is no point in a pull because of a 421 to a call sent when `mark` was the
    /// last.
    fn answers(&self, mark: u64, now: Instant) -> bool {
        self.number > mark || (self.unhelpful && now - self.at < MISDIRECT_COOLDOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant() -> TenantId {
        TenantId::new("Cust1").unwrap()
    }

    fn joined(join: Join) -> oneshot::Receiver<()> {
        match join {
            Join::Joined(receiver) | Join::Requested(receiver) => receiver,
            Join::None => panic!("there is nothing to wait for"),
        }
    }

    #[test]
    fn calls_sent_before_a_pull_join_it_and_go_on_when_it_ends() {
        let (mut in_flight, now) = (InFlight::default(), Instant::now());
        let mark = in_flight.pull_seq();
        assert!(!in_flight.start(&tenant(), 0));
        let mut receiver = joined(in_flight.join(&tenant(), mark, 0, now));
        assert!(
            receiver.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty)
        );
        let (rerun, waiters) = in_flight.complete(&tenant(), true, now);
        assert!(!rerun);
        waiters.release(&Ok(()));
        assert_eq!(receiver.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert!(matches!(in_flight.join(&tenant(), mark, 0, now), Join::None), "made since");
    }

    #[test]
    fn calls_sent_during_a_pull_get_another_unless_it_found_a_new_place() {
        for moved in [false, true] {
            let (mut in_flight, now) = (InFlight::default(), Instant::now());
            in_flight.start(&tenant(), 0);
            let mark = in_flight.pull_seq();
            let join = in_flight.join(&tenant(), mark, 0, now);
            assert!(matches!(join, Join::Joined(_)));
            let (rerun, _) = in_flight.complete(&tenant(), moved, now);
            assert_eq!(rerun, !moved);
            assert_eq!(in_flight.start(&tenant(), 0), !moved, "a misdirected call waits");
        }
    }

    #[test]
    fn an_unhelpful_pull_is_not_repeated_for_a_while() {
        let (mut in_flight, now) = (InFlight::default(), Instant::now());
        let join = in_flight.join(&tenant(), 0, 0, now);
        assert!(matches!(join, Join::Requested(_)));
        assert!(in_flight.start(&tenant(), 0));
        in_flight.complete(&tenant(), false, now).1.release(&Ok(()));
        let mark = in_flight.pull_seq();
        assert!(matches!(in_flight.join(&tenant(), mark, 0, now), Join::None));
        let later = now + MISDIRECT_COOLDOWN;
        assert!(matches!(in_flight.join(&tenant(), mark, 0, later), Join::Requested(_)));
    }

    #[test]
    fn locating_joins_one_pull_and_pauses_when_it_finds_nothing() {
        let (mut in_flight, mut now) = (InFlight::default(), Instant::now());
        let mut pause = FIRST_LOCATE_PAUSE;
        for _ in 0..8 {
            assert!(matches!(in_flight.locate(&tenant(), 0, now), Join::Requested(_)));
            assert!(matches!(in_flight.locate(&tenant(), 0, now), Join::Joined(_)));
            in_flight.start(&tenant(), 0);
            assert!(matches!(in_flight.locate(&tenant(), 0, now), Join::Joined(_)));
            in_flight.complete(&tenant(), false, now).1.release(&Ok(()));
            now += pause - Duration::from_millis(1);
            assert!(matches!(in_flight.locate(&tenant(), 0, now), Join::None));
            now += Duration::from_millis(1);
            pause = (pause * 2).min(LONGEST_LOCATE_PAUSE);
        }
        assert!(matches!(in_flight.locate(&tenant(), MOST_WAITING, now), Join::None));
    }

    #[test]
    fn too_many_waiting_tenants_get_no_more_requests() {
        let (mut in_flight, now) = (InFlight::default(), Instant::now());
        assert!(matches!(in_flight.join(&tenant(), 0, MOST_WAITING, now), Join::None));
        assert!(matches!(in_flight.join(&tenant(), 0, MOST_WAITING - 1, now), Join::Requested(_)));
    }

    #[test]
    fn end_releases_all_that_wait_and_refuses_the_next() {
        let (mut in_flight, now) = (InFlight::default(), Instant::now());
        let other = TenantId::new("Cust2").unwrap();
        in_flight.start(&tenant(), 0);
        let mut calls = [&tenant(), &other].map(|tenant| joined(in_flight.join(tenant, 0, 0, now)));
        let mut refreshes =
            [&tenant(), &other].map(|tenant| in_flight.refresh(tenant, 0).unwrap().0);
        drop(in_flight.end());
        for call in &mut calls {
            assert_eq!(call.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        }
        for refresh in &mut refreshes {
            let ended = refresh.try_recv().unwrap_err();
            assert_eq!(ended, oneshot::error::TryRecvError::Closed);
        }
        assert!(matches!(in_flight.join(&tenant(), 9, 0, now), Join::None));
        assert!(matches!(in_flight.locate(&other, 0, now), Join::None));
        assert!(matches!(in_flight.refresh(&other, 0), Err(RefreshError::ShutDown)));
        assert_eq!(in_flight.len(), 0);
    }

    #[test]
    fn a_delegated_pull_keeps_its_waiters() {
        let (mut in_flight, now) = (InFlight::default(), Instant::now());
        in_flight.start(&tenant(), 0);
        assert!(!in_flight.delegate(&tenant()) && !in_flight.contains(&tenant()));
        in_flight.start(&tenant(), 0);
        let mut receiver = joined(in_flight.join(&tenant(), 0, 0, now));
        assert!(in_flight.delegate(&tenant()));
        assert_eq!(receiver.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        assert!(in_flight.start(&tenant(), 0), "it waits on");
        in_flight.rerun(&tenant());
        assert!(in_flight.delegate(&tenant()));
    }

    /// The result that a refresh has, if any.
    fn result(receiver: &mut oneshot::Receiver<Refreshed>) -> Option<Refreshed> {
        receiver.try_recv().ok()
    }

    #[test]
    fn refresh_joins_a_pull_that_knows_the_same_notifications() {
        let (mut in_flight, now) = (InFlight::default(), Instant::now());
        let (mut first, requested) = in_flight.refresh(&tenant(), 7).unwrap();
        assert!(requested);
        assert!(in_flight.start(&tenant(), 7), "it is waited for");
        let (mut second, requested) = in_flight.refresh(&tenant(), 7).unwrap();
        assert!(!requested);
        // A notification came in between.
        let (mut third, requested) = in_flight.refresh(&tenant(), 8).unwrap();
        assert!(!requested, "it follows at once");
        let (rerun, released) = in_flight.complete(&tenant(), false, now);
        assert!(rerun);
        released.release(&Err(RefreshError::UnknownState));
        for joined in [&mut first, &mut second] {
            assert!(matches!(result(joined), Some(Err(RefreshError::UnknownState))));
        }
        assert!(result(&mut third).is_none());
        assert!(in_flight.start(&tenant(), 8));
        in_flight.complete(&tenant(), false, now).1.release(&Ok(()));
        assert!(matches!(result(&mut third), Some(Ok(()))));
    }

    #[test]
    fn refresh_outlives_delegated_and_interrupted_pulls() {
        let (mut in_flight, now) = (InFlight::default(), Instant::now());
        in_flight.start(&tenant(), 0);
        let (mut receiver, _) = in_flight.refresh(&tenant(), 0).unwrap();
        assert!(in_flight.delegate(&tenant()), "another follows at once");
        assert!(in_flight.start(&tenant(), 0));
        assert_eq!(in_flight.interrupted(), [tenant()]);
        assert!(result(&mut receiver).is_none());
        assert!(in_flight.start(&tenant(), 0));
        in_flight.complete(&tenant(), false, now).1.release(&Ok(()));
        assert!(matches!(result(&mut receiver), Some(Ok(()))));
    }

    #[test]
    fn refreshes_of_too_many_tenants_are_refused() {
        let mut in_flight = InFlight::default();
        let tenant = |number| TenantId::new(format!("Cust{number}")).unwrap();
        for number in 0..MOST_WAITING {
            assert!(in_flight.refresh(&tenant(number), 0).is_ok());
        }
        assert!(matches!(in_flight.refresh(&tenant(MOST_WAITING), 0), Err(RefreshError::Busy)));
        assert!(in_flight.refresh(&tenant(0), 0).is_ok(), "it waits already");
    }
}
