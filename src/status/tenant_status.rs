//! The status of a tenant, as callers see it.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use smol_str::SmolStr;

/// Why a tenant is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum UnavailableReason {
    /// It is being upgraded, or is about to be: minutes.
    Upgrading,
    /// It is suspended: days or weeks.
    Suspended,
    /// It is deleted. Terminal in practice; a verified Resume still opens it.
    Deleted,
    /// It is being made, failed to be, waits for a migration, or has not been asked about yet.
    NotReady,
    /// An operator closed it.
    Operator,
}

impl UnavailableReason {
    pub(crate) const ALL: [Self; 5] =
        [Self::Upgrading, Self::Suspended, Self::Deleted, Self::NotReady, Self::Operator];

    /// The spelling used in logs and answers: `upgrading`, `suspended`, `deleted`, `not_ready`, `operator`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Upgrading => "upgrading",
            Self::Suspended => "suspended",
            Self::Deleted => "deleted",
            Self::NotReady => "not_ready",
            Self::Operator => "operator",
        }
    }
}

impl fmt::Display for UnavailableReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What a status rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Evidence {
    /// A verified notification, or nothing at all.
    Notification,
    /// An answer of the state API.
    StateApi,
    /// An operator's word.
    Operator,
}

impl Evidence {
    /// The spelling used in logs and answers: `notification`, `state_api`, `operator`.
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

/// What is known of one tenant: whether it can be called, and how that is known.
///
/// A tenant never heard of is available.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TenantStatus {
    pub(crate) closure: Option<Closure>,
    pub(crate) evidence: Evidence,
    pub(crate) confirmed: bool,
    pub(crate) epoch: i64,
    pub(crate) endpoint: Option<SmolStr>,
}

/// Why and since when a tenant is closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Closure {
    pub(crate) reason: UnavailableReason,
    /// ms since the epoch.
    pub(crate) since: u64,
}

impl TenantStatus {
    /// Whether the tenant can be called.
    #[must_use]
    pub fn is_available(&self) -> bool {
        self.closure.is_none()
    }

    /// Why it can't be called; `None` while it can.
    #[must_use]
    pub fn reason(&self) -> Option<UnavailableReason> {
        self.closure.map(|closure| closure.reason)
    }

    /// When what closed it arrived here; `None` while it is available.
    #[must_use]
    pub fn since(&self) -> Option<SystemTime> {
        self.closure.map(|closure| system_time(closure.since))
    }

    /// What the status rests on.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.evidence
    }

    /// Whether the state API has said the same since.
    ///
    /// A notification's token proves who sent it, not what it says. Keep what can't be undone, such
    /// as erasing a customer's data, behind a *confirmed* deletion.
    #[must_use]
    pub fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// The token time (unix seconds) of the newest BackupRestored; 0 when there was none.
    ///
    /// Compare for equality: when it changes, the tenant's data went back in time, and what you
    /// copied from it since may no longer be there.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// The host that serves the tenant, where that is known: `online3.superoffice.com`, with a port
    /// when it is not the scheme's own.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.endpoint.as_deref()
    }
}

/// ms since the epoch as a time of the standard library.
pub(crate) fn system_time(unix_ms: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH
        .checked_add(Duration::from_millis(unix_ms))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_and_evidence_are_spelled_as_documented() {
        use UnavailableReason::{Deleted, NotReady, Operator, Suspended, Upgrading};
        let reasons = [Upgrading, Suspended, Deleted, NotReady, Operator];
        let spelled = ["upgrading", "suspended", "deleted", "not_ready", "operator"];
        assert_eq!(reasons.map(|reason| reason.to_string()), spelled);
        assert_eq!(reasons.map(UnavailableReason::as_str), spelled);
        let evidence = [Evidence::Notification, Evidence::StateApi, Evidence::Operator];
        let spelled = ["notification", "state_api", "operator"];
        assert_eq!(evidence.map(|evidence| evidence.to_string()), spelled);
        assert_eq!(evidence.map(Evidence::as_str), spelled);
    }

    #[test]
    fn a_status_tells_what_it_holds() {
        let mut status = TenantStatus {
            closure: Some(Closure { reason: UnavailableReason::Suspended, since: 1_500 }),
            evidence: Evidence::StateApi,
            confirmed: true,
            epoch: 7,
            endpoint: Some("online3.superoffice.com".into()),
        };
        assert!(!status.is_available());
        assert_eq!(status.reason(), Some(UnavailableReason::Suspended));
        let since = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        assert_eq!(status.since(), Some(since));
        assert_eq!(status.evidence(), Evidence::StateApi);
        assert!(status.is_confirmed());
        assert_eq!(status.epoch(), 7);
        assert_eq!(status.endpoint(), Some("online3.superoffice.com"));

        status.closure = None;
        assert!(status.is_available());
        assert_eq!((status.reason(), status.since()), (None, None));
    }

    #[test]
    fn a_time_beyond_what_the_platform_counts_does_not_panic() {
        assert!(system_time(u64::MAX) >= SystemTime::UNIX_EPOCH);
    }
}
