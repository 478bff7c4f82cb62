//! The parts of a record before a change that the times beside it depend on.

use super::{derive::status_without_override, pulled::Knew, record::Record, state::PullOutcome};

/// The parts of a record before a change, in place of a copy of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Past {
    pub(super) is_empty: bool,
    pub(super) deciding: Option<Knew>,
    pub(super) outcome: PullOutcome,
    /// Whether a settled pull decided it.
    pub(super) rests_on_pull: bool,
    /// The deciding notification, if it is what closes the tenant and no pull ever agreed with it:
    /// another one of its type only repeats it.
    unconfirmed: Option<Knew>,
}

impl Past {
    /// The past of a tenant that nothing was known of.
    pub(crate) const NOTHING: Self = Self {
        is_empty: true,
        deciding: None,
        outcome: PullOutcome::Running,
        rests_on_pull: false,
        unconfirmed: None,
    };

    pub(crate) fn of(record: &Record) -> Self {
        let status = status_without_override(record);
        let outcome = status.outcome();
        let deciding = record.deciding();
        let closing =
            deciding.filter(|last| last.change.reason().map(PullOutcome::Closed) == Some(outcome));
        let confirmed = |last: &Knew| {
            record.pulls().any(|pulled| pulled.knew() == Some(*last) && pulled.outcome() == outcome)
        };
        Self {
            is_empty: record.is_empty(),
            deciding,
            outcome,
            rests_on_pull: status.rests_on_pull(),
            unconfirmed: closing.filter(|last| !confirmed(last)),
        }
    }

    /// Returns the notification that `next` only repeats, if it does.
    pub(super) fn repeated_by(&self, next: Knew) -> Option<Knew> {
        self.unconfirmed.filter(|last| last.change == next.change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_the_past_of_an_empty_record() {
        assert_eq!(Past::of(&Record::default()), Past::NOTHING);
    }
}
