//! The time of a tenant's next pull: a pure function of its entry.

use std::time::Duration;

use crate::{
    backoff::BackOff,
    status::{
        ChangeType, Record, UnavailableReason,
        derive::{Derived, status_without_override},
        history::{Attempts, CALLED_PAUSE, PullHistory},
        knowledge::Knowledge,
        notified::OpenClose,
        settle::Settle,
        state::PullOutcome,
    },
};

/// The times at which tenants are pulled, and the limits on pulls.
///
/// A notification may be lost, so a closed tenant is pulled repeatedly until it is open, and a
/// status that rests on a single pull until three agree. Other open tenants are pulled on request,
/// once when a notification has settled, and while they are called or
/// [tracked](crate::TenantGate::track) whenever their last answer is no longer fresh.
///
/// Each step is shortened by a random part of up to its half, so that tenants that closed together
/// do not stay in step. All times are of the monotonic clock: setting the wall clock neither stops
/// nor accelerates pulls.
///
/// ```
/// use std::time::Duration;
/// use tower_superoffice::pull::Schedule;
///
/// let eager = Schedule::new()
///     .suspended(Duration::from_secs(60), Duration::from_secs(120))
///     .pulls_per_second(2);
/// assert_ne!(eager, Schedule::default());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    after_upgrade: Duration,
    upgrading: Steps,
    suspended: Steps,
    deleted: Steps,
    not_ready: Steps,
    failed: Steps,
    pulls_per_second: u32,
    pulls_at_once: usize,
}

/// A step between two pulls, which grows with the time that the tenant has been closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Steps {
    first: Duration,
    longest: Duration,
}

/// The reason for a pull.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Trigger {
    /// A pull was requested.
    Requested,
    /// A notification has settled, and no settled pull knows it.
    Owed,
    /// The tenant is closed.
    Closed,
    /// The status came to rest on a pull that few others agree with yet, or that overruled an own
    /// one.
    Turned,
    /// An unverified sender gave a hint.
    Unverified,
    /// The tenant is open, and called or tracked, and the last answer is no longer fresh.
    Stale,
    /// A call to the open tenant failed, as one to a closed tenant might.
    Symptom,
    /// A Resume that answers an Upgrade has settled, and no settled pull knows it: as it ends what
    /// the Upgrade announced, the answer can wait until nothing is due but open tenants.
    Idle,
}

impl Trigger {
    pub(crate) const ALL: [Self; 8] = [
        Self::Requested,
        Self::Owed,
        Self::Closed,
        Self::Turned,
        Self::Unverified,
        Self::Stale,
        Self::Symptom,
        Self::Idle,
    ];

    /// Returns whether pulls for this reason come by the schedule alone.
    pub(crate) const fn is_periodic(self) -> bool {
        !matches!(self, Self::Requested | Self::Unverified | Self::Symptom)
    }

    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Owed => "owed",
            Self::Closed => "closed",
            Self::Turned => "turned",
            Self::Unverified => "unverified",
            Self::Stale => "stale",
            Self::Symptom => "symptom",
            Self::Idle => "idle",
        }
    }
}

/// The next pull of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NextPull {
    /// Time since the gate was built.
    pub(crate) at: Duration,
    pub(crate) trigger: Trigger,
}

/// The inputs of the time of a tenant's next pull, besides the present.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Situation<'a> {
    pub(crate) record: &'a Record,
    pub(crate) knowledge: &'a Knowledge,
    pub(crate) history: &'a PullHistory,
    pub(crate) settle: &'a Settle,
    /// A pull was requested, and none has been made since.
    pub(crate) requested: bool,
    /// It counts as called all the time.
    pub(crate) tracked: bool,
    /// Time for which the last answer is valid.
    pub(crate) valid_for: Option<Duration>,
}

/// The shortest step: a shorter one would only use up the limit on pulls.
const SHORTEST: Duration = Duration::from_millis(100);

/// The shortest time from an own pull to an owed one: should an answer ever not end what is owed,
/// the state API must not have to pay for it.
const GAP: Duration = Duration::from_secs(1);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The time within which a tenant is pulled again whose own pull was overruled by older ones.
const OVERRULED: Duration = Duration::from_secs(2);

