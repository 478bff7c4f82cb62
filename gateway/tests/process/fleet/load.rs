//! Notifications and calls that continue while the server of the store fails.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use http::StatusCode;
use tokio::task::JoinSet;
use tower_superoffice::{ChangeType, TenantId, simulator::Simulator};

use super::env::{Env, REPLICAS, call};
use crate::{process::Caller, script};

/// Number of tenants, each with one notification in flight.
const TENANTS: usize = 40;

/// Number of tenants with one step at the start and none later: no later notification can restore
/// what is lost of them.
const QUIET: usize = 20;

/// Pause of senders and callers: the gateways share this machine.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

struct Shared {
    simulator: Simulator,
    replicas: Vec<Caller>,
    counts: Vec<Counts>,
    /// The newest step of each tenant.
    sent: Vec<AtomicI64>,
    stop: AtomicBool,
    /// Time of the slowest call, in microseconds.
    slowest: AtomicU64,
}

/// Responses of one replica.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Notifications answered 204.
    pub(crate) stored: AtomicU64,
    /// Notifications answered 503.
    pub(crate) not_stored: AtomicU64,
    /// Calls with a response, refused ones included.
    pub(crate) calls: AtomicU64,
}

impl Load {
    pub(crate) async fn start(env: &Env) -> Self {
        for n in TENANTS..TENANTS + QUIET {
            let body = script::body(&env.simulator, &script::tenant(n), 1);
            let answer = env.replica(n % REPLICAS).notify(body).await;
            assert_eq!(answer, Some(StatusCode::NO_CONTENT));
        }
        let replicas = env.replicas();
        let shared = Arc::new(Shared {
            simulator: env.simulator.clone(),
            counts: replicas.iter().map(|_| Counts::default()).collect(),
            sent: (0..TENANTS).map(|_| AtomicI64::new(0)).collect(),
            stop: AtomicBool::new(false),
            slowest: AtomicU64::new(0),
            replicas,
        });
        let mut tasks = JoinSet::new();
        for n in 0..TENANTS {
            let shared = shared.clone();
            tasks.spawn(async move { shared.send_steps(n).await });
        }
        for at in 0..shared.replicas.len() {
            let shared = shared.clone();
            tasks.spawn(async move { shared.call_on(at).await });
        }
        Self { shared, tasks }
    }

    pub(crate) fn counts(&self, replica: usize) -> &Counts {
        &self.shared.counts[replica]
    }

    /// Returns the number of notifications answered 204 and 503.
    pub(crate) fn answered(&self) -> (u64, u64) {
        let sum = |count: fn(&Counts) -> &AtomicU64| {
            self.shared.counts.iter().map(|counts| count(counts).load(SeqCst)).sum()
        };
        (sum(|counts| &counts.stored), sum(|counts| &counts.not_stored))
    }

    /// Returns the time of the slowest call.
    pub(crate) fn slowest_call(&self) -> Duration {
        Duration::from_micros(self.shared.slowest.load(SeqCst))
    }

    /// Panics when a sender or a caller has.
    pub(crate) fn check(&mut self) {
        if let Some(ended) = self.tasks.try_join_next() {
            ended.unwrap();
        }
    }

    /// Ends the load and returns the newest step of each tenant.
    pub(crate) async fn stop(mut self) -> Vec<(TenantId, i64)> {
        self.shared.stop.store(true, SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        let sent = self.shared.sent.iter().map(|step| step.load(SeqCst));
        let sent = sent.chain(std::iter::repeat_n(1, QUIET)).enumerate();
        sent.map(|(n, step)| (script::tenant(n), step)).collect()
    }
}

impl Shared {
    /// Sends the steps of one tenant, each to a random replica, as a load balancer would.
    async fn send_steps(&self, n: usize) {
        let tenant = script::tenant(n);
        for step in 1.. {
            if self.stop.load(SeqCst) {
                return;
            }
            let at = fastrand::usize(..self.replicas.len());
            let body = script::body(&self.simulator, &tenant, step);
            let answer = self.replicas[at].notify(body).await.expect("a gateway answers");
            let count = match answer {
                StatusCode::NO_CONTENT => &self.counts[at].stored,
                StatusCode::SERVICE_UNAVAILABLE => &self.counts[at].not_stored,
                other => panic!("step {step} of {tenant} was answered {other}"),
            };
            count.fetch_add(1, SeqCst);
            self.sent[n].store(step, SeqCst);
            // It is in force where it arrived, stored or not. Earlier steps that other replicas
            // received may be missing there, so the reason is not determined.
            let called = self.call(at, &tenant).await;
            match script::change(step) {
                ChangeType::BackupRestored => {}
                ChangeType::Resume => assert_eq!(called, StatusCode::OK, "{step} of {tenant}"),
                ChangeType::Delete => assert_eq!(called, StatusCode::GONE, "{step} of {tenant}"),
                _ => assert_ne!(called, StatusCode::OK, "step {step} of {tenant}"),
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn call_on(&self, at: usize) {
        while !self.stop.load(SeqCst) {
            let called = self.call(at, &script::tenant(fastrand::usize(..TENANTS))).await;
            let known = [StatusCode::OK, StatusCode::SERVICE_UNAVAILABLE, StatusCode::GONE];
            assert!(known.contains(&called), "{called}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    async fn call(&self, at: usize, tenant: &TenantId) -> StatusCode {
        let began = Instant::now();
        let called = call(&self.replicas[at], tenant).await;
        let took = u64::try_from(began.elapsed().as_micros()).unwrap();
        self.slowest.fetch_max(took, SeqCst);
        self.counts[at].calls.fetch_add(1, SeqCst);
        called
    }
}
