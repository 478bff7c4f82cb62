//! The states of the state API, and whether each opens or closes a tenant.

use std::fmt;

use super::UnavailableReason;

/// A `State` of the state API whose meaning is known.
///
/// `Unknown` and values that SuperOffice may add are left out on purpose: an answer with one of
/// them does not become a fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum State {
    /// Being created.
    Provisioning,
    /// Open.
    Running,
    /// Deleted.
    Deleted,
    /// Suspended; resumes at night or by hand.
    Suspended,
    /// In maintenance, but open.
    OnlineMaintenance,
    /// Closed for maintenance, typically an upgrade of minutes.
    OfflineMaintenance,
    /// Could not be created.
    ProvisioningFailed,
    /// Being deleted.
    Deleting,
    /// Could not be deleted.
    DeleteFailed,
    /// Waits for a migration, for days or weeks.
    MigrationPending,
}

/// The outcome of a pull: open, or closed for a reason. Closed comes after open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum PullOutcome {
    Running,
    Closed(UnavailableReason),
}

/// Every state with the name and the number that SuperOffice gives it.
const STATES: [(State, &str, u64); 10] = [
    (State::Provisioning, "Provisioning", 1),
    (State::Running, "Running", 2),
    (State::Deleted, "Deleted", 3),
    (State::Suspended, "Suspended", 4),
    (State::OnlineMaintenance, "OnlineMaintenance", 5),
    (State::OfflineMaintenance, "OfflineMaintenance", 6),
    (State::ProvisioningFailed, "ProvisioningFailed", 8),
    (State::Deleting, "Deleting", 10),
    (State::DeleteFailed, "DeleteFailed", 11),
    (State::MigrationPending, "MigrationPending", 12),
];

impl State {
    /// Returns the state that SuperOffice spells `name`; `None` for `Unknown` and for names not
    /// known here.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        STATES.iter().find(|(_, known, _)| *known == name).map(|(state, ..)| *state)
    }

    /// Returns the state that SuperOffice numbers `number`; `None` for 0 and for numbers not known
    /// here.
    #[must_use]
    pub fn from_number(number: u64) -> Option<Self> {
        STATES.iter().find(|(.., known)| *known == number).map(|(state, ..)| *state)
    }

    /// Returns SuperOffice's name for the state.
    #[must_use]
    pub fn name(self) -> &'static str {
        STATES.iter().find(|(state, ..)| *state == self).map_or("", |(_, name, _)| name)
    }

    /// Returns whether a tenant in this state can be used: SuperOffice's `IsRunning`.
    #[must_use]
    pub fn is_running(self) -> bool {
        matches!(self, Self::Running | Self::OnlineMaintenance)
    }

    pub(crate) fn outcome(self) -> PullOutcome {
        match self {
            Self::Running | Self::OnlineMaintenance => PullOutcome::Running,
            Self::Suspended => PullOutcome::Closed(UnavailableReason::Suspended),
            Self::Deleted | Self::Deleting | Self::DeleteFailed => {
                PullOutcome::Closed(UnavailableReason::Deleted)
            }
            Self::OfflineMaintenance => PullOutcome::Closed(UnavailableReason::Upgrading),
            Self::Provisioning | Self::ProvisioningFailed | Self::MigrationPending => {
                PullOutcome::Closed(UnavailableReason::NotReady)
            }
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_lead_to_the_same_state() {
        for (state, name, number) in STATES {
            assert_eq!(State::from_name(name), Some(state));
            assert_eq!(State::from_number(number), Some(state));
            assert_eq!(state.to_string(), name);
            assert_eq!(state.is_running(), state.outcome() == PullOutcome::Running);
        }
        for (name, number) in [("Unknown", 0), ("running", 7), ("", 9), ("Frozen", 13)] {
            assert_eq!(State::from_name(name), None);
            assert_eq!(State::from_number(number), None);
        }
    }

    #[test]
    fn states_close_for_the_documented_reasons() {
        use UnavailableReason as R;
        let reasons = STATES.map(|(state, ..)| match state.outcome() {
            PullOutcome::Running => None,
            PullOutcome::Closed(reason) => Some(reason),
        });
        let expected = [
            Some(R::NotReady),
            None,
            Some(R::Deleted),
            Some(R::Suspended),
            None,
            Some(R::Upgrading),
            Some(R::NotReady),
            Some(R::Deleted),
            Some(R::Deleted),
            Some(R::NotReady),
        ];
        assert_eq!(reasons, expected);
    }
}
