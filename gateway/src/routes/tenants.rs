//! `/tenants`: all tenants as one JSON array.

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::stream;
use serde::Serialize;
use tower_superoffice::{TenantGate, TenantId, TenantStatus};

use super::rfc3339;

/// A tenant in the list.
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

/// Tenants in one chunk of the response.
const CHUNK: usize = 512;

/// Lists all tenants, chunk by chunk: a million of them as one buffer would hold up other tasks.
pub(super) async fn list(State(gate): State<TenantGate>) -> Response {
    let Ok(all) = tokio::task::spawn_blocking(move || gate.snapshot()).await else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let chunks = stream::try_unfold(Some((all, 0)), async |rest| {
        let Some((all, start)) = rest else { return Ok(None) };
        let end = all.len().min(start + CHUNK);
        let chunk = all.get(start..end).unwrap_or_default();
        let json = serialize_chunk(chunk, start == 0, end == all.len())?;
        let rest = (end < all.len()).then_some((all, end));
        Ok::<_, serde_json::Error>(Some((json, rest)))
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(chunks)).into_response()
}

/// Serializes a part of the JSON array.
fn serialize_chunk(
    chunk: &[(TenantId, TenantStatus)],
    first: bool,
    last: bool,
) -> Result<Bytes, serde_json::Error> {
    let mut json = Vec::with_capacity(200 * chunk.len());
    for (number, tenant) in chunk.iter().enumerate() {
        json.push(if first && number == 0 { b'[' } else { b',' });
        serde_json::to_writer(&mut json, &Tenant::new(tenant))?;
    }
    if last {
        json.extend_from_slice(if json.is_empty() { b"[]" } else { b"]" });
    }
    Ok(json.into())
}
