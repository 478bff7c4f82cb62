//! The independent facts that a record keeps, and which of two is the newer.

use std::{cmp::Ordering, sync::Arc};

use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::{
    ChangeType,
    state::{State, Verdict},
};

/// One fact about a tenant. A record keeps the newest of each [`Slot`].
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fact {
    Notified(Notified),
    Pulled(Pulled),
    Word(Box<Word>),
}

/// A verified notification.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Notified {
    pub(crate) change: ChangeType,
    /// The token's time, unix seconds: `nbf`, else `iat` - 60, else `exp` - 360.
    pub(crate) at: i64,
    /// Arrival at the gate that took it first, ms since the epoch.
    pub(crate) seen: u64,
    /// Shared, because in an upgrade night every tenant is told of the same versions.
    pub(crate) details: Arc<Details>,
}

/// What a notification says besides its type.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Details {
    pub(crate) version_name: SmolStr,
    pub(crate) file_version: SmolStr,
    /// The `PublicEndpoint` of a Move, as sent: whoever uses it checks it first.
    pub(crate) endpoint: Option<SmolStr>,
    /// Fields that a newer version of this crate wrote and this one doesn't know.
    pub(crate) extra: Map<String, Value>,
}

/// An answer of the state API.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pulled {
    pub(crate) state: State,
    /// When it was asked for, ms since the epoch.
    pub(crate) asked: u64,
    /// When the first of an unbroken run of answers with this verdict was asked for.
    pub(crate) since: u64,
    pub(crate) details: Arc<PullDetails>,
}

/// What an answer says besides the state.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct PullDetails {
    /// The origin that serves the tenant now: `https://online2.superoffice.com`.
    pub(crate) endpoint: Option<SmolStr>,
    pub(crate) extra: Map<String, Value>,
}

/// What an operator said.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Word {
    pub(crate) order: Order,
    /// ms since the epoch.
    pub(crate) set_at: u64,
    /// When it ends by itself, ms since the epoch.
    pub(crate) until: Option<u64>,
    pub(crate) note: String,
    pub(crate) extra: Map<String, Value>,
}

/// What an operator can say. The order is that of precedence between words set at the same time:
/// the end of a word is a release set when the word was, so a release comes last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Order {
    Open,
    Close,
    Release,
}

/// The kinds of facts: a record holds at most one of each, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Slot {
    Upgrade,
    BackupRestored,
    Suspend,
    Resume,
    Delete,
    Move,
    Other,
    Pulled(Verdict),
    Word,
}

impl Slot {
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
            Self::Notified(notified) => Slot::of_change(notified.change),
            Self::Pulled(pulled) => Slot::Pulled(pulled.state.verdict()),
            Self::Word(_) => Slot::Word,
        }
    }

    /// Which of two facts of the same slot a record keeps: `Greater` is kept.
    ///
    /// It is a total order, ties included, and that is what makes `merge` commutative and
    /// associative.
    pub(crate) fn age(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Notified(a), Self::Notified(b)) => a.age(b),
            (Self::Pulled(a), Self::Pulled(b)) => a.age(b),
            (Self::Word(a), Self::Word(b)) => a.age(b),
            _ => self.slot().cmp(&other.slot()),
        }
    }
}

impl Notified {
    /// Newest is the latest token time. Two of one second and type are one notification that came
    /// twice, so the first arrival stands: a replay can't move `seen`.
    fn age(&self, other: &Self) -> Ordering {
        (self.at.cmp(&other.at))
            .then_with(|| other.seen.cmp(&self.seen))
            .then_with(|| self.change.cmp(&other.change))
            .then_with(|| self.details.age(&other.details))
    }

    /// When it happened, to compare notifications of different types: within one second of token
    /// time the order of arrival decides.
    pub(crate) fn time(&self) -> (i64, u64) {
        (self.at, self.seen)
    }
}

impl Details {
    fn age(&self, other: &Self) -> Ordering {
        (self.version_name.cmp(&other.version_name))
            .then_with(|| self.file_version.cmp(&other.file_version))
            .then_with(|| self.endpoint.cmp(&other.endpoint))
            .then_with(|| text(&self.extra).cmp(&text(&other.extra)))
    }
}

impl Pulled {
    fn age(&self, other: &Self) -> Ordering {
        (self.asked.cmp(&other.asked))
            .then_with(|| other.since.cmp(&self.since))
            .then_with(|| self.state.cmp(&other.state))
            .then_with(|| self.details.endpoint.cmp(&other.details.endpoint))
            .then_with(|| text(&self.details.extra).cmp(&text(&other.details.extra)))
    }
}

impl Word {
    fn age(&self, other: &Self) -> Ordering {
        (self.set_at.cmp(&other.set_at))
            .then_with(|| self.order.cmp(&other.order))
            .then_with(|| self.until.cmp(&other.until))
            .then_with(|| self.note.cmp(&other.note))
            .then_with(|| text(&self.extra).cmp(&text(&other.extra)))
    }
}

/// A text that is the same for equal maps.
pub(super) fn text(extra: &Map<String, Value>) -> String {
    if extra.is_empty() { String::new() } else { sorted_text(Value::Object(extra.clone())) }
}

/// `value` as text, its keys sorted: `serde_json` keeps them so, unless any crate of the program
/// switches its `preserve_order` on.
pub(super) fn sorted_text(mut value: Value) -> String {
    value.sort_all_objects();
    value.to_string()
}
