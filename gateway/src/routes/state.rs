//! `/api/state/{ctx}`: SuperOffice's own answer about a tenant's state, from what is known.

use std::time::{Duration, SystemTime};

use axum::{Json, body::Body, extract::State, http::Response, response::IntoResponse};
use serde::Serialize;
use time::OffsetDateTime;
use tower_superoffice::{TenantGate, UnavailableReason, status::State as TenantState};
use utoipa::ToSchema;

use super::{query, rfc3339};
use crate::schemas;

/// Validity of an answer: short, as the gateway receives changes at once.
const VALID: Duration = Duration::from_secs(10);

/// The answer, with the members that SuperOffice's has.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "PascalCase")]
#[schema(as = TenantState)]
pub(super) struct Answer<'a> {
    #[schema(value_type = schemas::TenantId)]
    context_identifier: &'a str,
    endpoint: Option<String>,
    state: &'static str,
    is_running: bool,
    #[schema(format = DateTime)]
    valid_until: String,
    api: Option<String>,
    version: Option<&'a str>,
}

/// Answers as SuperOffice's state API does, without a request to it.
pub(super) async fn state(
    State(gate): State<TenantGate>,
    query::Tenant(tenant): query::Tenant,
) -> Response<Body> {
    let status = gate.status(&tenant);
    let state = state_of(status.reason());
    let host = gate.endpoint(&tenant).filter(|_| state != TenantState::Deleted.name());
    let endpoint = host.map(|host| format!("{}/{tenant}", host.to_string().trim_end_matches('/')));
    let answer = Answer {
        context_identifier: tenant.as_str(),
        api: endpoint.as_ref().map(|endpoint| format!("{endpoint}/api")),
        endpoint,
        state,
        is_running: status.is_available(),
        valid_until: format_time(SystemTime::now() + VALID),
        version: status.version_name(),
    };
    Json(answer).into_response()
}

/// Returns the state that says most of what `reason` does. A client goes by `IsRunning`.
fn state_of(reason: Option<UnavailableReason>) -> &'static str {
    match reason {
        None => TenantState::Running.name(),
        Some(UnavailableReason::Upgrading | UnavailableReason::Operator) => {
            TenantState::OfflineMaintenance.name()
        }
        Some(UnavailableReason::Suspended) => TenantState::Suspended.name(),
        Some(UnavailableReason::Deleted) => TenantState::Deleted.name(),
        Some(_) => "Unknown",
    }
}

/// Formats a time as SuperOffice does, with seven fractional digits.
fn format_time(time: SystemTime) -> String {
    let ticks = OffsetDateTime::from(time).nanosecond() / 100;
    let seconds = time - Duration::from_nanos(u64::from(ticks) * 100);
    let seconds = rfc3339(seconds);
    let whole = seconds.split(['.', 'Z']).next().unwrap_or_default();
    format!("{whole}.{ticks:07}Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_has_seven_fractional_digits() {
        let time = |nanos| SystemTime::UNIX_EPOCH + Duration::new(1_771_840_321, nanos);
        assert_eq!(format_time(time(934_296_589)), "2026-02-23T09:52:01.9342965Z");
        assert_eq!(format_time(time(0)), "2026-02-23T09:52:01.0000000Z");
    }
}
