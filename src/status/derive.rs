//! The status of a record: derived, never stored.

use super::{
    ChangeType, Evidence, TenantStatus, UnavailableReason,
    notified::{Notified, OpenClose},
    overrides::{Override, OverrideAction},
    pulled::Pulled,
    record::Record,
    state::PullOutcome,
    tenant_status::Closed,
};

/// The outcome for a tenant, open or closed, and its evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Derived {
    pub(crate) closed: Option<Closed>,
    pub(crate) evidence: Evidence,
    pub(crate) confirmed: bool,
}

impl Derived {
    /// Returns the outcome of a pull that would agree with this.
    pub(crate) fn outcome(&self) -> PullOutcome {
        outcome_of(self.closed)
    }

    /// Returns whether a settled pull decided, and not a notification.
    pub(crate) fn rests_on_pull(&self) -> bool {
        self.evidence == Evidence::StateApi
    }
}

/// Returns the status of `record`, without an endpoint, which the caller adds.
pub(crate) fn status(record: &Record) -> TenantStatus {
    let Derived { closed, evidence, confirmed } = derive(record);
    let versions = versions(record);
    let order = in_force(record);
    TenantStatus {
        closed,
        evidence,
        known: evidence == Evidence::Operator || !record.is_silent(),
        confirmed,
        epoch: record.notified(ChangeType::BackupRestored).map_or(0, |own| own.token_time),
        endpoint: None,
        version_name: versions.map(|own| own.details.version_name.clone()).unwrap_or_default(),
        file_version: versions.map(|own| own.details.file_version.clone()).unwrap_or_default(),
        note: order.map(|order| order.note.clone()).unwrap_or_default(),
        until: order.and_then(Override::end),
    }
}

/// Derives the outcome of `record`, and its evidence: from its override, else from its
/// notifications and pulls.
pub(crate) fn derive(record: &Record) -> Derived {
    by_override(record).unwrap_or_else(|| status_without_override(record))
}

/// Derives the outcome that `record` would have without its override.
///
/// Pulls go on under an override, so that the status is current when it is released.
pub(crate) fn status_without_override(record: &Record) -> Derived {
    if record.is_unreadable() {
        // The time is known to the replica that found it malformed, not to the record.
        let closed = Some(Closed { reason: UnavailableReason::Unreadable, since: 0 });
        return Derived { closed, evidence: Evidence::Notification, confirmed: false };
    }
    let derivation = Derivation::new(record);
    match derivation.newest_settled() {
        Some(pulled) => derivation.by_pull(pulled),
        None => derivation.by_notifications(),
    }
}

/// Returns the outcome that notifications alone lead to.
pub(crate) fn outcome_without_pulls(record: &Record) -> PullOutcome {
    let derivation = Derivation { record, deciding: record.latest_open_close(), running: None };
    outcome_of(derivation.by_notifications().closed)
}

fn outcome_of(closed: Option<Closed>) -> PullOutcome {
    closed.map_or(PullOutcome::Running, |closed| PullOutcome::Closed(closed.reason))
}

/// Returns the newest notification that names versions.
fn versions(record: &Record) -> Option<&Notified> {
    let named = record.notifications().filter(|notified| {
        !notified.details.version_name.is_empty() || !notified.details.file_version.is_empty()
    });
    named.max_by_key(|notified| notified.position())
}

/// Returns the override of `record`, unless it is released.
fn in_force(record: &Record) -> Option<&Override> {
    record.latest_override().filter(|latest| latest.action != OverrideAction::Release)
}

/// Returns what the override of `record` decides; `None` without one, and for a released one.
pub(crate) fn by_override(record: &Record) -> Option<Derived> {
    let latest = record.latest_override()?;
    let closed = match latest.action {
        OverrideAction::Release => return None,
        OverrideAction::Open => None,
        OverrideAction::Close => {
            Some(Closed { reason: UnavailableReason::Operator, since: latest.set_at })
        }
    };
    Some(Derived { closed, evidence: Evidence::Operator, confirmed: false })
}

