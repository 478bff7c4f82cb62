//! Pulls of several replicas, and with a store or client that fails.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture};
use harness::{TestEnv, Wrap, Wrapped, gate_builder_on, tenant_number as tenant, within};
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::{Duration, sleep};
use tower::{ServiceExt, service_fn};
use tower_superoffice::{
    TenantId, UnavailableReason,
    notification::EmptyBody,
    store::{Lease, MemoryStore, Store, StoreError},
};

use super::{HOUR, MINUTE};

/// From this number on leases are granted, the first ten of them late.
const SLOW: u32 = 1000;

/// A store whose first lease another replica holds.
#[derive(Debug)]
struct Leased {
    inner: MemoryStore,
    leases: AtomicU32,
}

impl Wrap for Leased {
    type Inner = MemoryStore;

    fn inner(&self) -> &MemoryStore {
        &self.inner
    }

    fn try_lease<'a>(
        &'a self,
        _: &'a TenantId,
        _: u64,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        if ttl > Duration::from_secs(10) {
            // The pull was answered, and its lease is to last.
            return match self.leases.load(Ordering::Relaxed) {
                2 => std::future::pending().boxed(),
                3 => panic!("a store may panic"),
                _ => std::future::ready(Ok(Lease::Granted)).boxed(),
            };
        }
        match self.leases.fetch_add(1, Ordering::Relaxed) {
            0 => {
                let remaining = Duration::from_secs(10);
                std::future::ready(Ok(Lease::Held { remaining })).boxed()
            }
            1 => std::future::ready(Ok(Lease::Granted)).boxed(),
            2 => std::future::pending().boxed(),
            late @ SLOW.. => {
                let late = if late < SLOW + 10 { 950 } else { 0 };
                sleep(Duration::from_millis(late)).map(|()| Ok(Lease::Granted)).boxed()
            }
            _ => panic!("a store may panic"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_share_one_pull() {
    let store = MemoryStore::new();
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(store.clone())).await;
    let other = env.another_gate(|builder| builder.store(store.clone())).await;
    let one = tenant(1);
    env.simulator.suspend(&one).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(other.status(&one).reason(), Some(UnavailableReason::Suspended));
    sleep(MINUTE).await;
    assert_eq!(env.simulator.state_requests(&one), 1, "one pull at the end of the settle time");
    assert!(other.status(&one).is_confirmed());
    assert_eq!(other.status(&one), env.gate.status(&one));

    sleep(10 * HOUR).await;
    let requests = env.simulator.state_requests(&one);
    // One gate pulls every 7.5 to 15 min; two without leases would do so twice as often.
    assert!((40..=95).contains(&requests), "{requests}");
    env.simulator.resume(&one).without_notification();
    within(16 * MINUTE, async { env.gate.available(&one).await.unwrap() }).await;
    within(Duration::from_secs(1), async { other.available(&one).await.unwrap() }).await;
    let left = env.pulls().delegated() + other.health().pulls().unwrap().delegated();
    assert!(left > 0, "no pull was left to the other");
}

#[tokio::test(start_paused = true)]
async fn pull_is_made_after_the_lease_holder_died() {
    let store = Arc::new(Wrapped(Leased { inner: MemoryStore::new(), leases: AtomicU32::new(0) }));
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(Arc::clone(&store))).await;
    env.simulator.suspend(&tenant(1)).await.unwrap();
    sleep(MINUTE + Duration::from_secs(9)).await;
    assert_eq!(env.simulator.all_state_requests(), 0);
    // The other took the lease and died: the lease ends after 10 s.
    sleep(Duration::from_secs(8)).await;
    assert_eq!(env.simulator.all_state_requests(), 1);
    assert_eq!(env.pulls().delegated(), 1);
}

#[tokio::test(start_paused = true)]
async fn pulls_delayed_by_a_slow_store_keep_to_the_limit() {
    let store =
        Arc::new(Wrapped(Leased { inner: MemoryStore::new(), leases: AtomicU32::new(SLOW) }));
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(Arc::clone(&store))).await;
    env.gate.track((0..100).map(tenant));
    let mut requests = Vec::new();
    while requests.last() != Some(&100) {
        sleep(Duration::from_millis(50)).await;
        requests.push(env.simulator.all_state_requests());
        assert!(requests.len() < 20 * 30, "{requests:?}");
    }
    for second in requests.windows(20) {
        assert!(second[19] - second[0] <= 10, "{requests:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_or_panicking_store_or_client_stops_no_pull() {
    let store = Arc::new(Wrapped(Leased { inner: MemoryStore::new(), leases: AtomicU32::new(1) }));
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(Arc::clone(&store))).await;
    env.simulator.suspend(&tenant(1)).await.unwrap();
    sleep(5 * HOUR).await;
    let pulls = env.pulls();
    // The lease that hangs times out, and each one that panics is a failed pull.
    assert_eq!(pulls.answered(), 2);
    assert!(pulls.failed() > 20, "{pulls:?}");
    assert_eq!(env.reason(&tenant(1)), Some(UnavailableReason::Suspended));

    let calls = Arc::new(AtomicU32::new(0));
    let (count, network) = (Arc::clone(&calls), env.simulator.network());
    let client = service_fn(move |request: Request<EmptyBody>| {
        assert!(count.fetch_add(1, Ordering::Relaxed) > 3, "a client may panic");
        network.clone().oneshot(request)
    });
    let other = env.another_gate(|builder| builder.client(client)).await;
    other.track([tenant(1)]);
    sleep(HOUR).await;
    assert_eq!(other.status(&tenant(1)).reason(), Some(UnavailableReason::Suspended));
    assert!(calls.load(Ordering::Relaxed) > 4);
}

#[tokio::test(start_paused = true)]
async fn pulls_continue_after_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(Arc::clone(&store))).await;
    env.simulator.suspend(&tenant(1)).await.unwrap();
    env.simulator.upgrade(&tenant(2)).await.unwrap();
    sleep(HOUR).await;
    let TestEnv { simulator, gate, clock, .. } = env;
    simulator.notify_service(service_fn(|_: Request<_>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    drop(gate);
    simulator.resume(&tenant(1)).without_notification();
    simulator.resume(&tenant(2)).without_notification();
    let before = simulator.all_state_requests();
    sleep(HOUR).await;
    assert_eq!(simulator.all_state_requests(), before, "a dropped gate pulls nothing");

    let gate = gate_builder_on(&simulator, &clock).store(store).build().await.unwrap();
    assert_eq!(gate.status(&tenant(1)).reason(), Some(UnavailableReason::Suspended));
    // Nothing is timed from before the restart: the first pulls are spread over the first step.
    within(Duration::from_secs(16), async { gate.available(&tenant(2)).await.unwrap() }).await;
    within(5 * MINUTE + Duration::from_secs(1), async {
        gate.available(&tenant(1)).await.unwrap()
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn fleet_pulls_tracked_tenants_once() {
    const TENANTS: usize = 300;
    let store = MemoryStore::new();
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(store.clone())).await;
    env.simulator.state_validity(20 * MINUTE);
    env.simulator.suspend(&tenant(7)).without_notification();
    let mut gates = vec![env.gate.clone()];
    for _ in 1..10 {
        gates.push(env.another_gate(|builder| builder.store(store.clone())).await);
    }
    for gate in &gates {
        gate.track((0..TENANTS).map(tenant));
        sleep(Duration::from_secs(40)).await;
        assert_eq!(gate.status(&tenant(7)).reason(), Some(UnavailableReason::Suspended));
        assert_eq!(gate.health().pulls().unwrap().waiting(), 0);
    }
    let requests = env.simulator.all_state_requests();
    assert!((300..=330).contains(&requests), "{requests} for {TENANTS} tenants");
    // And once more whenever the answer is no longer fresh: three times in this hour.
    sleep(HOUR).await;
    let open = env.simulator.all_state_requests() - env.simulator.state_requests(&tenant(7));
    assert!((299 * 4 - 30..=299 * 4 + 30).contains(&open), "{open} for {TENANTS} tenants");
}

#[tokio::test(start_paused = true)]
async fn lone_gate_is_not_refused_its_own_lease() {
    let store = MemoryStore::new();
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(store)).await;
    for made in 1..=3 {
        if made == 3 {
            env.simulator.suspend(&tenant(1)).without_notification();
        }
        env.gate.track([tenant(1)]);
        sleep(Duration::from_secs(1)).await;
        assert_eq!(env.simulator.state_requests(&tenant(1)), made);
    }
    assert_eq!(env.reason(&tenant(1)), Some(UnavailableReason::Suspended));
    assert_eq!(env.pulls().delegated(), 0);
}

#[tokio::test(start_paused = true)]
async fn lease_of_an_earlier_answer_delays_no_later_settle() {
    let store = MemoryStore::new();
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(store.clone())).await;
    let other = env.another_gate(|builder| builder.store(store.clone())).await;
    env.simulator.state_validity(HOUR);
    env.gate.refresh(&tenant(1)).await.unwrap();
    let TestEnv { simulator, gate, .. } = env;
    // The holder of the lease ends, and with it all that it would have pulled.
    simulator.notify_service(other.notification_service());
    drop(gate);
    simulator.suspend(&tenant(1)).await.unwrap();
    simulator.resume(&tenant(1)).without_notification();
    within(MINUTE + Duration::from_secs(1), async { other.available(&tenant(1)).await.unwrap() })
        .await;
}

/// Counts what is stored from now on.
fn count_changes(store: &MemoryStore) -> impl FnMut() -> usize {
    let mut changes = store.clone().changes();
    move || std::iter::from_fn(|| changes.next().now_or_never().flatten()).count()
}

#[tokio::test(start_paused = true)]
async fn repeated_answers_are_neither_stored_nor_sent() {
    let store = MemoryStore::new();
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(store.clone())).await;
    let other = env.another_gate(|builder| builder.store(store.clone())).await;
    let one = tenant(1);
    let mut stored = count_changes(&store);
    env.simulator.suspend(&one).await.unwrap();
    sleep(10 * MINUTE).await;
    let all = stored();
    assert!((2..=3).contains(&all), "the notification and its settled pull: {all}");
    let before = env.simulator.state_requests(&one);
    sleep(10 * HOUR).await;
    let requests = env.simulator.state_requests(&one) - before;
    assert!((40..=95).contains(&requests), "pulls go on as before: {requests}");
    assert_eq!(stored(), 0);

    // One that starts with what is stored goes on in step, and what is new is stored.
    drop(other);
    let next = env.another_gate(|builder| builder.store(store.clone())).await;
    sleep(HOUR).await;
    assert!(next.status(&one).is_confirmed());
    env.simulator.resume(&one).without_notification();
    within(16 * MINUTE, async { env.gate.available(&one).await.unwrap() }).await;
    within(Duration::from_secs(1), async { next.available(&one).await.unwrap() }).await;
    sleep(HOUR).await;
    assert_eq!(stored(), 4, "the correction, and three that agree");
}

#[tokio::test(start_paused = true)]
async fn upgrade_that_many_lives_watch_settles_all_the_same() {
    let store = MemoryStore::new();
    let env = TestEnv::on_tokio_clock_with(|builder| builder.store(store.clone())).await;
    env.simulator.upgrade(&tenant(1)).await.unwrap();
    let TestEnv { simulator, gate, clock, .. } = env;
    drop(gate);
    let mut closed = Duration::ZERO;
    // No process lives as long as a settle time: each hands on how long the Upgrade is known.
    loop {
        let gate = gate_builder_on(&simulator, &clock).store(store.clone()).build().await.unwrap();
        if gate.status(&tenant(1)).is_available() {
            break;
        }
        sleep(Duration::from_secs(50)).await;
        closed += Duration::from_secs(50);
        if closed == 5 * MINUTE {
            simulator.resume(&tenant(1)).without_notification();
        }
        assert!(closed < 40 * MINUTE, "it stays closed");
    }
}
