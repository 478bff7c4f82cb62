//! Panics in what a gate was given, its clock and the program's subscriber, end none of its tasks.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    time::{Duration, SystemTime},
};

use futures::{FutureExt, future::BoxFuture, stream::BoxStream};
use harness::{
    Clock, gate_builder, gate_builder_on, simulator_on, tenant_number as tenant, tokio_clock,
};
use http::StatusCode;
use tokio::time::sleep;
use tower_superoffice::{
    BuildError, Environment, TenantGate, TenantId, UnavailableReason,
    simulator::{Fault, Simulator},
    status::Record,
    store::{MemoryStore, Store, StoreError},
};
use tracing::{Event, Metadata, Subscriber, span};

const MINUTE: Duration = Duration::from_secs(60);

/// A gate with a store and a state API, and a clock that goes with tokio's unless it panics.
struct Fixture {
    simulator: Simulator,
    store: MemoryStore,
    gate: TenantGate,
    start: SystemTime,
    clock_panics: Arc<AtomicBool>,
}

impl Fixture {
    async fn new() -> Self {
        let clock = tokio_clock();
        let start = clock();
        let simulator = simulator_on(&clock).await;
        let clock_panics = Arc::new(AtomicBool::new(false));
        let (store, panics) = (MemoryStore::new(), Arc::clone(&clock_panics));
        let clock: Clock = Arc::new(move || {
            assert!(!panics.load(Ordering::Relaxed), "the clock panics");
            clock()
        });
        let builder = gate_builder_on(&simulator, &clock).store(store.clone());
        let gate = builder.build().await.unwrap();
        simulator.notify_service(gate.notification_service());
        Self { simulator, store, gate, start, clock_panics }
    }

    fn reason(&self, number: usize) -> Option<UnavailableReason> {
        self.gate.status(&tenant(number)).reason()
    }

    fn restarts(&self) -> Vec<(String, u64)> {
        let health = self.gate.health();
        let tasks = health.tasks();
        tasks.iter().map(|task| (task.name().to_owned(), task.restarts())).collect()
    }

    /// Checks that each task does its work.
    async fn works(&self) {
        assert!(self.gate.health().tasks().iter().all(|task| !task.is_down()));
        let end = self.start + 1000 * MINUTE;
        self.gate.close_until(&tenant(9), "", end).await.unwrap();
        self.gate.release(&tenant(9), "").await.unwrap();
        assert_eq!(self.gate.health().dirty(), 0);
        let (answered, one) = (self.gate.health().pulls().unwrap().answered(), tenant(8));
        self.gate.refresh(&one).await.unwrap();
        assert!(self.gate.health().pulls().unwrap().answered() > answered);
        let builder = gate_builder(&self.simulator).state_api(false).store(self.store.clone());
        let other = builder.build().await.unwrap();
        other.close(&tenant(7), "").await.unwrap();
        sleep(MINUTE).await;
        assert_eq!(self.reason(7), Some(UnavailableReason::Operator));
        other.open(&tenant(7), "").await.unwrap();
        sleep(MINUTE).await;
        assert_eq!(self.reason(7), None);
    }
}

#[tokio::test(start_paused = true)]
async fn panicking_clock_ends_no_task_for_good() {
    let fixture = Fixture::new().await;
    let Fixture { simulator, store, gate, start, clock_panics } = &fixture;
    assert_eq!(simulator.suspend(&tenant(1)).await.unwrap(), StatusCode::NO_CONTENT);
    gate.close_until(&tenant(2), "", *start + 5 * MINUTE).await.unwrap();
    store.set_available(false);
    gate.close(&tenant(3), "").await.unwrap_err();

    clock_panics.store(true, Ordering::Relaxed);
    sleep(10 * MINUTE).await;
    clock_panics.store(false, Ordering::Relaxed);
    store.set_available(true);
    assert_eq!(fixture.reason(2), Some(UnavailableReason::Operator), "it has not ended");
    assert!(gate.health().tasks().iter().any(|task| task.is_down()), "{:?}", gate.health().tasks());
    sleep(3 * MINUTE).await;

    assert_eq!(fixture.reason(2), None, "its end came while no time could be had");
    let restarts = fixture.restarts();
    for name in ["write_back", "override_expiry"] {
        let restarts = restarts.iter().find(|(own, _)| own == name).unwrap().1;
        // A tenth of a second at first, a minute at last: some 20 in ten minutes.
        assert!((1..40).contains(&restarts), "{name}: {restarts}");
    }
    fixture.works().await;
    sleep(20 * MINUTE).await;
    assert!(gate.status(&tenant(1)).is_confirmed(), "it is pulled again");
}

