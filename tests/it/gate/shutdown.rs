//! The end of a gate: what is dirty is written, waiters are released, the store is freed.

use std::{
    convert::Infallible,
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use harness::{Directory, TestEnv, Wrap, Wrapped, gate_builder, post, refusal, tenant, until};
use http::{Request, Response, StatusCode, header};
use http_body_util::Empty;
use tokio::time::{Instant, sleep};
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::{
    ChangeType, Environment, TenantGate,
    notification::Refusal,
    pull::RefreshError,
    simulator::{self, Simulator},
    store::{MemoryStore, RedbStore, Store},
};

use super::store_faults::{Fault, Faulty};
use crate::notification::logs::Log;

/// A gate on a store that a test can break.
struct Fixture {
    simulator: Simulator,
    store: Faulty,
    gate: TenantGate,
}

impl Fixture {
    async fn new() -> Self {
        let (store, simulator) = (Faulty::default(), Simulator::start().await.unwrap());
        let builder = gate_builder(&simulator).store(store.clone()).state_api(false);
        let gate = builder.build().await.unwrap();
        Self { simulator, store, gate }
    }

    /// Closes tenants, which the broken store refuses or does not answer for.
    async fn close(&self, tenants: &[&str]) {
        for id in tenants {
            self.gate.close(&tenant(id), "").await.unwrap_err();
        }
    }

    /// Repairs the store after `delay`.
    fn repair_in(&self, delay: Duration) {
        let store = self.store.clone();
        tokio::spawn(async move {
            sleep(delay).await;
            store.set(Fault::None);
        });
    }

    async fn stored(&self) -> usize {
        let pages: Vec<_> = self.store.inner.load().collect().await;
        pages.into_iter().flatten().flatten().count()
    }
}

#[tokio::test(start_paused = true)]
async fn shutdown_on_a_hanging_store_returns_what_is_left() {
    let env = Fixture::new().await;
    let (other, service) = (env.gate.clone(), env.gate.notification_service());
    env.store.set(Fault::Hangs);
    env.close(&["a", "b"]).await;
    let began = Instant::now();
    assert_eq!(env.gate.shutdown(Duration::from_secs(5)).await, 2);
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    assert!(other.check(&tenant("a")).is_err(), "other handles go on deciding");
    assert!(other.check(&tenant("c")).is_ok());
    // A second one finds nothing to do.
    assert_eq!(other.shutdown(Duration::MAX).await, 2);
    assert_eq!(began.elapsed(), Duration::from_secs(5));
    drop(service);
}

#[tokio::test(start_paused = true)]
async fn shutdown_writes_soon_after_a_long_outage() {
    let env = Fixture::new().await;
    env.store.set(Fault::Away);
    env.close(&["a", "b", "c"]).await;
    sleep(Duration::from_secs(60)).await;
    let began = Instant::now();
    env.repair_in(Duration::from_millis(300));
    assert_eq!(env.gate.clone().shutdown(Duration::from_secs(10)).await, 0);
    assert!(began.elapsed() <= Duration::from_millis(600), "{:?}", began.elapsed());
    assert_eq!(env.stored().await, 3);
}

#[tokio::test(start_paused = true)]
async fn shutdown_retries_what_the_store_refused() {
    let env = Fixture::new().await;
    env.store.set(Fault::Damaged);
    env.close(&["bad"]).await;
    let began = Instant::now();
    env.repair_in(Duration::from_millis(300));
    assert_eq!(env.gate.clone().shutdown(Duration::from_secs(10)).await, 0);
    assert!(began.elapsed() <= Duration::from_millis(600), "{:?}", began.elapsed());
    assert_eq!(env.stored().await, 1);
}

#[tokio::test(start_paused = true)]
async fn shutdown_releases_writes_that_are_waited_for() {
    let env = Fixture::new().await;
    env.store.set(Fault::Hangs);
    let waiting = env.gate.clone();
    let waiting = tokio::spawn(async move {
        let began = Instant::now();
        (waiting.close(&tenant("a"), "").await.is_ok(), began.elapsed())
    });
    tokio::task::yield_now().await;
    assert_eq!(env.gate.shutdown(Duration::from_millis(100)).await, 1);
    let (stored, waited) = waiting.await.unwrap();
    assert!(!stored && waited <= Duration::from_millis(200), "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn notification_after_shutdown_is_503_and_in_force() {
    let env = Fixture::new().await;
    let other = env.gate.clone();
    env.gate.shutdown(Duration::from_secs(1)).await;
    let began = Instant::now();
    let body = env.simulator.notification(ChangeType::Suspend, &tenant("a")).body();
    for _ in 0..2 {
        let response = post(&other, body.clone()).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "30");
        assert!(matches!(refusal(&response), Some(Refusal::Interrupted { .. })));
    }
    assert!(other.check(&tenant("a")).is_err());
    let error = other.close(&tenant("b"), "").await.unwrap_err();
    assert!(error.to_string().contains("shut down"), "{error}");
    assert!(other.check(&tenant("b")).is_err());
    assert_eq!(began.elapsed(), Duration::ZERO, "nothing waits for a store that is gone");
}

#[tokio::test(start_paused = true)]
async fn shutdown_ends_a_refresh_that_waits() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.state_api(simulator::Fault::Hang);
    let waiting = env.gate.clone();
    let refresh = tokio::spawn(async move { waiting.refresh(&tenant("Cust1")).await });
    tokio::task::yield_now().await;
    let other = env.gate.clone();
    assert_eq!(env.gate.shutdown(Duration::ZERO).await, 0);
    assert!(matches!(refresh.await.unwrap(), Err(RefreshError::ShutDown)));
    assert!(matches!(other.refresh(&tenant("Cust2")).await, Err(RefreshError::ShutDown)));
}

