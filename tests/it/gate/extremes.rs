//! Every setting at its extremes: nothing panics, wraps, or takes all memory.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use futures::{FutureExt, StreamExt};
use http::{Request, StatusCode};
use http_body_util::StreamBody;
use tokio::time::{Instant, sleep};
use tower::ServiceExt;
use tower_superoffice::{
    BuildError, TenantGate, TenantGateBuilder, TenantId, UnavailableReason, pull::Schedule,
    simulator::Simulator, status::State, store::MemoryStore, token::SigningKeys,
};

const MAX: Duration = Duration::MAX;
const ZERO: Duration = Duration::ZERO;
const HOUR: Duration = Duration::from_secs(3600);

type Setting = fn(TenantGateBuilder) -> TenantGateBuilder;

fn schedule(set: fn(Schedule) -> Schedule) -> Schedule {
    set(Schedule::default())
}

/// Each setting that takes a number or a time, at both ends.
const SETTINGS: &[(&str, Setting)] = &[
    ("body_deadline(MAX)", |builder| builder.body_deadline(MAX)),
    ("body_limit(MAX)", |builder| builder.body_limit(usize::MAX)),
    ("event_capacity(0)", |builder| builder.event_capacity(0)),
    ("event_capacity(MAX)", |builder| builder.event_capacity(usize::MAX)),
    ("key_max_age(0)", |builder| builder.key_max_age(ZERO)),
    ("key_max_age(MAX)", |builder| builder.key_max_age(MAX)),
    ("leeway(0)", |builder| builder.leeway(ZERO)),
    ("resume_jitter(MAX)", |builder| builder.resume_jitter(MAX)),
    ("settle(0)", |builder| builder.settle(ZERO)),
    ("settle(MAX)", |builder| builder.settle(MAX)),
    ("upgrade_settle(0)", |builder| builder.upgrade_settle(ZERO)),
    ("upgrade_settle(MAX)", |builder| builder.upgrade_settle(MAX)),
    ("store_timeout(MAX)", |builder| builder.store_timeout(MAX)),
    ("first_after_upgrade(0)", |b| b.schedule(schedule(|s| s.first_after_upgrade(ZERO)))),
    ("first_after_upgrade(MAX)", |b| b.schedule(schedule(|s| s.first_after_upgrade(MAX)))),
    ("upgrading(0)", |b| b.schedule(schedule(|s| s.upgrading(ZERO, ZERO)))),
    ("upgrading(MAX)", |b| b.schedule(schedule(|s| s.upgrading(MAX, MAX)))),
    ("suspended(0)", |b| b.schedule(schedule(|s| s.suspended(ZERO, ZERO)))),
    ("suspended(MAX)", |b| b.schedule(schedule(|s| s.suspended(MAX, MAX)))),
    ("suspended(MAX, 0)", |b| b.schedule(schedule(|s| s.suspended(MAX, ZERO)))),
    ("deleted(MAX)", |b| b.schedule(schedule(|s| s.deleted(MAX, MAX)))),
    ("not_ready(MAX)", |b| b.schedule(schedule(|s| s.not_ready(MAX)))),
    ("failed(0)", |b| b.schedule(schedule(|s| s.failed(ZERO, ZERO)))),
    ("failed(MAX)", |b| b.schedule(schedule(|s| s.failed(MAX, MAX)))),
    ("pulls_per_second(0)", |b| b.schedule(schedule(|s| s.pulls_per_second(0)))),
    ("pulls_per_second(MAX)", |b| b.schedule(schedule(|s| s.pulls_per_second(u32::MAX)))),
    ("pulls_at_once(0)", |b| b.schedule(schedule(|s| s.pulls_at_once(0)))),
    ("pulls_at_once(MAX)", |b| b.schedule(schedule(|s| s.pulls_at_once(usize::MAX)))),
];

/// A gate as it is by default but for `setting`.
async fn gate(simulator: &Simulator, now: SystemTime, setting: Setting) -> TenantGate {
    let began = Instant::now();
    let builder = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).unwrap())
        .key_url(simulator.environment().key_url())
        .client(simulator.network())
        .store(MemoryStore::new())
        .clock(move || now + began.elapsed());
    setting(builder).build().await.unwrap()
}

