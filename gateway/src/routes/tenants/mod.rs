//! `/tenants`: all tenants as one JSON array.

mod filter;
mod snapshot;

use std::{
    error::Error,
    fmt,
    time::{Duration, SystemTime},
};

use axum::{
    body::{Body, Bytes},
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use futures::{Stream, stream};
use serde::Serialize;
use tokio::{
    sync::mpsc,
    time::{error::Elapsed, timeout},
};
use tower_superoffice::{TenantGate, TenantId, TenantStatus, UnavailableReason, status::Evidence};
use utoipa::ToSchema;

use self::filter::Filter;
pub(super) use self::{filter::Parameters, snapshot::Reader};
pub(crate) use self::{
    filter::REASONS,
    snapshot::{Snapshots, Unavailable},
};
use super::{query::Query, rfc3339};
use crate::{forward::problem, schemas};

/// A tenant, as the routes show it.
#[derive(Serialize, ToSchema)]
pub(super) struct Tenant<'a> {
    #[schema(value_type = schemas::TenantId)]
    tenant: &'a TenantId,
    available: bool,
    #[schema(value_type = Option<schemas::Reason>)]
    reason: Option<&'static str>,
    /// When the fact that closes it was first received; null while it is open.
    #[schema(format = DateTime)]
    since: Option<String>,
    /// The host that serves it.
    endpoint: Option<&'a str>,
    /// The Unix time of the last restored backup, 0 when there was none.
    epoch: i64,
    /// Null where nothing is known of it, or its stored record can't be read.
    #[schema(value_type = Option<schemas::Evidence>)]
    evidence: Option<&'static str>,
    /// Whether the state API has said the same.
    confirmed: bool,
    version_name: Option<&'a str>,
    file_version: Option<&'a str>,
    /// Of the operator's order that is in force.
    note: Option<&'a str>,
    /// When that order ends by itself.
    #[schema(format = DateTime)]
    until: Option<String>,
    /// When its state is pulled next, which may open it; null when it is open, deleted or closed by
    /// an order, and where no pull is due. Events leave it out.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    next_pull: Option<Option<String>>,
}

impl<'a> Tenant<'a> {
    pub(super) fn new(tenant: &'a TenantId, status: &'a TenantStatus) -> Self {
        // The status of the others has evidence only for want of a value that says none.
        let is_known = status.is_known() && status.reason() != Some(UnavailableReason::Unreadable);
        Self {
            tenant,
            available: status.is_available(),
            reason: status.reason().map(|reason| reason.as_str()),
            since: status.since().map(rfc3339),
            endpoint: status.endpoint(),
            epoch: status.epoch(),
            evidence: is_known.then(|| status.evidence().as_str()),
            confirmed: status.is_confirmed(),
            version_name: status.version_name(),
            file_version: status.file_version(),
            note: status.note(),
            until: status.until().map(rfc3339),
            next_pull: None,
        }
    }

    /// Adds the time of its next pull, of this moment, by `gate`.
    pub(super) fn with_next_pull(self, gate: &TenantGate) -> Self {
        // No pull opens what an order closed.
        let is_pulled = !self.available && self.evidence != Some(Evidence::Operator.as_str());
        let wait = is_pulled.then(|| gate.next_pull(self.tenant)).flatten();
        let next_pull = wait.and_then(|wait| SystemTime::now().checked_add(wait));
        Self { next_pull: Some(next_pull.map(rfc3339)), ..self }
    }

    /// Shows this endpoint instead of the status's.
    pub(super) fn at(self, endpoint: Option<&'a str>) -> Self {
        Self { endpoint, ..self }
    }
}

/// Tenants in one chunk of the response.
const CHUNK: usize = 512;

/// Time for a reader to take a chunk.
const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// Lists all tenants, chunk by chunk: a million of them as one buffer would hold up other tasks.
pub(super) async fn list(
    State(snapshots): State<Snapshots>,
    Query(parameters): Query<Parameters>,
) -> Response {
    let filter = match Filter::new(parameters) {
        Ok(filter) => filter,
        Err(detail) => return problem(StatusCode::BAD_REQUEST, &detail),
    };
    let reader = match snapshots.reader(filter).await {
        Ok(reader) => reader,
        Err(Unavailable::TooManyReaders) => {
            let busy = problem(StatusCode::SERVICE_UNAVAILABLE, "As many read the tenants as may.");
            return ([(header::RETRY_AFTER, "5")], busy).into_response();
        }
        Err(Unavailable::Failed) => {
            return problem(StatusCode::INTERNAL_SERVER_ERROR, "The tenants could not be listed.");
        }
    };
    let (tx, rx) = mpsc::channel(1);
    let gate = snapshots.gate().clone();
    // A task of its own: the body of a response that is not read is not polled either, and could
    // not give up.
    tokio::spawn(async move {
        if send_chunks(reader, &gate, tx).await.is_err() {
            tracing::debug!("reader of /tenants too slow, response cut off");
        }
    });
    ([(header::CONTENT_TYPE, "application/json")], Body::from_stream(chunks(rx))).into_response()
}

/// A part of the JSON array.
struct Chunk {
    json: Bytes,
    last: bool,
}

async fn send_chunks(
    mut reader: Reader,
    gate: &TenantGate,
    tx: mpsc::Sender<Chunk>,
) -> Result<(), Elapsed> {
    let mut first = true;
    let mut left = reader.limit();
    loop {
        let count = left.min(CHUNK);
        let tenants = reader.next(count);
        left -= tenants.len();
        let last = tenants.len() < count || left == 0;
        let chunk = Chunk { json: serialize(gate, &tenants, first, last), last };
        drop(tenants);
        // The response's own end ends this as well.
        if timeout(READ_TIMEOUT, tx.send(chunk)).await?.is_err() || last {
            return Ok(());
        }
        first = false;
    }
}

/// The chunks up to the last; an error when they end before it.
fn chunks(rx: mpsc::Receiver<Chunk>) -> impl Stream<Item = Result<Bytes, TooSlow>> {
    stream::try_unfold(Some(rx), async |rx| {
        let Some(mut rx) = rx else { return Ok(None) };
        let Chunk { json, last } = rx.recv().await.ok_or(TooSlow)?;
        Ok(Some((json, (!last).then_some(rx))))
    })
}

/// The list was not read in time.
#[derive(Debug)]
struct TooSlow;

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("list not read in time")
    }
}

impl Error for TooSlow {}

fn serialize(
    gate: &TenantGate,
    tenants: &[(TenantId, TenantStatus)],
    first: bool,
    last: bool,
) -> Bytes {
    let mut json = Vec::with_capacity(200 * tenants.len() + 2);
    if first {
        json.push(b'[');
    }
    for (number, (tenant, status)) in tenants.iter().enumerate() {
        if !(first && number == 0) {
            json.push(b',');
        }
        // Strings, numbers and booleans, written to memory: there is nothing that can fail.
        let _infallible =
            serde_json::to_writer(&mut json, &Tenant::new(tenant, status).with_next_pull(gate));
    }
    if last {
        json.push(b']');
    }
    json.into()
}