/// The steps while a status rests on a pull, by the number of pulls that agree.
const TURNED: [u64; 3] = [MINUTE, 5 * MINUTE, 15 * MINUTE];

/// Maximum of a `Retry-After`, so that no answer stops pulls for good.
pub(crate) const LONGEST_PAUSE: Duration = Duration::from_secs(HOUR);

impl Default for Schedule {
    fn default() -> Self {
        Self {
            after_upgrade: Duration::from_secs(MINUTE),
            upgrading: Steps::new(15, MINUTE),
            suspended: Steps::new(5 * MINUTE, 15 * MINUTE),
            deleted: Steps::new(6 * HOUR, 30 * DAY),
            not_ready: Steps::new(HOUR, HOUR),
            failed: Steps::new(15, 5 * MINUTE),
            pulls_per_second: 10,
            pulls_at_once: 32,
        }
    }
}

impl Schedule {
    /// Returns the defaults, which each setter names.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the first pull after an Upgrade was announced: 60 s, or the end of its settle time
    /// where that comes first. After any other notification the first pull comes when it has
    /// settled.
    #[must_use]
    pub fn first_after_upgrade(mut self, delay: Duration) -> Self {
        self.after_upgrade = delay.max(SHORTEST);
        self
    }

    /// Sets the steps while a tenant is being upgraded, and while an unsettled pull finds a closed
    /// one running: 15 s, growing to 60 s.
    #[must_use]
    pub fn upgrading(mut self, first: Duration, longest: Duration) -> Self {
        self.upgrading = Steps::bounded(first, longest);
        self
    }

    /// Sets the steps while a tenant is suspended: 5 min, growing to 15 min.
    #[must_use]
    pub fn suspended(mut self, first: Duration, longest: Duration) -> Self {
        self.suspended = Steps::bounded(first, longest);
        self
    }

    /// Sets the steps while a tenant is deleted: 6 h, growing to 30 days once a pull has confirmed
    /// it. A deletion is terminal in practice, yet a forged one must not be.
    #[must_use]
    pub fn deleted(mut self, first: Duration, longest: Duration) -> Self {
        self.deleted = Steps::bounded(first, longest);
        self
    }

    /// Sets the step for tenants that are not ready, such as one that waits for a migration, and
    /// for those whose stored record is malformed: 1 h.
    #[must_use]
    pub fn not_ready(mut self, step: Duration) -> Self {
        self.not_ready = Steps::bounded(step, step);
        self
    }

    /// Sets the steps while the state API fails: 15 s, doubled by each failure, up to 5 min. A
    /// `Retry-After` of the state API comes on top, for all tenants.
    #[must_use]
    pub fn failed(mut self, first: Duration, longest: Duration) -> Self {
        self.failed = Steps::bounded(first, longest);
        self
    }

    /// Sets how many pulls of this gate may start in any one second: 10. At least 1. Replicas do
    /// not pull the same tenant, but each has a limit of its own.
    #[must_use]
    pub fn pulls_per_second(mut self, pulls: u32) -> Self {
        self.pulls_per_second = pulls.max(1);
        self
    }

    /// Sets how many pulls may be in flight at once: 32. At least 1; one tenant never has more than
    /// one.
    #[must_use]
    pub fn pulls_at_once(mut self, pulls: usize) -> Self {
        self.pulls_at_once = pulls.max(1);
        self
    }

    pub(crate) fn rate(&self) -> u32 {
        self.pulls_per_second
    }

    pub(crate) fn at_once(&self) -> usize {
        self.pulls_at_once
    }

    /// Returns the next pull of a tenant; `None` for one that is open and settled, and neither
    /// requested nor tracked.
    ///
    /// `now` is the time since the gate was built, `random` lies in 0 to 1.
    pub(crate) fn next_pull(
        &self,
        tenant: &Situation<'_>,
        now: Duration,
        random: f64,
    ) -> Option<NextPull> {
        let status = status_without_override(tenant.record);
        let requested = tenant.requested.then_some((Duration::ZERO, Trigger::Requested));
        let settling = if ends_upgrade(tenant.record) { Trigger::Idle } else { Trigger::Owed };
        let owed = self.owed(tenant, random).map(|at| (at, settling));
        // Until the first pull after a notification, what is owed says when that is made.
        let unasked = tenant.history.news().is_none_or(|news| news < tenant.knowledge.since());
        let closed = self.closed(tenant, &status, now, random).map(|at| (at, Trigger::Closed));
        let closed = closed.filter(|_| owed.is_none() || !unasked);
        let turned = turned(tenant, random).map(|at| (at, Trigger::Turned));
        let open = tenant.tracked && status.closed.is_none();
        let stale = if open { stale(tenant, random) } else { None };
        let stale = stale.map(|at| (at, Trigger::Stale));
        let triggers = [requested, owed, closed, turned, stale].into_iter().flatten();
        let (at, trigger) = triggers.min()?;
        let held = self.held(tenant, &status, trigger, random);
        Some(NextPull { at: at.max(held.unwrap_or_default()), trigger })
    }

