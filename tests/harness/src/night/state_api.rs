//! The state API of a simulated night, without a network: it notes each pull.

use std::{
    convert::Infallible,
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response, header};
use http_body_util::Full;
use serde_json::json;
use tokio::time::{Instant, sleep};
use tower::Service;
use tower_superoffice::notification::EmptyBody;

use super::{ANNOUNCEMENT, Upgrade};
use crate::Clock;

/// Since when all are closed, and the first pull of each is due.
const ALL_DUE: Duration = ANNOUNCEMENT.saturating_add(Duration::from_secs(60));

/// How long an answer takes.
const LATENCY: Duration = Duration::from_millis(50);

/// How long an answer is valid: as long as the shortest step between two pulls of a tenant that has
/// been closed for a while.
const VALIDITY: Duration = Duration::from_secs(30);

/// The tenants of a night, and the pulls that were made of them.
pub(super) struct Tenants {
    started: Instant,
    /// When the first opens whose Resume is not lost.
    first_over: Duration,
    state: Mutex<State>,
}

struct State {
    tenants: Vec<Tenant>,
    pulls: Pulls,
}

/// A tenant. Times are those since the start of the night.
pub(super) struct Tenant {
    pub(super) upgrade: Upgrade,
    pub(super) opened: Option<Duration>,
    notified: Duration,
    /// When the last pull was sent, and by which replica.
    last: Option<(Duration, usize)>,
}

/// The pulls of a night.
#[derive(Debug, Default, Clone)]
pub(super) struct Pulls {
    /// By replica.
    pub(super) made: Vec<u64>,
    /// Pulls of tenants whose upgrade is over.
    pub(super) of_running: u64,
    /// While another replica's answer was valid, or on its way, and no notification has come since.
    pub(super) twice: u64,
    /// Times between two pulls of a closed tenant, while all but those with a lost Resume are
    /// closed.
    pub(super) between: Vec<Duration>,
}

impl Tenants {
    pub(super) fn new(upgrades: &[Upgrade], started: Instant) -> Self {
        let over = upgrades.iter().filter(|upgrade| !upgrade.lost).map(|upgrade| upgrade.over);
        let first_over = over.min().unwrap_or_default();
        let tenant = |upgrade: &Upgrade| Tenant {
            upgrade: *upgrade,
            opened: None,
            notified: Duration::ZERO,
            last: None,
        };
        let tenants = upgrades.iter().map(tenant).collect();
        let state = Mutex::new(State { tenants, pulls: Pulls::default() });
        Self { started, first_over, state }
    }

    pub(super) fn started(&self) -> Instant {
        self.started
    }

    /// Notes that a notification of this tenant is posted.
    pub(super) fn notified(&self, number: usize) {
        self.lock().tenants[number].notified = self.started.elapsed();
    }

    /// Notes that this tenant has opened.
    pub(super) fn opened(&self, number: usize) {
        self.lock().tenants[number].opened = Some(self.started.elapsed());
    }

    pub(super) fn pulls(&self) -> Pulls {
        self.lock().pulls.clone()
    }

    pub(super) fn map<T>(&self, f: impl FnMut(&Tenant) -> Option<T>) -> Vec<T> {
        self.lock().tenants.iter().filter_map(f).collect()
    }

    /// Notes a pull, and returns whether the tenant is running.
    fn pull(&self, number: usize, replica: usize) -> bool {
        let now = self.started.elapsed();
        let State { tenants, pulls } = &mut *self.lock();
        let tenant = &mut tenants[number];
        pulls.made.resize(pulls.made.len().max(replica + 1), 0);
        pulls.made[replica] += 1;
        if let Some((at, by)) = tenant.last.replace((now, replica))
            && at > tenant.notified
        {
            pulls.twice += u64::from(by != replica && now < at + LATENCY + VALIDITY);
            let (from, to) = (ALL_DUE, self.first_over.min(tenant.upgrade.over));
            if from <= at && now < to {
                pulls.between.push(now - at);
            }
        }
        let is_running = now >= tenant.upgrade.over;
        pulls.of_running += u64::from(is_running);
        is_running
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }
}

impl fmt::Debug for Tenants {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenants").finish_non_exhaustive()
    }
}

/// The number in the id of a tenant of a night.
pub(super) fn number(id: &str) -> usize {
    id.strip_prefix("Cust").and_then(|number| number.parse().ok()).expect("a tenant of this night")
}

/// The state API as one replica reaches it.
#[derive(Clone)]
pub(super) struct StateApi {
    tenants: Arc<Tenants>,
    replica: usize,
    clock: Clock,
}

impl StateApi {
    pub(super) fn new(tenants: Arc<Tenants>, replica: usize, clock: Clock) -> Self {
        Self { tenants, replica, clock }
    }

    fn answer(&self, id: &str, is_running: bool) -> Response<Full<Bytes>> {
        let valid_until = (self.clock)() + VALIDITY;
        let state = if is_running { "Running" } else { "OfflineMaintenance" };
        let body = json!({
            "ContextIdentifier": id,
            "State": state,
            "IsRunning": is_running,
            "ValidUntil": humantime::format_rfc3339_millis(valid_until).to_string(),
            "Version": "Release_11.10_2026.02.24-02",
        });
        let response = Response::builder().header(header::CONTENT_TYPE, "application/json");
        response.body(Full::from(body.to_string())).expect("a response")
    }
}

impl Service<Request<EmptyBody>> for StateApi {
    type Response = Response<Full<Bytes>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<EmptyBody>) -> Self::Future {
        let api = self.clone();
        Box::pin(async move {
            let id = request.uri().path().rsplit('/').next().unwrap_or_default();
            let is_running = api.tenants.pull(number(id), api.replica);
            sleep(LATENCY).await;
            Ok(api.answer(id, is_running))
        })
    }
}
