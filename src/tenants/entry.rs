//! A tenant's entry in the registry: its record, what is known beside it, and its summary.

use std::{
    sync::atomic::{AtomicU8, Ordering},
    time::Duration,
};

use crate::{
    status::{
        Evidence, Record, TenantStatus, UnavailableReason,
        derive::{by_override, status, status_without_override},
        history::{Gained, PullHistory},
        knowledge::Knowledge,
        mono::Mono,
        past::Past,
        record::Gains,
        settle::Settle,
        tenant_status::Closed,
    },
    tenants::{
        correction::agreed_within,
        update::{Outcome, Update},
    },
};

/// A tenant. It stays small, because there may be a million, and a hash table has twice the room
/// that they take: so all of it is behind one pointer. Calls to open tenants end before, at the
/// index of the closed ones.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) known: Box<Known>,
}

/// All that is known of a tenant here. The fields stay in this order, so that what a refusal reads
/// comes first and lies on one cache line.
#[derive(Debug, Default)]
#[repr(C)]
pub(super) struct Known {
    summary: Summary,
    pub(super) record: Record,
    /// The times since which the facts of the record are known here. Changes with the record, and
    /// is never stored.
    pub(super) knowledge: Knowledge,
    /// The history of its pulls, kept like the knowledge.
    pub(super) history: PullHistory,
}

/// The part of an entry that calls and the schedule read.
#[derive(Debug, Default)]
struct Summary {
    /// Wall time of the closing, ms since the epoch.
    since: u64,
    /// The time of its next pull.
    due: Due,
    pull: PullFlags,
    closed: Option<(UnavailableReason, Evidence)>,
    /// Closed as not ready until something is known of it.
    pending: bool,
}

/// The state of the pull that a tenant is scheduled for. Atomic, because calls are refused under a
/// shared lock.
#[derive(Debug, Default)]
struct PullFlags(AtomicU8);

/// It is due, and waits for its turn.
const READY: u8 = 1;
/// Calls were refused since the last pull started, or the tenant is waited for.
const WANTED: u8 = 2;
/// A pull is requested because of calls to the tenant while it is open.
const CALLED: u8 = 4;

impl PullFlags {
    fn has(&self, flag: u8) -> bool {
        // Relaxed: a flag orders nothing else.
        self.0.load(Ordering::Relaxed) & flag != 0
    }

    /// Sets `flag`, and returns whether it was not set.
    fn set(&self, flag: u8) -> bool {
        self.0.fetch_or(flag, Ordering::Relaxed) & flag == 0
    }

    /// Clears `flags`, and returns all that were set before.
    fn clear(&self, flags: u8) -> Self {
        Self(AtomicU8::new(self.0.fetch_and(!flags, Ordering::Relaxed)))
    }
}

/// A pull that is due so soon is not preceded by one because of calls.
const DUE_SOON: Duration = Duration::from_secs(60);

/// A tenant whose pull has become due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ready {
    /// Calls are refused at it, or it is waited for.
    pub(crate) wanted: bool,
    /// The moment since which it is closed; `None` for an open one.
    pub(crate) closed: Option<Mono>,
}

/// A pull that starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct PullStart {
    /// The one that was scheduled had become due.
    pub(crate) ready: bool,
    /// Calls are refused at the tenant, or it is waited for.
    pub(crate) wanted: bool,
}

/// The pull that another one replaces on the calendar.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Replaced {
    /// None: no pull was scheduled.
    None,
    /// One whose time had not come.
    Scheduled,
    /// One that had become due, and was not started.
    Ready,
}

/// An optional moment, in the size of a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Due(Mono);

impl From<Option<Mono>> for Due {
    fn from(due: Option<Mono>) -> Self {
        due.map_or_else(Self::default, Self)
    }
}

impl Default for Due {
    fn default() -> Self {
        Self(Mono::NEVER)
    }
}

/// The data of a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClosedSummary {
    pub(crate) reason: UnavailableReason,
    pub(crate) evidence: Evidence,
    /// ms since the epoch.
    pub(crate) since: u64,
    /// Time of the tenant's next pull, on the gate's monotonic clock; `None` when none is
    /// scheduled.
    pub(crate) due: Option<Mono>,
}

