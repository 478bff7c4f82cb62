//! A tenant's entry in the registry: its record, what is known beside it, and its summary.

use std::time::Duration;

use crate::{
    status::{
        Evidence, Record, TenantStatus, UnavailableReason,
        derive::status,
        history::{Gained, PullHistory},
        knowledge::Knowledge,
        mono::Mono,
        past::Past,
        settle::Settle,
        tenant_status::Closed,
    },
    tenants::{
        correction::agreed_within,
        update::{Outcome, Update},
    },
};

/// A tenant. It stays small, because there may be a million, and a hash table has twice the room
/// that they take: so all that a call to an open tenant doesn't read is behind one pointer.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) known: Box<Known>,
    /// When it is pulled next.
    pub(super) due: Due,
    closed: Option<(UnavailableReason, Evidence)>,
    /// Closed as not ready until something is known of it.
    pending: bool,
}

/// All that is known of a tenant here.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) record: Record,
    /// Since when what the record says is known here. Changes with the record, and is never stored.
    pub(super) knowledge: Knowledge,
    /// What is remembered of its pulls, as the knowledge is.
    pub(super) history: PullHistory,
    /// Since when it is closed, ms since the epoch.
    since: u64,
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
    /// Merges `update` into the record, the only place where it changes, and updates the rest of
    /// the entry. Returns whether it changed, or why the update has no effect.
    pub(super) fn merge(
        &mut self,
        update: Update,
        settle: &Settle,
        now: Duration,
    ) -> Result<bool, Outcome> {
        let (past, is_load) = (Past::of(&self.known.record), update.is_load());
        let awaited = self.known.history.turned().is_some();
        let gains = update.merge_into(&mut self.known.record, settle, awaited)?;
        // A pull that tells nothing new is news for the schedule all the same.
        if gains.any || gains.pulls {
            let gained = match gains.pulls {
                _ if is_load => Gained::Loaded,
                true => Gained::Pull,
                false => Gained::Other,
            };
            self.known.knowledge.update(&past, &self.known.record, now);
            self.known.history.update(&past, &self.known.record, gained, now);
        }
        Ok(gains.any)
    }

    pub(super) fn agreed_within(&self, now: Duration) -> Option<Duration> {
        agreed_within(&self.known.record, &self.known.knowledge, &self.known.history, now)
    }

    pub(super) fn due(&self) -> Option<Mono> {
        Some(self.due.0).filter(|due| *due != Mono::NEVER)
    }

    pub(super) fn summary(&self) -> Option<ClosedSummary> {
        let (reason, evidence) = self.closed?;
        Some(ClosedSummary { reason, evidence, since: self.known.since, due: self.due() })
    }

    /// Notes the wall time at which the tenant's stored record was found to be malformed, if it has
    /// just been.
    pub(super) fn note_unreadable(&mut self, now: u64) {
        if self.known.record.is_unreadable() && !self.is_unreadable() {
            self.known.since = now;
        }
    }

    pub(super) fn is_unreadable(&self) -> bool {
        matches!(self.closed, Some((UnavailableReason::Unreadable, _)))
    }

    pub(super) fn is_known(&self) -> bool {
        !is_silent(&self.known.record)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.is_some()
    }

    /// Keeps the tenant closed, as not ready, until something is known of it; does nothing when
    /// something is.
    pub(super) fn close_until_known(&mut self, now: u64) {
        if is_silent(&self.known.record) {
            self.pending = true;
            self.known.since = now;
        }
    }

    /// Updates the summary from the record, and returns the status.
    pub(super) fn summarize(&mut self) -> TenantStatus {
        self.pending &= is_silent(&self.known.record);
        let status = self.status();
        self.closed = status.closed.map(|closed| (closed.reason, status.evidence));
        self.known.since = status.closed.map_or(0, |closed| closed.since);
        status
    }

    pub(super) fn status(&self) -> TenantStatus {
        let mut status = status(&self.known.record);
        if self.known.record.is_unreadable() {
            status.closed = status.closed.map(|own| Closed { since: self.known.since, ..own });
        }
        if self.pending && status.evidence != Evidence::Operator {
            status.closed =
                Some(Closed { reason: UnavailableReason::NotReady, since: self.known.since });
            status.evidence = Evidence::StateApi;
        }
        status
    }
}

/// Returns whether `record` has no fact about whether its tenant is open.
fn is_silent(record: &Record) -> bool {
    record.pulls().next().is_none() && record.deciding().is_none() && !record.is_unreadable()
}
