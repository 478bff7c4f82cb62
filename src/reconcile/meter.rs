//! The lost-notification meter: how often a pull had to correct what the notifications said.

use std::{collections::VecDeque, fmt, time::Duration};

use crate::status::{
    ChangeType, Record, TenantStatus, UnavailableReason,
    derive::{Settle, deciding, underneath},
    state::Verdict,
};

/// A pull that changed a tenant's status: the notification that should have, did not come in time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Correction {
    /// The notification that was missed; `None` where SuperOffice has none for what the pull said
    /// (a tenant that is being provisioned or waits for a migration).
    pub missed: Option<ChangeType>,
    /// How long the status had been wrong at most: the time since the newest fact that agreed with it.
    /// `None` where nothing did, as for a tenant that was open only because nobody had heard of it.
    pub within: Option<Duration>,
}

/// Corrections of one kind, since the gate was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Corrected {
    /// How many there were.
    pub count: u64,
    /// How long the last one had been wrong at most.
    pub last: Option<Duration>,
    /// The median of that over the last 64 that were timed.
    pub median: Option<Duration>,
}

/// Counts and times corrections by the notification that was missed.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    kinds: [Kind; KINDS.len()],
}

#[derive(Debug, Default)]
struct Kind {
    count: u64,
    recent: VecDeque<Duration>,
}

/// What can be missed. Other change types neither open nor close, so no pull corrects them.
const KINDS: [Option<ChangeType>; 5] = [
    Some(ChangeType::Upgrade),
    Some(ChangeType::Suspend),
    Some(ChangeType::Resume),
    Some(ChangeType::Delete),
    None,
];

const RECENT: usize = 64;

impl Correction {
    /// What the pull asked for at `asked` corrected, if anything: `before` is the record without it,
    /// `after` the status with it. An operator's word is left out of account on both sides.
    pub(crate) fn of(before: &Record, after: &Record, settle: &Settle, asked: u64) -> Option<Self> {
        if before.facts().is_empty() {
            // The first that was ever heard of the tenant: news, and nothing to correct.
            return None;
        }
        let was = underneath(before, settle).map(|closure| closure.reason);
        let is = underneath(after, settle).map(|closure| closure.reason);
        if was == is {
            return None;
        }
        let missed = match is {
            None => Some(ChangeType::Resume),
            Some(UnavailableReason::Upgrading) => Some(ChangeType::Upgrade),
            Some(UnavailableReason::Suspended) => Some(ChangeType::Suspend),
            Some(UnavailableReason::Deleted) => Some(ChangeType::Delete),
            Some(_) => None,
        };
        let verdict = was.map_or(Verdict::Running, Verdict::Closed);
        let agreed = before.pulled(verdict).map(|pulled| pulled.asked);
        let told = deciding(before).map(|notified| notified.seen);
        let right =
            agreed.max(told).map(|right| Duration::from_millis(asked.saturating_sub(right)));
        Some(Self { missed, within: right })
    }
}

impl Meter {
    pub(crate) fn count(&mut self, correction: &Correction) {
        let kind = KINDS.iter().position(|kind| *kind == correction.missed);
        let Some(kind) = kind.and_then(|place| self.kinds.get_mut(place)) else { return };
        kind.count += 1;
        if let Some(within) = correction.within {
            kind.recent.push_back(within);
            if kind.recent.len() > RECENT {
                kind.recent.pop_front();
            }
        }
    }

    /// The corrections of each kind that occurred.
    pub(crate) fn read(&self) -> Vec<(Option<ChangeType>, Corrected)> {
        let occurred = KINDS.iter().zip(&self.kinds).filter(|(_, kind)| kind.count > 0);
        occurred.map(|(missed, kind)| (*missed, kind.read())).collect()
    }
}

impl Kind {
    fn read(&self) -> Corrected {
        let mut sorted: Vec<_> = self.recent.iter().copied().collect();
        sorted.sort_unstable();
        let median = sorted.get(sorted.len() / 2).copied();
        Corrected { count: self.count, last: self.recent.back().copied(), median }
    }
}

impl fmt::Display for Correction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.missed {
            Some(missed) => write!(f, "missed {missed}")?,
            None => f.write_str("closed without a notification")?,
        }
        match self.within {
            Some(within) => write!(f, ", wrong for at most {} s", within.as_secs()),
            None => Ok(()),
        }
    }
}