/// A record, and the two facts that most rules refer to.
struct Derivation<'a> {
    record: &'a Record,
    deciding: Option<&'a Notified>,
    /// The settled Running pull: an opening, right behind the notification that it knew.
    running: Option<&'a Pulled>,
}

impl<'a> Derivation<'a> {
    fn new(record: &'a Record) -> Self {
        let running = record.settled(PullOutcome::Running);
        Self { record, deciding: record.latest_open_close(), running }
    }

    /// Returns whether `pulled` knew the deciding notification, or there is none to know.
    fn is_current(&self, pulled: &Pulled) -> bool {
        self.deciding.is_none_or(|deciding| self.record.knows(pulled, deciding))
    }

    /// Returns the settled pull that decides.
    fn newest_settled(&self) -> Option<&'a Pulled> {
        let settled = self.record.pulls().filter(|pulled| pulled.settled);
        settled.filter(|pulled| self.is_current(pulled)).max_by(|a, b| a.age(b))
    }

    /// Returns the notification of a closing, if it is newer than every opening.
    fn standing(&self, closing: OpenClose) -> Option<&'a Notified> {
        let notified = self.record.notified(closing.change())?;
        let resumed = self.record.notified(ChangeType::Resume);
        let resumed = resumed.is_some_and(|resume| resume.position() > notified.position());
        let running = self.running.is_some_and(|pulled| self.record.knows(pulled, notified));
        Some(notified).filter(|_| !resumed && !running)
    }

    fn is_confirmed(&self, outcome: PullOutcome) -> bool {
        let mut pulls = self.record.pulls();
        pulls.any(|pulled| pulled.outcome() == outcome && self.is_current(pulled))
    }

    /// Derives the outcome where no settled pull knows the deciding notification: notifications
    /// decide.
    fn by_notifications(&self) -> Derived {
        let standing = self.standing(OpenClose::Delete).or_else(|| {
            let others = [OpenClose::Upgrade, OpenClose::Suspend];
            let others = others.into_iter().filter_map(|closing| self.standing(closing));
            others.max_by_key(|notified| notified.position())
        });
        let closed = standing.and_then(closed_by);
        let confirmed = self.is_confirmed(outcome_of(closed));
        Derived { closed, evidence: Evidence::Notification, confirmed }
    }

    /// Derives the outcome from `pulled`, which decides, except that no other closed state weakens
    /// Deleted.
    fn by_pull(&self, pulled: &Pulled) -> Derived {
        let evidence = Evidence::StateApi;
        let PullOutcome::Closed(reason) = pulled.outcome() else {
            return Derived { closed: None, evidence, confirmed: true };
        };
        if reason != UnavailableReason::Deleted {
            if let Some(delete) = self.standing(OpenClose::Delete) {
                let closed = closed_by(delete);
                let confirmed = self.is_confirmed(outcome_of(closed));
                return Derived { closed, evidence: Evidence::Notification, confirmed };
            }
            if let Some(deleted) = self.deleted_by_pull() {
                let reason = UnavailableReason::Deleted;
                let closed = Some(Closed { reason, since: deleted.since });
                return Derived { closed, evidence, confirmed: true };
            }
        }
        // A pull that only repeats a notification does not change the time of closing.
        let closings = OpenClose::ALL.into_iter().filter(|own| own.reason() == Some(reason));
        let standing = closings.filter_map(|closing| self.standing(closing)).next();
        let since = standing.map_or(pulled.since, |notified| notified.received_at);
        Derived { closed: Some(Closed { reason, since }), evidence, confirmed: true }
    }

    /// Returns a settled Deleted pull that no such Running pull has followed.
    fn deleted_by_pull(&self) -> Option<&'a Pulled> {
        let deleted = self.record.settled(PullOutcome::Closed(UnavailableReason::Deleted))?;
        let running = self.running.filter(|running| self.is_current(running));
        let reopened = running.is_some_and(|running| running.age(deleted).is_gt());
        (self.is_current(deleted) && !reopened).then_some(deleted)
    }
}

fn closed_by(notified: &Notified) -> Option<Closed> {
    let reason = OpenClose::from_change(notified.change())?.reason()?;
    Some(Closed { reason, since: notified.received_at })
}
