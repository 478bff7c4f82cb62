//! The groups of tenants that the page tells apart.

use tower_superoffice::{TenantStatus, UnavailableReason, status::Evidence};

/// Why a tenant is listed: the reason of its closing, or what keeps it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Group {
    Upgrading,
    NotReady,
    Suspended,
    Deleted,
    Unreadable,
    Operator,
    /// Open by an operator's order.
    HeldOpen,
    Open,
}

impl Group {
    pub(super) const ALL: [Self; 8] = [
        Self::Upgrading,
        Self::NotReady,
        Self::Suspended,
        Self::Deleted,
        Self::Unreadable,
        Self::Operator,
        Self::HeldOpen,
        Self::Open,
    ];

    pub(super) fn of(status: &TenantStatus) -> Self {
        match status.reason() {
            None if status.evidence() == Evidence::Operator => Self::HeldOpen,
            None => Self::Open,
            Some(UnavailableReason::Upgrading) => Self::Upgrading,
            Some(UnavailableReason::Suspended) => Self::Suspended,
            Some(UnavailableReason::Deleted) => Self::Deleted,
            Some(UnavailableReason::Operator) => Self::Operator,
            Some(UnavailableReason::Unreadable) => Self::Unreadable,
            // A reason that this version does not know counts as this one.
            Some(_) => Self::NotReady,
        }
    }

    /// Returns its name in URLs and style sheets; a reason has the one that it has everywhere.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Upgrading => "upgrading",
            Self::NotReady => "not_ready",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
            Self::Unreadable => "unreadable",
            Self::Operator => "operator",
            Self::HeldOpen => "held_open",
            Self::Open => "open",
        }
    }

    /// Returns its name for people.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::NotReady => "not ready",
            Self::Operator => "closed by order",
            Self::HeldOpen => "open by order",
            other => other.name(),
        }
    }
}

/// Numbers of tenants, in the order of [`Group::ALL`].
pub(super) type Counts = [usize; Group::ALL.len()];
