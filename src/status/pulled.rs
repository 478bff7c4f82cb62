//! An answer of the state API as a fact.

use std::{cmp::Ordering, sync::Arc};

use serde_json::{Map, Value};
use smol_str::SmolStr;

use super::{
    foreign::map_text,
    notified::OpenClose,
    state::{PullOutcome, State},
};

/// A pull that returned the state of the tenant.
///
/// It carries what its replica knew when it sent the request, so that no clock is needed to compare
/// it with a notification.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Pulled {
    /// Wall time at which the unbroken run of answers with this outcome began, ms since the epoch.
    /// For display.
    pub(crate) since: u64,
    /// Token time of the notification it knew, unix seconds; 0 when there was none.
    knew_time: i64,
    pub(crate) details: Arc<PullDetails>,
    /// 1 + the largest in the record when it was sent.
    pub(crate) seq: u32,
    /// Number of seconds for which its replica had known that notification when it was sent.
    pub(crate) known: u32,
    /// Number of seconds for which the answer is fresh, 300 to 3,600 when made here; 0 when it has
    /// no `ValidUntil`.
    pub(crate) fresh: u16,
    pub(crate) state: State,
    knew_change: Option<OpenClose>,
    /// Whether enough time had passed since that notification for the answer to contradict it.
    pub(crate) settled: bool,
}

/// The fields of an answer besides the state.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct PullDetails {
    /// The origin that serves the tenant now: `https://online2.superoffice.com`.
    pub(crate) endpoint: Option<SmolStr>,
    /// The `Version`, free text.
    pub(crate) version: Option<SmolStr>,
    pub(crate) extra: Map<String, Value>,
}

/// A notification, as a pull remembers it: by type and token time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Knew {
    pub(crate) token_time: i64,
    pub(crate) change: OpenClose,
}

impl Pulled {
    /// Creates a pull of `state` that knew `knew`. The caller sets the rest.
    pub(crate) fn new(state: State, seq: u32, knew: Option<Knew>) -> Self {
        Self {
            since: 0,
            knew_time: knew.map_or(0, |knew| knew.token_time),
            details: Arc::default(),
            seq,
            known: 0,
            fresh: 0,
            state,
            knew_change: knew.map(|knew| knew.change),
            settled: true,
        }
    }

    /// Returns the deciding notification of the record when the pull was sent.
    pub(crate) fn knew(&self) -> Option<Knew> {
        self.knew_change.map(|change| Knew { token_time: self.knew_time, change })
    }

    pub(crate) fn outcome(&self) -> PullOutcome {
        self.state.outcome()
    }

    /// Returns its position among pulls: by the token time of what it knew, then by number. Of two
    /// that are equal in both, a closed one is the newer.
    pub(crate) fn position(&self) -> (Option<i64>, u32, PullOutcome) {
        (self.knew_change.map(|_| self.knew_time), self.seq, self.outcome())
    }

    pub(super) fn age(&self, other: &Self) -> Ordering {
        (self.position().cmp(&other.position()))
            .then_with(|| self.knew_change.cmp(&other.knew_change))
            .then_with(|| self.settled.cmp(&other.settled))
            .then_with(|| self.known.cmp(&other.known))
            .then_with(|| self.fresh.cmp(&other.fresh))
            .then_with(|| self.state.cmp(&other.state))
            .then_with(|| self.details.age(&other.details))
            .then_with(|| other.since.cmp(&self.since))
    }
}

impl PullDetails {
    fn age(&self, other: &Self) -> Ordering {
        (self.endpoint.cmp(&other.endpoint))
            .then_with(|| self.version.cmp(&other.version))
            .then_with(|| map_text(&self.extra).cmp(&map_text(&other.extra)))
    }
}
