//! What the gateway says of itself.

use std::time::SystemTime;

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use futures::stream;
use serde::Serialize;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use tower_superoffice::{TenantGate, TenantId, TenantStatus};

const HEALTHZ: &str = "/healthz";
const TENANTS: &str = "/tenants";

/// The gateway's own paths, besides that of notifications.
pub(crate) const PATHS: [&str; 2] = [HEALTHZ, TENANTS];

/// `/healthz` and `/tenants`.
pub(crate) fn routes(gate: &TenantGate) -> Router {
    Router::new()
        .route(HEALTHZ, get(|| async { "ok\n" }))
        .route(TENANTS, get(tenants))
        .with_state(gate.clone())
}

/// A tenant, as `/tenants` lists it.
#[derive(Serialize)]
struct Tenant<'a> {
    tenant: &'a TenantId,
    available: bool,
    reason: Option<&'static str>,
    since: Option<String>,
    endpoint: Option<&'a str>,
    epoch: i64,
    evidence: &'static str,
    confirmed: bool,
}

impl<'a> Tenant<'a> {
    fn new((tenant, status): &'a (TenantId, TenantStatus)) -> Self {
        Self {
            tenant,
            available: status.is_available(),
            reason: status.reason().map(|reason| reason.as_str()),
            since: status.since().map(rfc3339),
            endpoint: status.endpoint(),
            epoch: status.epoch(),
            evidence: status.evidence().as_str(),
            confirmed: status.is_confirmed(),
        }
    }
}

/// As many tenants go into one piece of the answer.
const PIECE: usize = 512;

/// All tenants, written piece by piece: there may be a million of them, and others wait meanwhile.
async fn tenants(State(gate): State<TenantGate>) -> Response {
    let Ok(all) = tokio::task::spawn_blocking(move || gate.snapshot()).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let pieces = stream::try_unfold(Some((all, 0)), async |rest| {
        let Some((all, start)) = rest else { return Ok(None) };
        let end = all.len().min(start + PIECE);
        let piece = all.get(start..end).unwrap_or_default();
        let text = written(piece, start == 0, end == all.len())?;
        let rest = (end < all.len()).then_some((all, end));
        Ok::<_, serde_json::Error>(Some((text, rest)))
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(pieces)).into_response()
}

/// A part of the JSON array of all tenants.
fn written(
    piece: &[(TenantId, TenantStatus)],
    first: bool,
    last: bool,
) -> Result<Bytes, serde_json::Error> {
    let mut text = Vec::with_capacity(200 * piece.len());
    for (number, tenant) in piece.iter().enumerate() {
        text.push(if first && number == 0 { b'[' } else { b',' });
        serde_json::to_writer(&mut text, &Tenant::new(tenant))?;
    }
    if last {
        text.extend_from_slice(if text.is_empty() { b"[]" } else { b"]" });
    }
    Ok(text.into())
}

/// A time as RFC 3339 writes it, in whole milliseconds.
pub(crate) fn rfc3339(time: SystemTime) -> String {
    OffsetDateTime::from(time).format(&Rfc3339).unwrap_or_default()
}
