//! The independent facts of a record, and their order.

use std::cmp::Ordering;

use super::{
    ChangeType, UnavailableReason, notified::Notified, overrides::Override, pulled::Pulled,
    state::PullOutcome,
};

/// One fact about a tenant. A record keeps the newest of each [`Slot`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    Notified(Notified),
    Pulled(Pulled),
    Override(Box<Override>),
}

/// The kinds of facts: a record holds at most one of each, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Slot {
    Upgrade,
    BackupRestored,
    Suspend,
    Resume,
    Delete,
    Move,
    Other,
    /// A settled pull, for each outcome.
    Settled(PullOutcome),
    /// The last unsettled pull, of any outcome.
    Unsettled,
    Override,
}

impl Slot {
    pub(crate) const ALL: [Self; 14] = [
        Self::Upgrade,
        Self::BackupRestored,
        Self::Suspend,
        Self::Resume,
        Self::Delete,
        Self::Move,
        Self::Other,
        Self::Settled(PullOutcome::Running),
        Self::Settled(PullOutcome::Closed(UnavailableReason::Upgrading)),
        Self::Settled(PullOutcome::Closed(UnavailableReason::Suspended)),
        Self::Settled(PullOutcome::Closed(UnavailableReason::Deleted)),
        Self::Settled(PullOutcome::Closed(UnavailableReason::NotReady)),
        Self::Unsettled,
        Self::Override,
    ];

    pub(crate) fn of_change(change: ChangeType) -> Self {
        match change {
            ChangeType::Upgrade => Self::Upgrade,
            ChangeType::BackupRestored => Self::BackupRestored,
            ChangeType::Suspend => Self::Suspend,
            ChangeType::Resume => Self::Resume,
            ChangeType::Delete => Self::Delete,
            ChangeType::Move => Self::Move,
            ChangeType::Other(_) => Self::Other,
        }
    }
}

impl Fact {
    pub(crate) fn slot(&self) -> Slot {
        match self {
            Self::Notified(notified) => Slot::of_change(notified.change()),
            Self::Pulled(pulled) if !pulled.settled => Slot::Unsettled,
            Self::Pulled(pulled) => Slot::Settled(pulled.outcome()),
            Self::Override(_) => Slot::Override,
        }
    }

    /// Orders two facts of the same slot; a record keeps the `Greater`.
    ///
    /// The order is total, ties included, which makes `merge` commutative and associative.
    pub(crate) fn age(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Notified(a), Self::Notified(b)) => a.age(b),
            (Self::Pulled(a), Self::Pulled(b)) => a.age(b),
            (Self::Override(a), Self::Override(b)) => a.age(b),
            _ => self.slot().cmp(&other.slot()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_facts_fit_in_40_megabytes() {
        assert_eq!(size_of::<Fact>(), 40);
    }

    #[test]
    fn slots_are_listed_in_their_order() {
        assert!(Slot::ALL.is_sorted());
    }
}
