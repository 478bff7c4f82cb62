//! Updates of a tenant's record, and their results.

use crate::{
    status::{
        ChangeType, Record, TenantStatus, UnavailableReason,
        fact::Fact,
        intern::Interner,
        notified::Notified,
        overrides::OverrideAction,
        record::{Gains, Novelty},
        repetition::repeats,
        settle::Settle,
        stamp::{PullAnswer, PullStamp},
    },
    tenants::correction::Correction,
};

/// A change of one tenant's record.
#[derive(Debug)]
pub(crate) enum Update {
    /// A verified notification.
    Notification(Notified),
    /// An answer of the state API, and what was known when its request was sent.
    Pull { sent: SentPull, answer: PullAnswer },
    /// An operator's order, given at `now`; times in ms since the epoch.
    Override { action: OverrideAction, note: String, until: Option<u64>, now: u64 },
    /// The expiry of an override, if it is due by `now`.
    Expiry { now: u64 },
    /// A record of the store that another replica has changed.
    Stored(Record),
    /// A record of the store, loaded with all others.
    Loaded(Record),
    /// A record that the store returned to a request of this gate, which was sent when so many
    /// tenants had been forgotten; empty when the store has none.
    Read { record: Record, forgets: u64 },
}

/// A pull whose request was sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentPull {
    pub(super) stamp: PullStamp,
    /// Number of tenants that had been forgotten by then.
    pub(super) forgets: u64,
}

/// The result of an [`Update`] of a tenant.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) outcome: Outcome,
    pub(crate) before: TenantStatus,
    pub(crate) after: TenantStatus,
    /// The notification that the record gained, if it was received here.
    pub(crate) notified: Option<ChangeType>,
    /// The correction, when a pull changed the status, whichever replica made it.
    pub(crate) correction: Option<Correction>,
    /// The end of the current override, in ms since the epoch.
    pub(crate) expires: Option<u64>,
    /// Whether the tenant was forgotten after the update was sent, so that it was not applied, or
    /// brought something back that the store lacks.
    pub(crate) forgotten: bool,
}

/// The result of a verified notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The tenant's status changed.
    Applied,
    /// It was recorded without changing the status.
    Recorded,
    /// It was recorded before: same type, same token time.
    Duplicate,
    /// A newer one of its type is recorded.
    Stale,
}

impl SentPull {
    /// Returns whether `record` has this pull or a later one.
    pub(crate) fn is_followed_in(&self, record: &Record) -> bool {
        self.stamp.is_followed_in(record)
    }
}

impl Applied {
    /// Creates the result of an update that has no effect on a tenant of this `status`.
    pub(super) fn ignored(status: TenantStatus, forgotten: bool) -> Self {
        Self {
            outcome: Outcome::Stale,
            before: status.clone(),
            after: status,
            notified: None,
            correction: None,
            expires: None,
            forgotten,
        }
    }

    /// Returns whether the record changed.
    pub(crate) fn changed(&self) -> bool {
        matches!(self.outcome, Outcome::Applied | Outcome::Recorded)
    }

    /// Returns whether the tenant opened, closed, or is now closed for another reason.
    pub(crate) fn status_changed(&self) -> bool {
        self.before.reason() != self.after.reason()
    }

    /// Returns whether the tenant's stored record has just been found to be malformed.
    pub(crate) fn turned_unreadable(&self) -> bool {
        self.status_changed() && self.after.reason() == Some(UnavailableReason::Unreadable)
    }
}

impl Update {
    /// Returns whether it comes from the store, and need not be written back.
    pub(super) fn is_stored(&self) -> bool {
        matches!(self, Self::Stored(_) | Self::Loaded(_) | Self::Read { .. })
    }

    /// Returns whether it has no effect without a record, and does not begin one either.
    pub(super) fn needs_record(&self) -> bool {
        match self {
            Self::Expiry { .. } => true,
            Self::Read { record, .. } => *record == Record::default(),
            _ => false,
        }
    }

    /// Returns the type of the notification, if it is one that was received here.
    pub(super) fn notification(&self) -> Option<ChangeType> {
        match self {
            Self::Notification(notified) => Some(notified.change()),
            _ => None,
        }
    }

    /// Returns whether it comes from the load of a store.
    pub(super) fn is_load(&self) -> bool {
        matches!(self, Self::Loaded(_))
    }

    /// Replaces the details by equal interned ones.
    pub(super) fn intern(&mut self, interner: &mut Interner) {
        match self {
            Self::Notification(notified) => {
                notified.details = interner.intern_notified(&notified.details);
            }
            Self::Pull { answer, .. } => answer.details = interner.intern_pulled(&answer.details),
            Self::Stored(record) | Self::Loaded(record) | Self::Read { record, .. } => {
                record.intern(interner);
            }
            Self::Override { .. } | Self::Expiry { .. } => {}
        }
    }

    /// Merges it into `record`, and returns what was gained, or why it has no effect. Pure: nothing
    /// else changes the record in between. A pull that adds nothing is gained without a change,
    /// unless agreeing ones are `awaited`.
    pub(super) fn merge_into(
        self,
        record: &mut Record,
        settle: &Settle,
        awaited: bool,
    ) -> Result<Gains, Outcome> {
        let fact = match self {
            Self::Notification(notified) => {
                return match record.record_notification(notified) {
                    Novelty::Recorded => Ok(Gains { any: true, pulls: false }),
                    Novelty::Duplicate => Err(Outcome::Duplicate),
                    Novelty::Stale => Err(Outcome::Stale),
                };
            }
            Self::Stored(stored) | Self::Loaded(stored) | Self::Read { record: stored, .. } => {
                return Ok(record.join(&stored));
            }
            Self::Pull { sent, answer } => {
                let pulled = sent.stamp.into_pull(answer, record, settle);
                if !awaited && repeats(&pulled, record, settle) {
                    return Ok(Gains { any: false, pulls: true });
                }
                Fact::Pulled(pulled)
            }
            Self::Override { action, note, until, now } => {
                record.next_override(action, note, now, until)
            }
            Self::Expiry { now } => {
                let latest = record.latest_override();
                let ended = latest.and_then(|latest| latest.expired(now)).ok_or(Outcome::Stale)?;
                Fact::Override(Box::new(ended))
            }
        };
        Ok(record.join(&Record::from(fact)))
    }
}