struct PanickingStore;

impl Store for PanickingStore {
    fn name(&self) -> String {
        "panicking".to_owned()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        panic!("load");
    }

    fn merge<'a>(
        &'a self,
        _: &'a TenantId,
        _: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        panic!("merge");
    }
}

#[tokio::test]
async fn store_that_panics_at_the_start_fails_the_build() {
    let built = TenantGate::builder(Environment::Production)
        .any_audience()
        .state_api(false)
        .key_url("http://127.0.0.1:1/keys".parse().unwrap())
        .store(PanickingStore)
        .start_without_store(true)
        .build()
        .await;
    let Err(BuildError::Store(error)) = built else { panic!("{built:?}") };
    assert!(error.to_string().contains("panicked"), "{error}");
}

/// A subscriber that does `then` with each event.
struct Then<F>(F);

impl<F: Fn() + 'static> Subscriber for Then<F>
where
    Self: Send + Sync,
{
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }
    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}
    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}
    fn event(&self, event: &Event<'_>) {
        if event.metadata().target().starts_with("tower_superoffice") {
            (self.0)();
        }
    }
    fn enter(&self, _: &span::Id) {}
    fn exit(&self, _: &span::Id) {}
}

/// Causes every log event once: notifications accepted and refused, outages, failed pulls, expiry.
async fn eventful_night(fixture: &Fixture) {
    let Fixture { simulator, store, gate, start, .. } = fixture;
    for (number, closed) in [(1, true), (2, false)] {
        assert_eq!(simulator.suspend(&tenant(number)).await.unwrap(), StatusCode::NO_CONTENT);
        assert_eq!(simulator.resume(&tenant(number)).await.unwrap(), StatusCode::NO_CONTENT);
        if closed {
            assert_eq!(simulator.upgrade(&tenant(number)).await.unwrap(), StatusCode::NO_CONTENT);
        }
        assert_eq!(fixture.reason(number), closed.then_some(UnavailableReason::Upgrading));
    }
    assert!(gate.check(&tenant(1)).is_err());
    gate.close_until(&tenant(3), "", *start + 5 * MINUTE).await.unwrap();
    store.set_available(false);
    gate.close(&tenant(4), "").await.unwrap_err();
    assert_eq!(
        simulator.suspend(&tenant(5)).await.unwrap(),
        StatusCode::SERVICE_UNAVAILABLE,
        "in force, and not stored"
    );
    assert_eq!(fixture.reason(5), Some(UnavailableReason::Suspended));
    simulator.state_api(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR));
    sleep(10 * MINUTE).await;
    simulator.state_api(Fault::None);
    store.set_available(true);
    sleep(20 * MINUTE).await;
    assert_eq!(gate.health().dirty(), 0);
    assert_eq!(fixture.reason(3), None);
    assert!(gate.status(&tenant(1)).is_confirmed());
    fixture.works().await;
}

#[tokio::test(start_paused = true)]
async fn panicking_subscriber_fails_no_request_and_no_task() {
    let fixture = Fixture::new().await;
    let panics = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&panics);
    let _guard = tracing::subscriber::set_default(Then(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        panic!("no space left on device");
    }));
    eventful_night(&fixture).await;
    assert!(panics.load(Ordering::Relaxed) > 20, "{panics:?}");
    assert!(fixture.restarts().iter().all(|(_, restarts)| *restarts == 0));
}

#[test]
fn subscriber_that_asks_the_gate_finds_nothing_locked() {
    let (tx, rx) = mpsc::channel();
    // On a thread of its own, since what is shown to be absent would hang.
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let fixture = Fixture::new().await;
            let (gate, seen) = (fixture.gate.clone(), Arc::new(Mutex::new(0)));
            let asked = Arc::clone(&seen);
            let asking = Then(move || {
                let _ = gate.snapshot();
                let _ = gate.health();
                let mut asked = asked.lock().unwrap();
                *asked += 1;
                // Each pull is logged, and would lead to the next.
                if *asked % 100 == 0 {
                    let _ = gate.refresh(&tenant(6)).now_or_never();
                }
            });
            let _guard = tracing::subscriber::set_default(asking);
            eventful_night(&fixture).await;
            tx.send(*seen.lock().unwrap()).unwrap();
        });
    });
    let asked: usize = rx.recv_timeout(MINUTE).expect("it got through");
    assert!(asked > 20, "{asked}");
}
