//! Overrides by an operator.

use std::cmp::Ordering;

use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::{foreign::map_text, wall};

/// An operator's order for a tenant, in force until it is released.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Override {
    pub(crate) action: OverrideAction,
    /// 1 + the largest before.
    pub(crate) order: u32,
    /// Wall time at which it was set, ms since the epoch. For display.
    pub(crate) set_at: u64,
    /// Wall time at which it ends by itself, ms since the epoch.
    pub(crate) until: Option<u64>,
    /// Cloned by each refusal, which allocates nothing.
    pub(crate) note: SmolStr,
    pub(crate) extra: Map<String, Value>,
}

/// The order is that of precedence between overrides with the same number. One that ends by itself
/// is ended by a release with its own number, so a release comes last; and closed beats open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum OverrideAction {
    Open,
    Close,
    Release,
}

impl Override {
    /// Creates the override that follows `last`.
    pub(crate) fn after(
        last: Option<&Self>,
        action: OverrideAction,
        note: String,
        set_at: u64,
        until: Option<u64>,
    ) -> Self {
        Self {
            action,
            order: next_number(last.map(|last| last.order)),
            set_at: set_at.min(wall::LATEST_MS),
            until: until.map(|until| until.min(wall::LATEST_MS)),
            note: note.into(),
            extra: Map::new(),
        }
    }

    /// Returns when it ends by itself, ms since the epoch; `None` for a release too.
    pub(crate) fn end(&self) -> Option<u64> {
        self.until.filter(|_| self.action != OverrideAction::Release)
    }

    /// Returns the release that ends it, if its end has come by `now`.
    ///
    /// It has the number of what it ends, so that it ends no later override, whichever replica
    /// makes it.
    pub(crate) fn expired(&self, now: u64) -> Option<Self> {
        self.end().filter(|&end| end <= now)?;
        Some(Self { action: OverrideAction::Release, ..self.clone() })
    }

    pub(super) fn age(&self, other: &Self) -> Ordering {
        (self.order.cmp(&other.order))
            .then_with(|| self.action.cmp(&other.action))
            .then_with(|| self.until.cmp(&other.until))
            .then_with(|| self.note.cmp(&other.note))
            .then_with(|| map_text(&self.extra).cmp(&map_text(&other.extra)))
            .then_with(|| other.set_at.cmp(&self.set_at))
    }
}

/// The largest number that a record counts to. Half of what the type holds: a damaged record that
/// claims more is malformed, so the count can always go on.
pub(crate) const LAST_NUMBER: u32 = u32::MAX / 2;

/// Returns 1 + the largest number before.
pub(crate) fn next_number(largest: Option<u32>) -> u32 {
    largest.unwrap_or(0).saturating_add(1).min(LAST_NUMBER)
}