impl Entry {
    /// Creates the entry of a tenant from its record in a store, as the merge of that does.
    pub(super) fn loaded(record: Record, now: Duration) -> Self {
        let mut known = Known { record, ..Known::default() };
        known.knowledge.update(&Past::NOTHING, &known.record, now);
        let without_override = status_without_override(&known.record);
        let after = (&known.record, &without_override);
        known.history.update(&Past::NOTHING, after, Gained::Loaded, now);
        let derived = by_override(&known.record).unwrap_or(without_override);
        known.summary.since = derived.closed.map_or(0, |closed| closed.since);
        known.summary.closed = derived.closed.map(|closed| (closed.reason, derived.evidence));
        Self { known: Box::new(known) }
    }

    /// Merges `update` into the record, the only place where it changes, and updates the rest of
    /// the entry. Returns what was gained, or why the update has no effect.
    pub(super) fn merge(
        &mut self,
        update: Update,
        settle: &Settle,
        now: Duration,
    ) -> Result<Gains, Outcome> {
        let (past, is_load) = (Past::of(&self.known.record), update.is_load());
        let awaited = self.known.history.turned().is_some();
        let gains = update.merge_into(&mut self.known.record, settle, awaited)?;
        // A pull that adds nothing is news for the schedule all the same.
        if gains.any || gains.pulls {
            let gained = match gains.pulls {
                _ if is_load => Gained::Loaded,
                true => Gained::Pull,
                false => Gained::Other,
            };
            self.known.knowledge.update(&past, &self.known.record, now);
            let after = (&self.known.record, &status_without_override(&self.known.record));
            self.known.history.update(&past, after, gained, now);
        }
        Ok(gains)
    }

    /// Returns an upper bound of the time for which the newest fact that agrees with the status has
    /// been true, at `now`: the time since the gate was built, and ms since the epoch.
    pub(super) fn agreed_within(&self, now: (Duration, u64)) -> Option<Duration> {
        agreed_within(&self.known.record, &self.known.knowledge, &self.known.history, now)
    }

    pub(super) fn due(&self) -> Option<Mono> {
        Some(self.known.summary.due.0).filter(|due| *due != Mono::NEVER)
    }

    /// Schedules the next pull, and returns the one that was scheduled.
    pub(super) fn set_due(&mut self, due: Option<Mono>) -> Replaced {
        let scheduled = self.due().is_some();
        self.known.summary.due = due.into();
        match self.known.summary.pull.clear(READY).has(READY) {
            true => Replaced::Ready,
            false if scheduled => Replaced::Scheduled,
            false => Replaced::None,
        }
    }

    /// Returns whether a pull is scheduled for `due`, and has not become due.
    pub(super) fn is_scheduled(&self, due: Mono) -> bool {
        self.known.summary.due.0 == due && !self.known.summary.pull.has(READY)
    }

    /// Returns whether the pull scheduled for `due` has become due, and was not started.
    pub(super) fn is_ready(&self, due: Mono) -> bool {
        self.known.summary.due.0 == due && self.known.summary.pull.has(READY)
    }

    /// Has the pull scheduled for `due` wait for its turn, unless it does already.
    pub(super) fn make_ready(&self, due: Mono) -> Option<Ready> {
        if !self.is_scheduled(due) {
            return None;
        }
        self.known.summary.pull.set(READY);
        let closed = self.is_closed().then(|| self.known.history.closed());
        Some(Ready { wanted: self.known.summary.pull.has(WANTED), closed })
    }

    /// Starts a pull.
    pub(super) fn start_pull(&self) -> PullStart {
        let before = self.known.summary.pull.clear(READY | WANTED | CALLED);
        PullStart { ready: before.has(READY), wanted: before.has(WANTED) }
    }

    /// Notes that a call to the tenant wants it pulled when its answer is no longer fresh. Returns
    /// whether that has to be requested.
    pub(super) fn note_stale(&self, now: Duration) -> bool {
        let Known { record, history, .. } = &*self.known;
        !self.known.summary.pull.has(CALLED)
            && history.is_stale(now)
            && record.pulls().next().is_some()
            && !self.is_due_soon(now)
            && self.note_called()
    }

    /// Notes that a call to the tenant failed. Returns whether a pull has to be requested. One that
    /// waits for its turn may do so for long.
    pub(super) fn note_symptom(&self, now: Duration) -> bool {
        self.is_known()
            && self.known.history.may_pull_for_calls(now)
            && (self.known.summary.pull.has(READY) || !self.is_due_soon(now))
            && self.note_called()
    }

    fn is_due_soon(&self, now: Duration) -> bool {
        self.due().is_some_and(|due| due.time() <= now.saturating_add(DUE_SOON))
    }

