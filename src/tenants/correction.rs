//! A pull that contradicted the notifications.

use std::{fmt, time::Duration};

use crate::status::{
    ChangeType, Record, TenantStatus, UnavailableReason, derive::deciding, state::Verdict,
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

impl Correction {
    /// Returns what a pull made at `asked` corrected, if anything: it led from one status to the
    /// other, and `record` is what was known without it.
    pub(super) fn between(
        record: &Record,
        before: &TenantStatus,
        after: &TenantStatus,
        asked: u64,
    ) -> Option<Self> {
        // The first that is heard of a tenant is news: there is nothing to correct.
        if record.is_empty() || before.reason() == after.reason() {
            return None;
        }
        let missed = match after.reason() {
            None => Some(ChangeType::Resume),
            Some(UnavailableReason::Upgrading) => Some(ChangeType::Upgrade),
            Some(UnavailableReason::Suspended) => Some(ChangeType::Suspend),
            Some(UnavailableReason::Deleted) => Some(ChangeType::Delete),
            Some(UnavailableReason::NotReady | UnavailableReason::Operator) => None,
        };
        let verdict = before.reason().map_or(Verdict::Running, Verdict::Closed);
        let agreed = record.pulled(verdict).map(|pulled| pulled.asked);
        let told = deciding(record).map(|notified| notified.seen);
        let right = agreed.max(told);
        let within = right.map(|right| Duration::from_millis(asked.saturating_sub(right)));
        Some(Self { missed, within })
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::status::{
        State,
        derive::{Settle, status},
        fact::{Fact, Notified, Pulled},
    };

    fn notified(change: ChangeType, seen: u64) -> Fact {
        let details = Arc::default();
        Fact::Notified(Notified { change, at: i64::try_from(seen / 1000).unwrap(), seen, details })
    }

    fn pulled(state: State, asked: u64) -> Fact {
        Fact::Pulled(Pulled { state, asked, since: asked, details: Arc::default() })
    }

    /// What the last of `facts`, a pull, corrected.
    fn correction(facts: impl IntoIterator<Item = Fact>) -> Option<Correction> {
        let mut facts: Vec<_> = facts.into_iter().collect();
        let Some(Fact::Pulled(last)) = facts.pop() else { panic!("the last fact is a pull") };
        let before = Record::from_parts(facts, None);
        let mut after = before.clone();
        after.merge(&Record::of(Fact::Pulled(last.clone())));
        let settle = Settle::default();
        Correction::between(
            &before,
            &status(&before, &settle),
            &status(&after, &settle),
            last.asked,
        )
    }

    #[test]
    fn a_correction_names_what_was_missed_and_for_how_long_at_most() {
        let seconds = |s| Some(Duration::from_secs(s));
        let lost_resume = correction([
            notified(ChangeType::Suspend, 10_000),
            pulled(State::Suspended, 400_000),
            pulled(State::Running, 700_000),
        ]);
        let expected = Correction { missed: Some(ChangeType::Resume), within: seconds(300) };
        assert_eq!(lost_resume, Some(expected));

        let lost_delete =
            correction([notified(ChangeType::Resume, 10_000), pulled(State::Deleted, 100_000)]);
        let expected = Correction { missed: Some(ChangeType::Delete), within: seconds(90) };
        assert_eq!(lost_delete, Some(expected));

        let never_announced =
            correction([pulled(State::Running, 1000), pulled(State::MigrationPending, 3000)]);
        assert_eq!(never_announced, Some(Correction { missed: None, within: seconds(2) }));

        let only_moved = correction([notified(ChangeType::Move, 0), pulled(State::Suspended, 9)]);
        let expected = Correction { missed: Some(ChangeType::Suspend), within: None };
        assert_eq!(only_moved, Some(expected));
    }

    #[test]
    fn agreement_first_news_and_lag_are_no_corrections() {
        for facts in [
            vec![pulled(State::Suspended, 1000)],
            vec![notified(ChangeType::Suspend, 0), pulled(State::Suspended, 100_000)],
            vec![notified(ChangeType::Resume, 0), pulled(State::OnlineMaintenance, 100_000)],
            // Asked before the Suspend has settled: it lags, and changes nothing.
            vec![notified(ChangeType::Suspend, 1000), pulled(State::Running, 50_000)],
        ] {
            assert_eq!(correction(facts.clone()), None, "{facts:?}");
        }
    }
}
