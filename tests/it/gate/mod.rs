//! The handle: configuration errors, operators' words, waiting, events, health, and the end.

mod concurrency;
mod extremes;
mod store;
mod store_faults;
mod supervision;

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use futures::{FutureExt, StreamExt};
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::ServiceExt;
use tower_superoffice::{
    BuildError, ChangeType, Environment, TenantEvent, TenantGate, TenantGateBuilder, TenantId,
    UnavailableReason, health::StoreHealth, simulator::Simulator, status::Evidence,
    token::SigningKeys,
};

fn tenant() -> TenantId {
    TenantId::new("Cust1").unwrap()
}

fn builder() -> TenantGateBuilder {
    TenantGate::builder(Environment::Production).state_api(false).signing_keys(keys())
}

fn keys() -> SigningKeys {
    SigningKeys::from_file(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/v1-sha1.crt"))
        .unwrap()
}

async fn gate() -> TenantGate {
    builder().any_audience().build().await.unwrap()
}

#[tokio::test]
async fn invalid_configuration_is_an_error_with_advice() {
    let custom = |base: &str| TenantGate::builder(Environment::custom(base.parse().unwrap()));
    for (builder, said) in [
        (builder(), "no audience"),
        (builder().audience("a").any_audience(), "keep one of them"),
        (builder().audience(" "), "an audience is empty"),
        (builder().any_audience().leeway(Duration::from_secs(301)), "longer than 300 s"),
        (builder().any_audience().notification_path("no/slash"), "absolute path"),
        (builder().any_audience().notification_path("/a?b"), "absolute path"),
        (builder().any_audience().key_url("http://keys.example/".parse().unwrap()), "https URL"),
        (custom("http://so.example").any_audience().signing_keys(keys()), "loopback"),
        (custom("/path").any_audience().signing_keys(keys()), "absolute URL"),
        (custom("https://production").any_audience().signing_keys(keys()), "host name with a dot"),
        (custom("https://sod.superoffice.com").any_audience().signing_keys(keys()), "::Sod"),
    ] {
        let error: BuildError = builder.build().await.expect_err(said);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn build_outside_a_runtime_is_an_error() {
    let built = builder().any_audience().build().now_or_never().unwrap();
    assert!(matches!(built, Err(BuildError::NoRuntime)));
}

#[tokio::test]
async fn override_masks_the_status_until_released() {
    let (gate, tenant) = (gate().await, tenant());
    gate.close(&tenant, "maintenance").await.unwrap();
    let closed = gate.check(&tenant).unwrap_err();
    assert_eq!(closed.reason(), UnavailableReason::Operator);
    assert_eq!(closed.evidence(), Evidence::Operator);
    gate.open(&tenant, "done").await.unwrap();
    assert!(gate.check(&tenant).is_ok());
    assert_eq!(gate.status(&tenant).evidence(), Evidence::Operator);
    gate.release(&tenant, "").await.unwrap();
    assert_eq!(gate.status(&tenant).evidence(), Evidence::Notification);
}

#[tokio::test(start_paused = true)]
async fn override_expires_and_wakes_waiters() {
    let (start, began) = (SystemTime::now(), tokio::time::Instant::now());
    let gate =
        builder().any_audience().clock(move || start + began.elapsed()).build().await.unwrap();
    let tenant = tenant();
    gate.close_until(&tenant, "an hour", start + Duration::from_secs(3600)).await.unwrap();
    gate.available(&tenant).await;
    let waited = began.elapsed();
    assert!((3600..3661).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test]
async fn available_resolves_when_the_tenant_is_open() {
    let (gate, tenant) = (gate().await, tenant());
    assert_eq!(gate.available(&tenant).now_or_never(), Some(()));
    gate.close(&tenant, "").await.unwrap();
    let waiting: Vec<_> = (0..1000).map(|_| tokio::spawn(gate.available(&tenant))).collect();
    tokio::task::yield_now().await;
    assert!(waiting.iter().all(|waiter| !waiter.is_finished()));
    gate.open(&tenant, "").await.unwrap();
    for waiter in waiting {
        waiter.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn resume_jitter_spreads_waiters() {
    let jitter = Duration::from_secs(10);
    let gate = builder().any_audience().resume_jitter(jitter).build().await.unwrap();
    let tenant = tenant();
    gate.close(&tenant, "").await.unwrap();
    let waiting: Vec<_> = (0..200)
        .map(|_| {
            let available = gate.available(&tenant);
            tokio::spawn(async move {
                available.await;
                tokio::time::Instant::now()
            })
        })
        .collect();
    tokio::task::yield_now().await;
    let opened = tokio::time::Instant::now();
    gate.open(&tenant, "").await.unwrap();
    let mut delays = Vec::new();
    for waiter in waiting {
        delays.push(waiter.await.unwrap() - opened);
    }
    delays.sort();
    assert!(
        delays[0] < Duration::from_secs(2) && delays[199] > Duration::from_secs(8),
        "{delays:?}"
    );
    assert!(delays[199] <= jitter + Duration::from_millis(10));
}

#[tokio::test]
async fn lagging_event_stream_reports_missed_events() {
    let gate = builder().any_audience().event_capacity(2).build().await.unwrap();
    let tenant = tenant();
    let mut events = gate.events();
    gate.close(&tenant, "").await.unwrap();
    let Some(TenantEvent::Changed { tenant: told, status }) = events.next().await else { panic!() };
    assert_eq!((told, status.reason()), (tenant.clone(), Some(UnavailableReason::Operator)));
    for _ in 0..3 {
        gate.open(&tenant, "").await.unwrap();
        gate.close(&tenant, "").await.unwrap();
    }
    assert_eq!(events.next().await, Some(TenantEvent::Missed(4)));
    drop(gate);
    assert_eq!(events.by_ref().count().await, 2, "the last two, and then the end");
}

#[tokio::test]
async fn notification_publishes_its_event_only() {
    let simulator = Simulator::start().await.unwrap();
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .state_api(false)
        .build()
        .await
        .unwrap();
    simulator.notify_service(gate.notification_service());
    let (tenant, mut events) = (tenant(), gate.events());
    let first = simulator.notification(ChangeType::Suspend, &tenant);
    let post = async |notification: &tower_superoffice::simulator::Notification| {
        let request = Request::post("/").body(Full::new(notification.body())).unwrap();
        gate.notification_service().oneshot(request).await.unwrap().status()
    };
    while post(&first).await != StatusCode::NO_CONTENT {
        // The keys are still on their way.
        tokio::task::yield_now().await;
    }
    assert!(matches!(events.next().await, Some(TenantEvent::Changed { .. })));
    // A duplicate, and a second Suspend that changes nothing.
    post(&first).await;
    simulator.notify(ChangeType::Suspend, &tenant).await.unwrap();
    simulator.notify(ChangeType::BackupRestored, &tenant).await.unwrap();
    let Some(TenantEvent::Restored { epoch, .. }) = events.next().await else { panic!() };
    assert_eq!(gate.status(&tenant).epoch(), epoch);
    simulator.notify(ChangeType::Move, &tenant).await.unwrap();
    assert!(matches!(events.next().await, Some(TenantEvent::Moved { .. })));
    simulator.notify(ChangeType::Other(77), &tenant).await.unwrap();
    assert!(matches!(events.next().await, Some(TenantEvent::Unknown { number: 77, .. })));
    assert!(events.next().now_or_never().is_none());
}

#[tokio::test]
async fn health_counts_tenants() {
    let (gate, tenant) = (gate().await, tenant());
    gate.close(&tenant, "").await.unwrap();
    let health = gate.health();
    assert_eq!((health.tenants(), health.closed(), health.dirty()), (1, 1, 0));
    assert_eq!(health.store(), StoreHealth::Fresh);
    assert!(health.pulls().is_none());
    assert_eq!(gate.keys().keys().len(), 1);
}

#[tokio::test]
async fn tasks_end_with_the_last_handle_or_guard() {
    let ticks = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&ticks);
    // The clock is held by the gate and by its tasks: when it is gone, they are.
    let clock = move || {
        counted.fetch_add(1, Ordering::Relaxed);
        SystemTime::now()
    };
    let gate = builder().any_audience().clock(clock).build().await.unwrap();
    let guard = gate.guard_layer();
    let service = gate.notification_service();
    drop(gate);
    tokio::task::yield_now().await;
    assert!(Arc::strong_count(&ticks) > 1);
    drop(service);
    tokio::task::yield_now().await;
    assert!(Arc::strong_count(&ticks) > 1, "a guard in use keeps its gate");
    drop(guard);
    while Arc::strong_count(&ticks) > 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn debug_output_contains_no_note() {
    let gate = gate().await;
    gate.close(&tenant(), "secret note").await.unwrap();
    let text = format!(
        "{gate:?} {:?} {:?} {:?}",
        gate.guard_layer(),
        gate.notification_layer(),
        builder()
    );
    assert!(!text.contains("secret"), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn concurrent_changes_are_published_in_order() {
    let gate = builder().any_audience().event_capacity(100_000).build().await.unwrap();
    let mut events = gate.events();
    let operators = (0..4).map(|_| {
        let gate = gate.clone();
        tokio::spawn(async move {
            for _ in 0..5000 {
                gate.close(&tenant(), "").await.unwrap();
                gate.release(&tenant(), "").await.unwrap();
            }
        })
    });
    futures::future::try_join_all(operators).await.unwrap();
    gate.close(&tenant(), "the last word").await.unwrap();
    // To the end of the stream: a poll that is not awaited stops at tokio's budget for one task, after
    // some hundred events.
    drop(gate);
    let (mut count, mut available) = (0, true);
    while let Some(event) = events.next().await {
        let TenantEvent::Changed { status, .. } = event else { panic!("{event:?}") };
        assert_ne!(status.is_available(), available, "change {count}");
        available = status.is_available();
        count += 1;
    }
    assert!(!available, "the last change is missing");
    assert!(count > 10_000, "{count}");
}
