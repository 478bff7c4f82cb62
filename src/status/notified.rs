//! A verified notification as a fact.

use std::{cmp::Ordering, sync::Arc};

use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::{ChangeType, UnavailableReason, foreign::map_text, wall};

/// A verified notification.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notified {
    /// Unix seconds by SuperOffice's clock: `nbf`, else `iat` - 60, else `exp` - 360.
    pub(crate) token_time: i64,
    /// Wall time at which it was first received, ms since the epoch. For display.
    pub(crate) received_at: u64,
    /// Shared, because in an upgrade night every tenant gets the same versions.
    pub(crate) details: Arc<Details>,
    /// SuperOffice's number of its type, which takes half the memory of a [`ChangeType`].
    number: u32,
    /// Its place among the notifications of one token second, in the order in which the replica
    /// that took it first came to know of them.
    place: u16,
}

/// The informative fields of a notification.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Details {
    pub(crate) version_name: SmolStr,
    pub(crate) file_version: SmolStr,
    /// The `PublicEndpoint` of a Move, as sent: it is validated before use.
    pub(crate) endpoint: Option<SmolStr>,
    /// Fields of a newer version of this crate that this one does not know.
    pub(crate) extra: Map<String, Value>,
}

/// A change type that opens or closes a tenant. The order is that of otherwise equal notifications:
/// a closing comes after a Resume.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum OpenClose {
    Resume,
    Upgrade,
    Suspend,
    Delete,
}

impl OpenClose {
    pub(crate) const ALL: [Self; 4] = [Self::Resume, Self::Upgrade, Self::Suspend, Self::Delete];

    pub(crate) fn from_change(change: ChangeType) -> Option<Self> {
        match change {
            ChangeType::Resume => Some(Self::Resume),
            ChangeType::Upgrade => Some(Self::Upgrade),
            ChangeType::Suspend => Some(Self::Suspend),
            ChangeType::Delete => Some(Self::Delete),
            ChangeType::BackupRestored | ChangeType::Move | ChangeType::Other(_) => None,
        }
    }

    pub(crate) fn change(self) -> ChangeType {
        match self {
            Self::Resume => ChangeType::Resume,
            Self::Upgrade => ChangeType::Upgrade,
            Self::Suspend => ChangeType::Suspend,
            Self::Delete => ChangeType::Delete,
        }
    }

    /// Returns the reason of a closing; `None` for an opening.
    pub(crate) fn reason(self) -> Option<UnavailableReason> {
        match self {
            Self::Resume => None,
            Self::Upgrade => Some(UnavailableReason::Upgrading),
            Self::Suspend => Some(UnavailableReason::Suspended),
            Self::Delete => Some(UnavailableReason::Deleted),
        }
    }
}

/// The order of notifications of one record: by token time, then by place, then by type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Position {
    pub(crate) token_time: i64,
    place: u16,
    rank: u8,
}

impl Notified {
    /// Creates a notification at the first place of its token second.
    pub(crate) fn new(
        change: ChangeType,
        token_time: i64,
        received_at: u64,
        details: Arc<Details>,
    ) -> Self {
        let token_time = wall::token_time(token_time);
        let received_at = received_at.min(wall::LATEST_MS);
        Self { token_time, received_at, details, number: change.into(), place: 1 }
    }

    /// Sets its place among the notifications of its token second.
    pub(crate) fn at_place(self, place: u16) -> Self {
        Self { place, ..self }
    }

    pub(crate) fn place(&self) -> u16 {
        self.place
    }

    pub(crate) fn change(&self) -> ChangeType {
        ChangeType::from(self.number)
    }

    /// Returns whether it opens or closes its tenant.
    pub(crate) fn opens_or_closes(&self) -> bool {
        OpenClose::from_change(self.change()).is_some()
    }

    pub(crate) fn position(&self) -> Position {
        Position { token_time: self.token_time, place: self.place, rank: rank(self.change()) }
    }

    /// Orders two of one type: newest is the latest token time, then the smaller place, so that a
    /// repetition moves nothing.
    pub(super) fn age(&self, other: &Self) -> Ordering {
        (self.token_time.cmp(&other.token_time))
            .then_with(|| other.place.cmp(&self.place))
            .then_with(|| self.number.cmp(&other.number))
            .then_with(|| self.details.age(&other.details))
            .then_with(|| other.received_at.cmp(&self.received_at))
    }
}

impl Details {
    fn age(&self, other: &Self) -> Ordering {
        (self.version_name.cmp(&other.version_name))
            .then_with(|| self.file_version.cmp(&other.file_version))
            .then_with(|| self.endpoint.cmp(&other.endpoint))
            .then_with(|| map_text(&self.extra).cmp(&map_text(&other.extra)))
    }
}

fn rank(change: ChangeType) -> u8 {
    match change {
        ChangeType::Other(_) => 0,
        ChangeType::Move => 1,
        ChangeType::BackupRestored => 2,
        ChangeType::Resume => 3,
        ChangeType::Upgrade => 4,
        ChangeType::Suspend => 5,
        ChangeType::Delete => 6,
    }
}