    /// Returns the time of the pull that the deciding notification is owed: once it has settled,
    /// until a settled pull knows it.
    fn owed(&self, tenant: &Situation<'_>, random: f64) -> Option<Duration> {
        let Situation { record, knowledge, history, settle, .. } = *tenant;
        let deciding = record.latest_open_close()?;
        if record.pulls().any(|pulled| pulled.settled && record.knows(pulled, deciding)) {
            return None;
        }
        let change = OpenClose::from_change(deciding.change())?;
        let settles = knowledge.settles_at(change, settle);
        let since = knowledge.since();
        if let Some(load) = history.loaded().filter(|load| since <= *load) {
            // A pull hands on for how long the notification has been known. So this heals a lost
            // Resume even where no process lives as long as the settle time.
            let left = settles.saturating_sub(load.time()).max(self.failed.first);
            return Some(settles.min(load.plus(spread(left, random))));
        }
        if change != OpenClose::Upgrade {
            return Some(settles);
        }
        // An Upgrade has a first pull earlier, to see whether the tenant is down by then.
        let first = since.plus(self.after_upgrade);
        let made = history.news().is_some_and(|news| news.time() >= first);
        Some(if made { settles } else { first.min(settles) })
    }

    /// Returns the time of the next pull of a closed tenant, which is pulled repeatedly, under any
    /// override.
    fn closed(
        &self,
        tenant: &Situation<'_>,
        status: &Derived,
        now: Duration,
        random: f64,
    ) -> Option<Duration> {
        let Situation { record, history, valid_for, .. } = *tenant;
        let reason = status.closed?.reason;
        let unsettled = is_unsettled_running(record);
        let steps = if unsettled { self.upgrading } else { self.steps(reason, status.confirmed) };
        let closed = history.closed();
        let step = steps.after(closed.elapsed(now));
        if let Some(load) = history.loaded() {
            return Some(load.plus(spread(step, random)));
        }
        let since = history.news().map_or(closed, |news| news.max(closed));
        let valid = valid_for.unwrap_or_default().min(steps.longest);
        let next = since.plus(jittered(step, random).max(valid));
        // What the last pull found counts once it settles: no later than then it is pulled again.
        let settles = running_settles_at(tenant).filter(|at| unsettled && *at > since.time());
        Some(settles.map_or(next, |at| at.min(next)))
    }

    /// Returns the time before which no pull is made, because one has just been made, or brought
    /// nothing.
    fn held(
        &self,
        tenant: &Situation<'_>,
        status: &Derived,
        trigger: Trigger,
        random: f64,
    ) -> Option<Duration> {
        let attempt = tenant.history.attempt()?;
        let pause = match tenant.history.attempts() {
            Attempts::None if matches!(trigger, Trigger::Owed | Trigger::Idle) => {
                return Some(attempt.plus(GAP));
            }
            Attempts::None => return None,
            Attempts::Failed(tries) => self.failed.doubled(tries),
            Attempts::Unknown(tries) => {
                let steps = |reason| self.steps(reason, false).longest;
                let longest = status.closed.map(|closed| steps(closed.reason));
                self.quiet().doubled(tries).min(longest.unwrap_or(Duration::MAX))
            }
        };
        Some(attempt.plus(jittered(pause, random)))
    }

    fn steps(&self, reason: UnavailableReason, confirmed: bool) -> Steps {
        match reason {
            UnavailableReason::Upgrading => self.upgrading,
            UnavailableReason::Suspended => self.suspended,
            UnavailableReason::Deleted if confirmed => self.deleted,
            UnavailableReason::Deleted => Steps { longest: self.deleted.first, ..self.deleted },
            UnavailableReason::NotReady
            | UnavailableReason::Operator
            | UnavailableReason::Unreadable => self.not_ready,
        }
    }

