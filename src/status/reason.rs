//! The reason why a tenant is closed, and the evidence of a status.

use std::fmt;

use serde::Serialize;

/// The reason why a tenant is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum UnavailableReason {
    /// The tenant is being upgraded, or is about to be: minutes.
    Upgrading,
    /// The tenant is suspended: days or weeks.
    Suspended,
    /// The tenant is deleted. Terminal in practice; a verified Resume still opens it.
    Deleted,
    /// The tenant is being created, could not be created, waits for a migration, or has no record
    /// yet.
    NotReady,
    /// An operator closed the tenant.
    Operator,
    /// Its stored record is malformed. The next notification, settled pull or operator's order
    /// replaces the record.
    Unreadable,
}

impl UnavailableReason {
    pub(crate) const ALL: [Self; 6] = [
        Self::Upgrading,
        Self::Suspended,
        Self::Deleted,
        Self::NotReady,
        Self::Operator,
        Self::Unreadable,
    ];

    /// Returns the spelling used in logs and answers: `upgrading`, `suspended`, `deleted`,
    /// `not_ready`, `operator`, `unreadable`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upgrading => "upgrading",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
            Self::NotReady => "not_ready",
            Self::Operator => "operator",
            Self::Unreadable => "unreadable",
        }
    }
}

impl fmt::Display for UnavailableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The evidence of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Evidence {
    /// A verified notification, or no evidence at all.
    Notification,
    /// A pull.
    StateApi,
    /// An operator's override.
    Operator,
}

impl Evidence {
    /// Returns the spelling used in logs and answers: `notification`, `state_api`, `operator`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Notification => "notification",
            Self::StateApi => "state_api",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for Evidence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_and_evidence_are_spelled_as_documented() {
        let spelled = ["upgrading", "suspended", "deleted", "not_ready", "operator", "unreadable"];
        assert_eq!(UnavailableReason::ALL.map(|reason| reason.to_string()), spelled);
        assert_eq!(UnavailableReason::ALL.map(UnavailableReason::as_str), spelled);
        let json = UnavailableReason::ALL.map(|reason| serde_json::to_value(reason).unwrap());
        assert_eq!(json, spelled);
        let evidence = [Evidence::Notification, Evidence::StateApi, Evidence::Operator];
        let spelled = ["notification", "state_api", "operator"];
        assert_eq!(evidence.map(|evidence| evidence.to_string()), spelled);
        assert_eq!(evidence.map(Evidence::as_str), spelled);
        assert_eq!(evidence.map(|evidence| serde_json::to_value(evidence).unwrap()), spelled);
    }
}
