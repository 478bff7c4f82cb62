//! The workers: two per tenant, each with a pause between its calls.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use axum::body::Body;
use http::Request;
use hyper_util::{client::legacy, rt::TokioExecutor};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};
use tower_superoffice::{TenantGate, TenantId, TenantUnavailable, simulator::Simulator};

use crate::{Rule, scenario::BoxError};

/// Pause between two calls of a worker.
const PAUSE: Duration = Duration::from_millis(40);

/// How long a worker waits for a closed tenant before it calls again.
const MAX_WAIT: Duration = Duration::from_millis(250);

const WORKERS_PER_TENANT: usize = 2;

pub type Client = BoxCloneSyncService<Request<Body>, http::StatusCode, BoxError>;

/// Results of the calls to one tenant.
#[derive(Default)]
pub struct CallCounts {
    /// Calls that were answered with 200.
    pub answered: AtomicU64,
    /// Calls with another answer, or none.
    pub failed: AtomicU64,
    /// Calls that the guard refused, by reason.
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl CallCounts {
    pub fn refused(&self) -> BTreeMap<&'static str, u64> {
        self.refused.lock().map(|refused| refused.clone()).unwrap_or_default()
    }

    pub fn total_refused(&self) -> u64 {
        self.refused().values().sum()
    }

    fn count_refused(&self, reason: &'static str) {
        if let Ok(mut refused) = self.refused.lock() {
            *refused.entry(reason).or_default() += 1;
        }
    }
}

/// Builds the client of the workers, without the layer whose rule is broken.
pub fn client(gate: &TenantGate, rule: Option<Rule>) -> Client {
    let client: legacy::Client<_, Body> =
        legacy::Client::builder(TokioExecutor::new()).build_http();
    match rule {
        Some(Rule::Guard) => boxed(gate.endpoint_layer().clone_empty().layer(client)),
        Some(Rule::Follow) => boxed(gate.guard_layer().layer(client)),
        _ => {
            let layer = gate.client_layer().clone_empty();
            boxed(layer.locate(rule != Some(Rule::Locate)).layer(client))
        }
    }
}

/// Erases the type of the client and reduces its responses to their status.
fn boxed<S, B>(client: S) -> Client
where
    S: Service<Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: 'static,
{
    let client = client.map_response(|response: http::Response<B>| response.status());
    BoxCloneSyncService::new(client.map_err(Into::into))
}

/// Starts the workers of `tenant`. They end with the program.
pub fn start(
    simulator: &Simulator,
    gate: &TenantGate,
    tenant: &TenantId,
    rule: Option<Rule>,
) -> Arc<CallCounts> {
    let counts = Arc::new(CallCounts::default());
    for _ in 0..WORKERS_PER_TENANT {
        let url = simulator.url(tenant, "api/v1/Contact/1");
        let (client, gate, counts) = (client(gate, rule), gate.clone(), Arc::clone(&counts));
        tokio::spawn(work(client, gate, tenant.clone(), url, counts));
    }
    counts
}

async fn work(
    client: Client,
    gate: TenantGate,
    tenant: TenantId,
    url: String,
    counts: Arc<CallCounts>,
) {
    loop {
        let Ok(request) = Request::get(&url).body(Body::empty()) else { return };
        match client.clone().oneshot(request).await {
            Ok(status) if status == 200 => _ = counts.answered.fetch_add(1, Relaxed),
            Ok(_) => _ = counts.failed.fetch_add(1, Relaxed),
            Err(error) => match TenantUnavailable::find(error.as_ref()) {
                Some(closed) => {
                    counts.count_refused(closed.reason().as_str());
                    // Ready as soon as the tenant opens, an error when it is deleted. Either way
                    // the next call tells; the time-out keeps the counts moving.
                    _ = tokio::time::timeout(MAX_WAIT, gate.available(&tenant)).await;
                }
                None => _ = counts.failed.fetch_add(1, Relaxed),
            },
        }
        tokio::time::sleep(PAUSE).await;
    }
}
