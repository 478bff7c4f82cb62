//! The workers: two for each tenant, calling it as fast as a polite client would.

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
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, Service, ServiceExt, util::BoxCloneSyncService};
use tower_superoffice::{TenantGate, TenantId, TenantUnavailable, simulator::Simulator};

use crate::{Rule, story::BoxError};

/// Between two calls of a worker.
const PAUSE: Duration = Duration::from_millis(40);

/// How long a worker waits for a closed tenant before it looks again.
const PATIENCE: Duration = Duration::from_millis(250);

const PER_TENANT: usize = 2;

type Calls = BoxCloneSyncService<Request<Body>, http::StatusCode, BoxError>;

/// What the workers of one tenant have seen.
#[derive(Default)]
pub struct Tally {
    /// Calls that were answered with 200.
    pub answered: AtomicU64,
    /// Calls that were answered otherwise, or not at all.
    pub failed: AtomicU64,
    /// Calls that the guard refused, by reason.
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl Tally {
    pub fn refused(&self) -> BTreeMap<&'static str, u64> {
        self.refused.lock().map(|refused| refused.clone()).unwrap_or_default()
    }

    pub fn all_refused(&self) -> u64 {
        self.refused().values().sum()
    }

    fn refuse(&self, reason: &'static str) {
        if let Ok(mut refused) = self.refused.lock() {
            *refused.entry(reason).or_default() += 1;
        }
    }
}

/// The client that all workers share.
fn client(gate: &TenantGate, rule: Option<Rule>) -> Calls {
    let client: Client<_, Body> = Client::builder(TokioExecutor::new()).build_http();
    let endpoint = gate.endpoint_layer();
    match rule {
        Some(Rule::Guard) => finish(endpoint.layer(client)),
        Some(Rule::Follow) => finish(gate.guard_layer().layer(client)),
        _ => finish(endpoint.layer(gate.guard_layer().layer(client))),
    }
}

/// Hides which client it is, and keeps only the status of its answers.
fn finish<S, B>(client: S) -> Calls
where
    S: Service<Request<Body>, Response = http::Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: Into<BoxError>,
    B: 'static,
{
    let client = client.map_response(|answer: http::Response<B>| answer.status());
    BoxCloneSyncService::new(client.map_err(Into::into))
}

/// Sets the workers of `tenant` to work. They end with the program.
pub fn start(
    simulator: &Simulator,
    gate: &TenantGate,
    tenant: &TenantId,
    rule: Option<Rule>,
) -> Arc<Tally> {
    let tally = Arc::new(Tally::default());
    for _ in 0..PER_TENANT {
        let url = simulator.url(tenant, "api/v1/Contact/1");
        let (client, gate, tally) = (client(gate, rule), gate.clone(), Arc::clone(&tally));
        tokio::spawn(work(client, gate, tenant.clone(), url, tally));
    }
    tally
}

async fn work(client: Calls, gate: TenantGate, tenant: TenantId, url: String, tally: Arc<Tally>) {
    loop {
        let Ok(request) = Request::get(&url).body(Body::empty()) else { return };
        match client.clone().oneshot(request).await {
            Ok(status) if status == 200 => _ = tally.answered.fetch_add(1, Relaxed),
            Ok(_) => _ = tally.failed.fetch_add(1, Relaxed),
            Err(error) => match TenantUnavailable::find(error.as_ref()) {
                Some(closed) => {
                    tally.refuse(closed.reason().as_str());
                    // Ready the moment the tenant opens; the patience only keeps the counts alive.
                    _ = tokio::time::timeout(PATIENCE, gate.available(&tenant)).await;
                }
                None => _ = tally.failed.fetch_add(1, Relaxed),
            },
        }
        tokio::time::sleep(PAUSE).await;
    }
}
