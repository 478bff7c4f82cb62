//! Turns: where pulls wait, a tenant is left to the replica whose pull comes in its turn.

use std::sync::{Arc, Mutex};

use futures::{
    FutureExt,
    future::{BoxFuture, ready},
};
use harness::{TestEnv, Wrap, Wrapped, tenant_number, within};
use tokio::time::{Duration, Instant, sleep};
use tower_superoffice::{
    TenantId,
    pull::Schedule,
    store::{Lease, MemoryStore, Store, StoreError},
};

use super::MINUTE;

const SECOND: Duration = Duration::from_secs(1);

/// At one pull a second, each is pulled about every two and a half minutes, and late by half of
/// that.
const TENANTS: usize = 150;

/// A store shared with another replica, which takes the turn of the last tenant on demand.
#[derive(Debug, Default)]
struct Shared {
    inner: MemoryStore,
    turn: Mutex<Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    /// The terms of the leases requested for pulls of the tenant, and when.
    requested: Vec<(u64, Instant)>,
    /// The term of the turn that the other replica has, and its end.
    held: Option<(u64, Instant)>,
}

impl Wrap for Shared {
    type Inner = MemoryStore;

    fn inner(&self) -> &MemoryStore {
        &self.inner
    }

    fn try_lease<'a>(
        &'a self,
        tenant: &'a TenantId,
        term: u64,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        if *tenant == last() {
            let now = Instant::now();
            let mut turn = self.turn.lock().unwrap();
            if ttl == 10 * SECOND {
                turn.requested.push((term, now));
            }
            if let Some((_, end)) = turn.held.filter(|(held, end)| *held == term && now < *end) {
                return ready(Ok(Lease::Held { remaining: end - now })).boxed();
            }
        }
        self.inner.try_lease(tenant, term, ttl)
    }
}

fn last() -> TenantId {
    tenant_number(TENANTS - 1)
}

impl Shared {
    /// Has the other replica take the turn of the last tenant, which each late pull requests before
    /// its lease.
    fn take_turn(&self, ttl: Duration) {
        let mut turn = self.turn.lock().unwrap();
        let [.., (term, first), (lease, second)] = turn.requested[..] else {
            panic!("no late pull was made: {turn:?}");
        };
        assert_eq!(first, second, "a late pull requests its turn too");
        assert_ne!(term, lease);
        turn.held = Some((term, Instant::now() + ttl));
    }

    /// Waits until the turn is refused.
    async fn refused(&self) {
        let start = Instant::now();
        while self.turn.lock().unwrap().requested.last().is_none_or(|(_, at)| *at <= start) {
            sleep(SECOND / 10).await;
        }
    }
}

/// Returns a gate whose pulls wait, at the end of the first rounds.
async fn backlog() -> (TestEnv, Arc<Wrapped<Shared>>) {
    let store = Arc::new(Wrapped::<Shared>::default());
    let schedule = Schedule::new().pulls_per_second(1);
    let configure = |builder: tower_superoffice::TenantGateBuilder| {
        builder.store(Arc::clone(&store)).schedule(schedule)
    };
    let env = TestEnv::on_tokio_clock_with(configure).await;
    env.simulator.state_validity(30 * SECOND);
    for number in 0..TENANTS {
        env.simulator.upgrade(&tenant_number(number)).await.unwrap();
    }
    sleep(7 * MINUTE).await;
    (env, store)
}

#[tokio::test(start_paused = true)]
async fn late_pull_is_left_to_the_other_replica_in_its_turn() {
    let (env, store) = backlog().await;
    store.take_turn(5 * MINUTE);
    let before = env.simulator.state_requests(&last());
    assert!(before >= 2, "it is pulled again and again");
    sleep(5 * MINUTE).await;
    assert_eq!(env.simulator.state_requests(&last()), before);
    // The other replica has ended: after its turn the tenant waits for a round at most.
    sleep(4 * MINUTE).await;
    assert!(env.simulator.state_requests(&last()) > before);
}

#[tokio::test(start_paused = true)]
async fn wanted_tenant_is_pulled_in_the_turn_of_another() {
    let (env, store) = backlog().await;
    store.take_turn(10 * MINUTE);
    within(4 * MINUTE, store.refused()).await;
    let before = env.simulator.state_requests(&last());
    env.simulator.resume(&last()).without_notification();
    // Due again after a minute, and late.
    sleep(80 * SECOND).await;
    assert_eq!(env.simulator.state_requests(&last()), before);
    within(5 * SECOND, async { env.gate.available(&last()).await.unwrap() }).await;
    assert_eq!(env.simulator.state_requests(&last()), before + 1);
}