/// Closes and opens tenants in each way there is, and waits for what follows.
async fn upgrade_burst(simulator: &Simulator, gate: &TenantGate, place: usize, now: SystemTime) {
    let tenant = |number: usize| TenantId::new(format!("Cust{place}_{number}")).unwrap();
    let mut events = gate.events();
    let [one, two, three, four] = [1, 2, 3, 4].map(tenant);
    for answer in [
        simulator.suspend(&one).await,
        simulator.upgrade(&two).await,
        simulator.delete(&three).await,
    ] {
        assert_eq!(answer.unwrap(), StatusCode::NO_CONTENT);
    }
    // With no settle time an answer that comes too early has opened it again.
    if let Err(closed) = gate.check(&one) {
        assert_eq!(closed.reason(), UnavailableReason::Suspended);
        let _ = (closed.retry_after(), closed.to_http_parts());
    }
    let mut opening = Box::pin(gate.available(&one));
    let _ = (&mut opening).now_or_never();
    gate.close_until(&four, "", now + HOUR / 10).await.unwrap();
    gate.close_until(&tenant(5), "", SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40))
        .await
        .unwrap();
    simulator.set_state(&tenant(6), State::MigrationPending);
    gate.track([tenant(6)]);
    let _ = gate.refresh(&one).now_or_never();

    // A body that keeps its reader waiting, so that the deadline is armed.
    let slow = futures::stream::iter([Ok::<_, std::io::Error>(http_body::Frame::data(
        Bytes::from_static(b"{"),
    ))])
    .chain(futures::stream::once(async {
        sleep(Duration::from_millis(10)).await;
        Ok(http_body::Frame::data(Bytes::from_static(b"}")))
    }));
    let request = Request::post("/").body(StreamBody::new(slow)).unwrap();
    let answer = gate.notification_service().oneshot(request).await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_REQUEST);

    for _ in 0..10 {
        sleep(HOUR / 30).await;
        let _ = (gate.health(), gate.snapshot());
    }
    assert!(gate.check(&four).is_ok(), "its override has ended");
    assert_eq!(simulator.resume(&one).await.unwrap(), StatusCode::NO_CONTENT);
    assert!(gate.check(&one).is_ok());
    assert!(events.next().now_or_never().flatten().is_some());
}

#[tokio::test(start_paused = true)]
async fn no_setting_panics_or_wraps_at_its_extremes() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let began = Instant::now();
    let clock = move || now + began.elapsed();
    // Making its key takes longer than all that follows, so there is one for all.
    let simulator = Simulator::builder().clock(clock).start().await.unwrap();
    for (place, &(name, setting)) in SETTINGS.iter().enumerate() {
        println!("{name}");
        let now = clock();
        let gate = gate(&simulator, now, setting).await;
        simulator.notify_service(gate.notification_service());
        upgrade_burst(&simulator, &gate, place, now).await;
        for task in gate.health().tasks() {
            assert_eq!((task.restarts(), task.is_down()), (0, false), "{name}: {}", task.name());
        }
    }
}

#[tokio::test]
async fn no_wall_time_panics_or_wraps() {
    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 40);
    for now in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH - HOUR, far] {
        let simulator = Simulator::start().await.unwrap();
        let gate = TenantGate::builder(simulator.environment())
            .any_audience()
            .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).unwrap())
            .client(simulator.network())
            .store(MemoryStore::new())
            .clock(move || now)
            .build()
            .await
            .unwrap();
        simulator.notify_service(gate.notification_service());
        let tenant = TenantId::new("Cust1").unwrap();
        assert_eq!(simulator.suspend(&tenant).await.unwrap(), StatusCode::UNAUTHORIZED);
        gate.close_until(&tenant, "", now + HOUR).await.unwrap();
        gate.close(&tenant, "").await.unwrap();
        let closed = gate.check(&tenant).unwrap_err();
        let _ = (closed.to_string(), format!("{closed:?}"), closed.retry_after(), closed.since());
        let _ = (gate.status(&tenant), gate.health(), gate.keys());
        gate.release(&tenant, "").await.unwrap();
        assert!(gate.check(&tenant).is_ok());
        assert!(gate.health().tasks().iter().all(|task| task.restarts() == 0 && !task.is_down()));
    }
}

#[tokio::test]
async fn key_file_that_cannot_be_used_fails_the_build() {
    let builder = || TenantGate::builder(tower_superoffice::Environment::Production).any_audience();
    for file in ["no/such/file", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")] {
        let built = builder().key_file(file).signing_keys(SigningKeys::default()).build().await;
        let Err(BuildError::Keys(error)) = built else { panic!("{built:?}") };
        assert!(error.to_string().contains(file), "{error}");
    }
}