/// A store that shows whether it is still held.
struct Held(MemoryStore, #[allow(dead_code)] Arc<()>);

impl Wrap for Held {
    type Inner = MemoryStore;

    fn inner(&self) -> &MemoryStore {
        &self.0
    }
}

#[tokio::test]
async fn shutdown_frees_the_store_while_handles_live() {
    let (simulator, alive) = (Simulator::start().await.unwrap(), Arc::new(()));
    let held = Arc::downgrade(&alive);
    let gate = gate_builder(&simulator).store(Wrapped(Held(MemoryStore::new(), alive))).build();
    let gate = gate.await.unwrap();
    let kept = (gate.clone(), gate.notification_service(), gate.client_layer());
    gate.track([tenant("Cust1")]);
    assert_eq!(gate.shutdown(Duration::from_secs(10)).await, 0);
    assert_eq!(Weak::strong_count(&held), 0);
    drop(kept);
}

#[tokio::test]
async fn redb_file_opens_again_at_once_after_the_end() {
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    let open = || RedbStore::open(&path, &Environment::Production);
    for round in 0..10 {
        let gate = super::builder().any_audience().store(open().unwrap()).build().await.unwrap();
        let closing = tenant(format!("Cust{round}"));
        gate.close(&closing, "").await.unwrap();
        assert_eq!(gate.health().closed(), round + 1);
        if round % 2 == 0 {
            let kept = (gate.clone(), gate.guard_layer());
            assert_eq!(gate.shutdown(Duration::from_secs(10)).await, 0);
            drop(open().unwrap());
            assert!(kept.0.check(&closing).is_err());
        } else {
            drop(gate);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn gate_dropped_dirty_warns_with_count_and_tenants() {
    let log = Log::default();
    let _logs = log.set_default();
    let warnings =
        || log.text().matches("gate dropped with unwritten tenants dirty=2 tenants=a, b\n").count();
    let env = Fixture::new().await;
    env.store.set(Fault::Hangs);
    env.close(&["a", "b"]).await;
    let guard = env.gate.guard_layer();
    drop(env.gate);
    assert_eq!(warnings(), 0, "a guard keeps the gate");
    drop(guard);
    assert_eq!(warnings(), 1, "{}", log.text());
}

#[tokio::test(start_paused = true)]
async fn twenty_unwritten_tenants_are_named_once_at_shutdown() {
    let log = Log::default();
    let _logs = log.set_default();
    let env = Fixture::new().await;
    env.store.set(Fault::Away);
    let ids: Vec<_> = (0..21).map(|number| format!("Cust{number:02}")).collect();
    env.close(&ids.iter().map(String::as_str).collect::<Vec<_>>()).await;
    assert_eq!(env.gate.shutdown(Duration::from_secs(1)).await, 21);
    let text = log.text();
    assert_eq!(text.matches("unwritten tenants").count(), 1, "{text}");
    let told = text.split_once("gate shut down with unwritten tenants dirty=21 tenants=").unwrap();
    let named: Vec<_> = told.1.lines().next().unwrap().split(", ").collect();
    assert!(named.is_sorted() && named.len() == 20, "{named:?}");
    assert!(named.iter().all(|name| ids.iter().any(|id| id == name)), "{named:?}");
    let clean = Fixture::new().await;
    assert_eq!(clean.gate.shutdown(Duration::from_secs(1)).await, 0);
    assert_eq!(log.text().matches("unwritten tenants").count(), 1);
}

#[tokio::test(start_paused = true)]
async fn call_after_shutdown_waits_for_no_pull() {
    let env = TestEnv::on_tokio_clock().await;
    env.gate.clone().shutdown(Duration::ZERO).await;
    let client = env.gate.client_layer().layer(env.simulator.network());
    let request = Request::get(env.simulator.url(&env.tenant, "/x"));
    let request = request.body(Empty::<Bytes>::new()).unwrap();
    let began = Instant::now();
    client.oneshot(request).await.unwrap();
    assert_eq!(began.elapsed(), Duration::ZERO, "it was to be located first");
}

#[tokio::test(start_paused = true)]
async fn call_that_waits_for_a_pull_goes_on_at_shutdown() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.state_api(simulator::Fault::Hang);
    let misdirected = service_fn(|_: Request<Empty<Bytes>>| async {
        let answer = Response::builder().status(StatusCode::MISDIRECTED_REQUEST);
        Ok::<_, Infallible>(answer.body(()).unwrap())
    });
    let request = Request::get(env.simulator.url(&env.tenant, "/x")).body(Empty::new()).unwrap();
    let call = env.gate.endpoint_layer().layer(misdirected).oneshot(request);
    let began = Instant::now();
    let end = async {
        until!(env.pulls().in_flight() == 1);
        env.gate.clone().shutdown(Duration::ZERO).await
    };
    let (response, _) = tokio::join!(call, end);
    assert_eq!(response.unwrap().status(), StatusCode::MISDIRECTED_REQUEST);
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
}