    /// Returns the steps for tenants of which the state API says nothing: soon at first, in case it
    /// has an incident, then ever more seldom, in case they are not its tenants at all.
    fn quiet(&self) -> Steps {
        let first = self.failed.first;
        Steps { first, longest: self.not_ready.longest.max(first) }
    }
}

/// Returns when a pull that finds the tenant running settles against the deciding notification.
fn running_settles_at(tenant: &Situation<'_>) -> Option<Duration> {
    let deciding = tenant.record.deciding()?;
    Some(tenant.knowledge.running_settles_at(deciding.change, tenant.settle))
}

/// Returns whether the deciding notification is a Resume right after an Upgrade.
fn ends_upgrade(record: &Record) -> bool {
    let closings = [ChangeType::Upgrade, ChangeType::Suspend, ChangeType::Delete];
    let closings = closings.into_iter().filter_map(|closing| record.notified(closing));
    let last = closings.max_by_key(|closing| closing.position());
    let resumed = record.notified(ChangeType::Resume).zip(last);
    resumed.is_some_and(|(resume, last)| {
        last.change() == ChangeType::Upgrade && resume.position() > last.position()
    })
}

/// Returns whether the last pull by number found the tenant running, and has not settled.
fn is_unsettled_running(record: &Record) -> bool {
    let last = record.last_pull();
    last.is_some_and(|pulled| !pulled.settled && pulled.outcome() == PullOutcome::Running)
}

/// Returns the time of the next pull of a tenant whose status came to rest on a pull, until enough
/// others agree.
fn turned(tenant: &Situation<'_>, random: f64) -> Option<Duration> {
    let history = tenant.history;
    if history.is_overruled() {
        return Some(history.news()?.plus(spread(OVERRULED, random)));
    }
    let agreeing = usize::from(history.turned()?);
    let step = Duration::from_secs(*TURNED.get(agreeing)?);
    match history.loaded() {
        Some(load) => Some(load.plus(spread(step, random))),
        None => Some(history.news()?.plus(jittered(step, random))),
    }
}

/// Returns the time of the next pull of a tenant that counts as called: when its answer is no
/// longer fresh.
fn stale(tenant: &Situation<'_>, random: f64) -> Option<Duration> {
    let Situation { record, history, .. } = *tenant;
    let news = history.news().filter(|_| record.pulls().next().is_some())?;
    if history.loaded().is_some() {
        return Some(news.plus(spread(history.fresh(), random)));
    }
    // Not sooner after an attempt, whatever that one brought.
    let paused = history.attempt().map(|attempt| attempt.plus(CALLED_PAUSE));
    Some(news.plus(history.fresh()).max(paused.unwrap_or_default()))
}

impl Steps {
    const fn new(first: u64, longest: u64) -> Self {
        Self { first: Duration::from_secs(first), longest: Duration::from_secs(longest) }
    }

    fn bounded(first: Duration, longest: Duration) -> Self {
        let first = first.max(SHORTEST);
        Self { first, longest: longest.max(first) }
    }

    /// Returns the step for a tenant that has been closed for `elapsed`: a quarter of that, within
    /// the bounds.
    fn after(self, elapsed: Duration) -> Duration {
        (elapsed / 4).clamp(self.first, self.longest)
    }

    fn doubled(self, tries: u8) -> Duration {
        BackOff::new(self.first, self.longest).step(u32::from(tries.saturating_sub(1)))
    }
}

/// Returns 0.5 to 1.0 of a step.
fn jittered(step: Duration, random: f64) -> Duration {
    step / 2 + part_of(step / 2, random)
}

/// Returns a part of a step, but not nothing: what a load brought is spread over it.
fn spread(step: Duration, random: f64) -> Duration {
    part_of(step, random).max(SHORTEST)
}

fn part_of(step: Duration, random: f64) -> Duration {
    Duration::try_from_secs_f64(step.as_secs_f64() * random.clamp(0.0, 1.0)).unwrap_or(step)
}

#[cfg(test)]
#[path = "schedule_tests.rs"]
mod tests;