    fn note_called(&self) -> bool {
        !self.is_closed() && self.known.summary.pull.set(CALLED)
    }

    /// Returns whether a pull is requested because of calls, and none was started since.
    pub(super) fn is_called(&self) -> bool {
        self.known.summary.pull.has(CALLED)
    }

    /// Forgets that a pull is requested because of calls: there was no room for it.
    pub(super) fn clear_called(&self) {
        self.known.summary.pull.clear(CALLED);
    }

    /// Returns whether its pull would be worth more than others, and that is not noted yet: an
    /// override is not for the state API to lift.
    pub(super) fn may_be_wanted(&self) -> bool {
        !self.known.summary.pull.has(WANTED)
            && self.known.summary.closed.is_some_and(|(_, evidence)| evidence != Evidence::Operator)
    }

    pub(super) fn set_wanted(&self) {
        self.known.summary.pull.set(WANTED);
    }

    pub(super) fn summary(&self) -> Option<ClosedSummary> {
        let (reason, evidence) = self.known.summary.closed?;
        Some(ClosedSummary { reason, evidence, since: self.known.summary.since, due: self.due() })
    }

    /// Notes the wall time at which the tenant's stored record was found to be malformed, if it has
    /// just been.
    pub(super) fn note_unreadable(&mut self, now: u64) {
        if self.known.record.is_unreadable() && !self.is_unreadable() {
            self.known.summary.since = now;
        }
    }

    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self.known.summary.closed, Some((UnavailableReason::Unreadable, _)))
    }

    pub(super) fn is_known(&self) -> bool {
        !self.known.record.is_silent()
    }

    /// Returns whether it has any record, an unreadable one included.
    pub(super) fn has_record(&self) -> bool {
        !self.known.record.is_empty() || self.known.record.is_unreadable()
    }

    /// Returns why it is closed; `None` for an open one.
    pub(super) fn reason(&self) -> Option<UnavailableReason> {
        self.known.summary.closed.map(|(reason, _)| reason)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.known.summary.closed.is_some()
    }

    /// Keeps the tenant closed, as not ready, until something is known of it; does nothing when
    /// something is.
    pub(super) fn close_until_known(&mut self, now: u64) {
        if self.known.record.is_silent() {
            self.known.summary.pending = true;
            self.known.summary.since = now;
        }
    }

    /// Stops keeping the tenant closed until something is known of it.
    pub(super) fn stop_awaiting(&mut self) {
        self.known.summary.pending = false;
    }

    /// Updates the summary from the record, and returns the status.
    pub(super) fn summarize(&mut self) -> TenantStatus {
        self.known.summary.pending &= self.known.record.is_silent();
        let status = self.status();
        self.known.summary.closed = status.closed.map(|closed| (closed.reason, status.evidence));
        self.known.summary.since = status.closed.map_or(0, |closed| closed.since);
        if self.known.summary.closed.is_none() {
            self.known.summary.pull.clear(WANTED);
        }
        status
    }

    pub(super) fn status(&self) -> TenantStatus {
        let mut status = status(&self.known.record);
        if self.known.record.is_unreadable() {
            status.closed =
                status.closed.map(|own| Closed { since: self.known.summary.since, ..own });
        }
        if self.known.summary.pending && status.evidence != Evidence::Operator {
            status.closed = Some(Closed {
                reason: UnavailableReason::NotReady,
                since: self.known.summary.since,
            });
            status.evidence = Evidence::StateApi;
        }
        status
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::status::tests::strategies::records;

    proptest! {
        #[test]
        fn loaded_entry_equals_a_merge_into_nothing(record in records(), ms in 0_u64..10_000) {
            prop_assume!(!record.is_empty() && !record.is_unreadable());
            let now = Duration::from_millis(ms);
            let mut merged = Entry::default();
            let gains = merged.merge(Update::Loaded(record.clone()), &Settle::default(), now);
            prop_assert!(gains.is_ok_and(|gains| gains.any));
            merged.summarize();
            prop_assert_eq!(format!("{:?}", Entry::loaded(record, now)), format!("{merged:?}"));
        }
    }

    #[test]
    fn an_entry_is_a_pointer_to_72_bytes() {
        assert_eq!((size_of::<Entry>(), size_of::<Known>()), (8, 72));
    }

    #[test]
    fn what_a_refusal_reads_comes_first_in_16_bytes() {
        assert_eq!((size_of::<Summary>(), std::mem::offset_of!(Known, summary)), (16, 0));
    }
}
