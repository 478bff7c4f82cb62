//! What a caller learns when a tenant is closed.

use std::{
    error::Error,
    fmt, io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};

use crate::{
    clock::Clock,
    rfc3339,
    status::{Evidence, UnavailableReason, wall::system_time},
    tenant_id::TenantId,
    tenants::registry::ClosedSummary,
};

/// The tenant is closed: SuperOffice, or an operator, has said that it can't be called now.
///
/// Not a failure of the network or of the call: nothing was sent. Leave the tenant's work where it
/// is and come back [after a while](Self::retry_after), or when `TenantGate::available` wakes you.
/// Don't let a retry policy hammer at it.
#[derive(Clone)]
pub struct TenantUnavailable {
    tenant: TenantId,
    closed: ClosedSummary,
    /// Asked only when somebody wants to know how long to wait.
    clock: Clock,
}

impl TenantUnavailable {
    #[inline]
    pub(crate) fn new(tenant: TenantId, closed: ClosedSummary, clock: Clock) -> Self {
        Self { tenant, closed, clock }
    }

    /// The closed tenant, spelled as in the call.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Why it is closed.
    #[must_use]
    pub fn reason(&self) -> UnavailableReason {
        self.closed.reason
    }

    /// When what closed it arrived here.
    #[must_use]
    pub fn since(&self) -> SystemTime {
        system_time(self.closed.since)
    }

    /// What that rests on.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.closed.evidence
    }

    /// How long to wait before it makes sense to try again: the time from now to the gate's next
    /// scheduled look at the tenant, and at least a second, also when that look is overdue.
    ///
    /// `None` when no look is scheduled, and for a deleted tenant. Computed when asked.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let due = self.closed.due.filter(|_| !self.is_permanent())?;
        let wait = due.time().saturating_sub(self.clock.elapsed());
        Some(wait.max(Duration::from_secs(1)))
    }

    /// Whether the tenant is deleted: it makes no sense to try again.
    ///
    /// Should SuperOffice bring it back after all, the gate opens it. Keep what can't be undone, such
    /// as erasing the customer's data, behind a *confirmed* deletion:
    /// [`TenantStatus::is_confirmed`](crate::TenantStatus::is_confirmed).
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.closed.reason == UnavailableReason::Deleted
    }

    /// Finds the closed tenant behind `error`, however deep in its chain of sources.
    ///
    /// Sees through [`GuardError`](crate::GuardError) of any client, through the errors of tower's
    /// middleware such as `Buffer`, and through `Box`, `Arc` and [`io::Error`], whose own `source`
    /// leaves out the very error they hold.
    #[must_use]
    pub fn find<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            next = held(error).or_else(|| error.source());
        }
        None
    }

    /// Status and headers of the answer that a server gives to *its* caller because of this: 503
    /// Service Unavailable, or 410 Gone when the tenant is deleted, with `Retry-After` in seconds when
    /// the wait is known.
    #[must_use]
    pub fn to_http_parts(&self) -> (StatusCode, HeaderMap) {
        let mut headers = HeaderMap::new();
        if let Some(wait) = self.retry_after() {
            let seconds = u64::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u64::MAX);
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        let status =
            if self.is_permanent() { StatusCode::GONE } else { StatusCode::SERVICE_UNAVAILABLE };
        (status, headers)
    }
}

/// The error that `error` merely holds, where `source` would step over it.
fn held<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    if let Some(error) = error.downcast_ref::<io::Error>() {
        let held = error.get_ref()?;
        return Some(held);
    }
    if let Some(error) = error.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        return Some(&**error);
    }
    if let Some(error) = error.downcast_ref::<Arc<TenantUnavailable>>() {
        return Some(&**error);
    }
    if let Some(error) = error.downcast_ref::<Box<TenantUnavailable>>() {
        return Some(&**error);
    }
    None
}

impl fmt::Display for TenantUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.closed.reason {
            UnavailableReason::Upgrading => "being upgraded",
            UnavailableReason::Suspended => "suspended",
            UnavailableReason::Deleted => "deleted",
            UnavailableReason::NotReady => "not ready",
            UnavailableReason::Operator => "closed by an operator",
            UnavailableReason::Unreadable => "closed, because its stored record is malformed",
        };
        write!(f, "tenant {} is {state}", self.tenant)?;
        let since = i64::try_from(self.closed.since / 1000).ok();
        if let Some(since) = since.and_then(rfc3339::format) {
            write!(f, " since {since}")?;
        }
        match self.retry_after() {
            _ if self.is_permanent() => f.write_str(": stop calling it"),
            Some(wait) => write!(f, ": try again in {} s", wait.as_millis().div_ceil(1000)),
            None => f.write_str(": wait until it is available again"),
        }
    }
}

impl fmt::Debug for TenantUnavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantUnavailable")
            .field("tenant", &self.tenant.as_str())
            .field("reason", &self.reason())
            .field("since", &self.since())
            .field("evidence", &self.evidence())
            .field("retry_after", &self.retry_after())
            .finish()
    }
}

impl Error for TenantUnavailable {}
