//! What can change the record of a tenant, and what that did.

use serde_json::Map;

use crate::{
    status::{
        ChangeType, Record, TenantStatus,
        alike::Alike,
        fact::{Fact, Notified, Order, Pulled, Word},
    },
    tenants::correction::Correction,
};

/// A change of one tenant's record.
#[derive(Debug)]
pub(crate) enum Update {
    /// A verified notification.
    Notification(Notified),
    /// An answer of the state API.
    Pull(Pulled),
    /// An operator's order, given at `now`; times in ms since the epoch.
    Override { action: Order, note: String, until: Option<u64>, now: u64 },
    /// The end of an override that ends by itself, if that has come by `now`.
    Expiry { now: u64 },
    /// What a store holds of the tenant.
    Stored(Record),
}

/// What an [`Update`] did to a tenant.
#[derive(Debug)]
pub(crate) struct Applied {
    pub(crate) outcome: Outcome,
    pub(crate) before: TenantStatus,
    pub(crate) after: TenantStatus,
    /// The notification that the record gained, taken here.
    pub(crate) notified: Option<ChangeType>,
    /// What the notifications had got wrong, when a pull changed the status.
    pub(crate) correction: Option<Correction>,
    /// When the override that stands now ends by itself, ms since the epoch.
    pub(crate) expires: Option<u64>,
}

/// What taking a notification did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Outcome {
    /// The tenant's status changed.
    Applied,
    /// It is on record, and the status is what it was.
    Recorded,
    /// It has been taken before: same type, same token time.
    Duplicate,
    /// A newer one of its type has been taken.
    Stale,
}

impl Applied {
    /// Whether the record changed.
    pub(crate) fn changed(&self) -> bool {
        matches!(self.outcome, Outcome::Applied | Outcome::Recorded)
    }

    /// Whether the tenant opened, closed, or is now closed for another reason.
    pub(crate) fn status_changed(&self) -> bool {
        self.before.reason() != self.after.reason()
    }
}

impl Update {
    /// Whether it comes from the store, which therefore need not be told of it.
    pub(super) fn is_stored(&self) -> bool {
        matches!(self, Self::Stored(_))
    }

    /// The type of the notification, the token time of which is returned with it.
    pub(super) fn notification(&self) -> Option<(ChangeType, i64)> {
        match self {
            Self::Notification(notified) => Some((notified.change, notified.at)),
            _ => None,
        }
    }

    /// When the pull was made, ms since the epoch.
    pub(super) fn pull(&self) -> Option<u64> {
        match self {
            Self::Pull(pulled) => Some(pulled.asked),
            _ => None,
        }
    }

    /// Swaps the details for ones that say the same and are kept already.
    pub(super) fn intern(&mut self, alike: &mut Alike) {
        match self {
            Self::Notification(notified) => notified.details = alike.of_notified(&notified.details),
            Self::Pull(pulled) => pulled.details = alike.of_pulled(&pulled.details),
            Self::Stored(record) => record.share_details(alike),
            Self::Override { .. } | Self::Expiry { .. } => {}
        }
    }

    /// The facts to join into `record`, or why there are none. Pure; nothing else changes the record
    /// in between.
    pub(super) fn into_facts(self, record: &Record) -> Result<Record, Outcome> {
        match self {
            Self::Notification(notified) => notification(notified, record),
            Self::Pull(pulled) => Ok(pull(pulled, record)),
            Self::Override { action, note, until, now } => {
                // Of two orders within one millisecond the later one counts.
                let after = record.word().map_or(0, |word| word.set_at.saturating_add(1));
                let set_at = now.max(after);
                let word = Word { order: action, set_at, until, note, extra: Map::new() };
                Ok(Record::of(Fact::Word(Box::new(word))))
            }
            Self::Expiry { now } => record.word_ended(now).ok_or(Outcome::Stale),
            Self::Stored(stored) => Ok(stored),
        }
    }
}

fn notification(notified: Notified, record: &Record) -> Result<Record, Outcome> {
    let Notified { change, at, .. } = notified;
    let known = record.notified(change).map(|known| (known.at, known.change));
    match known {
        Some(known) if known == (at, change) => Err(Outcome::Duplicate),
        Some((known_at, _)) if known_at > at => Err(Outcome::Stale),
        _ => Ok(Record::of(Fact::Notified(notified))),
    }
}

fn pull(mut pulled: Pulled, record: &Record) -> Record {
    // Of two answers within a few milliseconds the later one counts. Times further apart come
    // from another replica's clock, and are left as they are.
    let last = record.pulls().map(|pulled| pulled.asked).max();
    let last = last.filter(|last| last.checked_sub(pulled.asked).is_some_and(|d| d < 10));
    pulled.asked = last.map_or(pulled.asked, |last| last.saturating_add(1));
    Record::of(Fact::Pulled(pulled))
}
