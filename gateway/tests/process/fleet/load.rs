//! Notifications and calls that go on whatever happens.

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

use super::world::{REPLICAS, World, call};
use crate::{process::Caller, script};

/// Each is told one turn at a time: as many notifications are on their way at once.
const TENANTS: usize = 40;

/// As many tenants are told one turn before it all begins, and nothing after it: what is missing of
/// them nobody brings back by chance.
const QUIET: usize = 20;

/// Senders and callers are no faster than this: the machine has other work to do.
const PAUSE: Duration = Duration::from_millis(10);

pub(crate) struct Load {
    shared: Arc<Shared>,
    tasks: JoinSet<()>,
}

struct Shared {
    simulator: Simulator,
    replicas: Vec<Caller>,
    counts: Vec<Counts>,
    /// The newest turn of each tenant.
    told: Vec<AtomicI64>,
    stop: AtomicBool,
    /// The slowest call, us.
    slowest: AtomicU64,
}

/// What one replica did.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Notifications answered 204.
    pub(crate) stored: AtomicU64,
    /// Notifications answered 503.
    pub(crate) not_stored: AtomicU64,
    /// Calls answered, refused ones included.
    pub(crate) calls: AtomicU64,
}

impl Load {
    pub(crate) async fn start(world: &World) -> Self {
        for n in TENANTS..TENANTS + QUIET {
            let body = script::body(&world.simulator, &script::tenant(n), 1);
            let answer = world.replica(n % REPLICAS).notify(body).await;
            assert_eq!(answer, Some(StatusCode::NO_CONTENT));
        }
        let replicas = world.replicas();
        let shared = Arc::new(Shared {
            simulator: world.simulator.clone(),
            counts: replicas.iter().map(|_| Counts::default()).collect(),
            told: (0..TENANTS).map(|_| AtomicI64::new(0)).collect(),
            stop: AtomicBool::new(false),
            slowest: AtomicU64::new(0),
            replicas,
        });
        let mut tasks = JoinSet::new();
        for n in 0..TENANTS {
            let shared = shared.clone();
            tasks.spawn(async move { shared.tell(n).await });
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

    /// All notifications that were answered so far, 204 and 503.
    pub(crate) fn answered(&self) -> (u64, u64) {
        let sum = |count: fn(&Counts) -> &AtomicU64| {
            self.shared.counts.iter().map(|counts| count(counts).load(SeqCst)).sum()
        };
        (sum(|counts| &counts.stored), sum(|counts| &counts.not_stored))
    }

    /// The slowest call so far.
    pub(crate) fn slowest_call(&self) -> Duration {
        Duration::from_micros(self.shared.slowest.load(SeqCst))
    }

    /// Fails when a sender or a caller has.
    pub(crate) fn check(&mut self) {
        if let Some(ended) = self.tasks.try_join_next() {
            ended.unwrap();
        }
    }

    /// Ends it, and answers the last turn that each tenant was told of.
    pub(crate) async fn stop(mut self) -> Vec<(TenantId, i64)> {
        self.shared.stop.store(true, SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.unwrap();
        }
        let told = self.shared.told.iter().map(|turn| turn.load(SeqCst));
        let told = told.chain(std::iter::repeat_n(1, QUIET)).enumerate();
        told.map(|(n, turn)| (script::tenant(n), turn)).collect()
    }
}

impl Shared {
    /// Tells one tenant turn after turn, each at another replica, as a load balancer would.
    async fn tell(&self, n: usize) {
        let tenant = script::tenant(n);
        for turn in 1.. {
            if self.stop.load(SeqCst) {
                return;
            }
            let at = fastrand::usize(..self.replicas.len());
            let body = script::body(&self.simulator, &tenant, turn);
            let answer = self.replicas[at].notify(body).await.expect("a gateway answers");
            let count = match answer {
                StatusCode::NO_CONTENT => &self.counts[at].stored,
                StatusCode::SERVICE_UNAVAILABLE => &self.counts[at].not_stored,
                other => panic!("turn {turn} of {tenant} was answered {other}"),
            };
            count.fetch_add(1, SeqCst);
            self.told[n].store(turn, SeqCst);
            // Where it arrived it is in force, stored or not. What others were told before may be
            // missing there, so which reason a closed tenant has is open.
            let called = self.call(at, &tenant).await;
            match script::change(turn) {
                ChangeType::BackupRestored => {}
                ChangeType::Resume => assert_eq!(called, StatusCode::OK, "{turn} of {tenant}"),
                ChangeType::Delete => assert_eq!(called, StatusCode::GONE, "{turn} of {tenant}"),
                _ => assert_ne!(called, StatusCode::OK, "turn {turn} of {tenant}"),
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
