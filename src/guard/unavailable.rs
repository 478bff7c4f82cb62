//! The error of a refused call.

use std::{
    error::Error,
    fmt, io,
    sync::Arc,
    time::{Duration, SystemTime},
};

use http::{HeaderMap, HeaderValue, StatusCode, header::RETRY_AFTER};
use smol_str::SmolStr;

use super::error::inner_of_guard_error;
use crate::{
    clock::MonotonicClock,
    rfc3339,
    status::{Evidence, UnavailableReason, wall::system_time},
    tenant_id::TenantId,
    tenants::entry::ClosedSummary,
};

/// The tenant is closed: it can't be called now, according to SuperOffice or an operator.
///
/// Not a failure of the network or of the call: nothing was sent. Keep the tenant's work and resume
/// it [after a while](Self::retry_after), or when
/// [`TenantGate::available`](crate::TenantGate::available) completes. Exclude this error from
/// retries.
#[derive(Clone)]
pub struct TenantUnavailable {
    tenant: TenantId,
    closed: ClosedSummary,
    /// The note of the operator who closed it.
    note: Option<SmolStr>,
    /// Read only when `retry_after` is called.
    clock: MonotonicClock,
}

impl TenantUnavailable {
    #[inline]
    pub(crate) fn new(tenant: TenantId, closed: ClosedSummary, clock: MonotonicClock) -> Self {
        Self { tenant, closed, note: None, clock }
    }

    pub(crate) fn with_note(mut self, note: Option<SmolStr>) -> Self {
        self.note = note;
        self
    }

    /// Returns the closed tenant, spelled as in the call.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns why it is closed.
    #[must_use]
    pub fn reason(&self) -> UnavailableReason {
        self.closed.reason
    }

    /// Returns when this gate learned what closed it.
    #[must_use]
    pub fn since(&self) -> SystemTime {
        system_time(self.closed.since)
    }

    /// Returns [`since`](Self::since) to the second, in RFC 3339; `None` beyond the year 9999.
    pub(super) fn since_text(&self) -> Option<String> {
        rfc3339::format(i64::try_from(self.closed.since / 1000).ok()?)
    }

    /// Returns the kind of fact that closed it.
    #[must_use]
    pub fn evidence(&self) -> Evidence {
        self.closed.evidence
    }

    /// Returns the note of the operator who closed it, if there is one. `Display` and `Debug` leave
    /// it out.
    #[must_use]
    pub fn note(&self) -> Option<&str> {
        self.note.as_deref()
    }

    /// Returns how long to wait before a retry: the time from now to the tenant's next scheduled
    /// pull, and at least a second, also when that pull is overdue.
    ///
    /// `None` when no pull is scheduled, and for a deleted tenant. Computed by this call.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        let due = self.closed.due.filter(|_| !self.is_permanent())?;
        let wait = due.time().saturating_sub(self.clock.elapsed());
        Some(wait.max(Duration::from_secs(1)))
    }

    /// Returns whether the tenant is deleted, so that retries are pointless.
    ///
    /// Should SuperOffice restore it after all, the gate opens it. Make irreversible clean-up, such
    /// as erasing the customer's data, depend on a *confirmed* deletion:
    /// [`TenantGate::deletion_confirmed`](crate::TenantGate::deletion_confirmed).
    #[must_use]
    pub fn is_permanent(&self) -> bool {
        self.closed.reason == UnavailableReason::Deleted
    }

    /// Finds the closed tenant behind `error`, however deep in its chain of sources.
    ///
    /// Looks through [`GuardError`](crate::GuardError), through the errors of tower's middleware
    /// such as `Buffer`, and through `Box`, `Arc` and [`io::Error`], whose own `source` leaves out
    /// the error they hold.
    #[must_use]
    pub fn find<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref::<Self>() {
                return Some(found);
            }
            next = wrapped(error).or_else(|| error.source());
        }
        None
    }

    /// Returns status and headers of the response that a server gives *its* caller because of this:
    /// 503 Service Unavailable, or 410 Gone when the tenant is deleted, with `Retry-After` in
    /// seconds when the wait is known.
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

/// Returns the error that `error` wraps, where its `source` would step over it.
fn wrapped<'e>(error: &'e (dyn Error + 'static)) -> Option<&'e (dyn Error + 'static)> {
    if let Some(inner) = inner_of_guard_error(error) {
        return Some(inner);
    }
    if let Some(error) = error.downcast_ref::<io::Error>() {
        let inner = error.get_ref()?;
        return Some(inner);
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
        if let Some(since) = self.since_text() {
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
