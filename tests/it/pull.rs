//! The pull side: lost, forged and late notifications heal, at a cost that SuperOffice would not mind.
//!
//! Gate and simulator share tokio's paused clock and talk without sockets, so days pass in a moment.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;
use futures::{FutureExt, StreamExt, future::BoxFuture, stream::BoxStream};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tokio::time::{Duration, Instant, sleep};
use tower::{ServiceExt, service_fn};
use tower_superoffice::{
    ChangeType, TenantEvent, TenantGate, TenantGateBuilder, TenantId, UnavailableReason,
    notification::EmptyBody,
    pull::{PullHealth, Schedule},
    simulator::{Fault, Simulator},
    status::{Evidence, Record, State},
    store::{MemoryStore, Store, StoreError},
    token::SigningKeys,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);

fn tenant(number: usize) -> TenantId {
    TenantId::new(format!("Cust{number}")).unwrap()
}

/// A clock that goes with tokio's.
fn clock() -> impl Fn() -> SystemTime + Clone + Send + Sync + 'static {
    let (start, began) =
        (SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000), Instant::now());
    move || start + began.elapsed()
}

struct World {
    simulator: Simulator,
    gate: TenantGate,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl World {
    async fn new() -> Self {
        Self::with(|builder| builder).await
    }

    async fn with(configure: impl FnOnce(TenantGateBuilder) -> TenantGateBuilder) -> Self {
        let clock = clock();
        let simulator = Simulator::builder().clock(clock.clone()).start().await.unwrap();
        simulator.notice(Duration::ZERO);
        let clock: Arc<dyn Fn() -> SystemTime + Send + Sync> = Arc::new(clock);
        let gate = configure(builder(&simulator, &clock)).build().await.unwrap();
        simulator.notify_service(gate.notification_service());
        Self { simulator, gate, clock }
    }

    /// Another gate on the same SuperOffice. Notifications go on to the first.
    async fn another(
        &self,
        configure: impl FnOnce(TenantGateBuilder) -> TenantGateBuilder,
    ) -> TenantGate {
        configure(builder(&self.simulator, &self.clock)).build().await.unwrap()
    }

    fn pulls(&self) -> PullHealth {
        self.gate.health().pulls().unwrap().clone()
    }

    fn reason(&self, tenant: &TenantId) -> Option<UnavailableReason> {
        self.gate.status(tenant).reason()
    }
}

fn builder(
    simulator: &Simulator,
    clock: &Arc<dyn Fn() -> SystemTime + Send + Sync>,
) -> TenantGateBuilder {
    let clock = Arc::clone(clock);
    TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).unwrap())
        .client(simulator.network())
        .clock(move || clock())
}

/// How long `future` takes, if it takes at most `bound`.
async fn within(bound: Duration, future: impl Future) -> Duration {
    let start = Instant::now();
    let done = tokio::time::timeout(bound, future).await;
    assert!(done.is_ok(), "it took longer than {bound:?}");
    start.elapsed()
}

#[tokio::test(start_paused = true)]
async fn lost_resume_heals_within_the_longest_step() {
    use UnavailableReason::{Deleted, Suspended, Upgrading};
    for (closes, reason, bound) in [
        (Simulator::upgrade as fn(&Simulator, &TenantId) -> _, Upgrading, MINUTE),
        (Simulator::suspend, Suspended, 15 * MINUTE),
        (Simulator::delete, Deleted, 6 * HOUR),
    ] {
        for closed_for in [Duration::from_secs(200), 5 * HOUR] {
            let world = World::new().await;
            let one = tenant(1);
            let mut events = world.gate.events();
            assert_eq!(closes(&world.simulator, &one).await.unwrap(), StatusCode::NO_CONTENT);
            sleep(closed_for).await;
            assert_eq!(world.reason(&one), Some(reason));
            assert!(world.gate.status(&one).is_confirmed());

            world.simulator.resume(&one).without_notification();
            within(bound, world.gate.available(&one)).await;
            let status = world.gate.status(&one);
            assert_eq!((status.evidence(), status.is_confirmed()), (Evidence::StateApi, true));

            let pulls = world.pulls();
            let [(Some(ChangeType::Resume), corrected)] = pulls.corrected[..] else {
                panic!("{pulls:?}")
            };
            assert_eq!(corrected.count, 1);
            assert!(corrected.last.unwrap() <= bound, "{corrected:?}");
            let corrected = events
                .by_ref()
                .take(3)
                .filter(|event| {
                    let found = matches!(event, TenantEvent::Corrected { status, correction, .. }
                        if status.is_available() && correction.missed == Some(ChangeType::Resume));
                    async move { found }
                })
                .count();
            assert_eq!(corrected.await, 1);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn lost_resume_before_the_first_pull_heals() {
    let world = World::new().await;
    world.simulator.upgrade(&tenant(1)).await.unwrap();
    sleep(Duration::from_secs(30)).await;
    world.simulator.resume(&tenant(1)).without_notification();
    let took = within(16 * MINUTE, world.gate.available(&tenant(1))).await;
    assert!(took >= Duration::from_secs(869), "it was believed too early, after {took:?}");
    assert!(took <= Duration::from_secs(871), "the end of the settle time was missed: {took:?}");
}

#[tokio::test(start_paused = true)]
async fn open_tenant_is_pulled_once_when_settled() {
    let world = World::new().await;
    world.simulator.suspend(&tenant(1)).await.unwrap();
    sleep(Duration::from_secs(10)).await;
    world.simulator.resume(&tenant(1)).await.unwrap();
    assert_eq!(world.simulator.all_state_requests(), 0);
    sleep(MINUTE + Duration::from_secs(1)).await;
    assert_eq!(world.simulator.all_state_requests(), 1);
    sleep(100 * HOUR).await;
    assert_eq!(world.simulator.all_state_requests(), 1);
    assert!(world.pulls().corrected.is_empty());
}

#[tokio::test(start_paused = true)]
async fn state_api_lag_below_the_settle_time_flaps_nothing() {
    let world = World::new().await;
    world.simulator.state_api_lag(Duration::from_secs(59));
    let one = tenant(1);
    let mut events = world.gate.events();
    for _ in 0..6 {
        world.simulator.suspend(&one).await.unwrap();
        // Looks out of turn are what could make it flap.
        for _ in 0..100 {
            world.gate.recheck(&one);
            sleep(Duration::from_secs(7)).await;
            assert_eq!(world.reason(&one), Some(UnavailableReason::Suspended));
        }
        world.simulator.resume(&one).await.unwrap();
        for _ in 0..100 {
            world.gate.recheck(&one);
            sleep(Duration::from_secs(7)).await;
            assert_eq!(world.reason(&one), None);
        }
    }
    assert!(world.simulator.all_state_requests() > 1000);
    assert!(world.pulls().corrected.is_empty());
    let mut changes = 0;
    while let Some(Some(event)) = events.next().now_or_never() {
        assert!(matches!(event, TenantEvent::Changed { .. }), "{event:?}");
        changes += 1;
    }
    assert_eq!(changes, 12);
}

#[tokio::test(start_paused = true)]
async fn upgrade_announced_long_before_keeps_the_tenant_closed() {
    let world = World::new().await;
    let one = tenant(1);
    world.simulator.notify(ChangeType::Upgrade, &one).await.unwrap();
    for second in 0..880 {
        if second == 800 {
            world.simulator.set_state(&one, State::OfflineMaintenance);
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(world.reason(&one), Some(UnavailableReason::Upgrading), "after {second} s");
    }
    world.simulator.resume(&one).without_notification();
    within(MINUTE, world.gate.available(&one)).await;
}

#[tokio::test(start_paused = true)]
async fn untrue_notification_is_corrected_when_settled() {
    let world = World::new().await;
    let (one, two) = (tenant(1), tenant(2));
    world.simulator.suspend(&one).await.unwrap();
    sleep(HOUR).await;

    // Verified, and untrue: whoever holds a token can say anything with it.
    world.simulator.notify(ChangeType::Resume, &one).await.unwrap();
    world.simulator.notify(ChangeType::Suspend, &two).await.unwrap();
    // A look before that tells the truth, and does not count yet.
    world.gate.recheck(&one);
    world.gate.recheck(&two);
    sleep(Duration::from_secs(59)).await;
    assert_eq!(world.reason(&one), None);
    assert_eq!(world.reason(&two), Some(UnavailableReason::Suspended));
    sleep(Duration::from_secs(2)).await;
    assert_eq!(world.reason(&one), Some(UnavailableReason::Suspended));
    assert_eq!(world.reason(&two), None);
    assert_eq!(world.pulls().corrected.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn upgrade_burst_keeps_to_the_limit_and_opens_every_tenant() {
    const TENANTS: usize = 10_000;
    let world = World::new().await;
    for number in 0..TENANTS {
        let told = world.simulator.upgrade(&tenant(number)).await;
        assert_eq!(told.unwrap(), StatusCode::NO_CONTENT);
    }
    assert_eq!(world.gate.health().closed(), TENANTS);
    let told = Instant::now();
    // Nobody is told that it is over.
    let over = told + Duration::from_secs(300);
    let bound = Duration::from_secs(900 + 60 + TENANTS as u64 / 10);
    let (mut asked, mut most) = (world.simulator.all_state_requests(), 0);
    while world.gate.health().closed() > 0 {
        assert!(told.elapsed() <= bound, "{} are closed", world.gate.health().closed());
        if Instant::now() == over {
            (0..TENANTS)
                .for_each(|number| world.simulator.resume(&tenant(number)).without_notification());
        }
        // Health counts what waits, among ten thousand: it is asked for less often.
        for _ in 0..20 {
            sleep(Duration::from_millis(500)).await;
            let now = world.simulator.all_state_requests();
            most = most.max(now - asked);
            asked = now;
        }
    }
    assert!(most <= 10, "{most} within half a second");
    assert!(asked <= 10 * (told.elapsed().as_secs() + 2), "{asked} in {:?}", told.elapsed());
    assert!(told.elapsed() > Duration::from_secs(900), "the state API was believed too early");
    let pulls = world.pulls();
    assert_eq!(pulls.answered, asked);
    assert_eq!((pulls.failed, pulls.silent, pulls.left), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn health_shows_waiting_pulls_and_the_oldest() {
    let world = World::with(|builder| builder.schedule(Schedule::new().pulls_per_second(1))).await;
    world.gate.track((0..100).map(tenant));
    sleep(Duration::from_millis(10_500)).await;
    let pulls = world.pulls();
    assert_eq!(pulls.answered, 11);
    assert_eq!(pulls.waiting, 89);
    assert_eq!(pulls.oldest, Duration::from_millis(10_500));
    // Evidence does not wait behind them.
    world.gate.recheck(&tenant(999));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(world.simulator.state_requests(&tenant(999)), 1);
    sleep(100 * MINUTE).await;
    let pulls = world.pulls();
    assert_eq!((pulls.waiting, pulls.oldest, pulls.under_way), (0, Duration::ZERO, 0));
    assert_eq!(pulls.answered, 101);
}

#[tokio::test(start_paused = true)]
async fn state_api_fault_changes_no_tenant_and_heals_after_it() {
    let faults = [
        Fault::Hang,
        Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
        Fault::Status(StatusCode::NOT_FOUND),
        Fault::Status(StatusCode::SERVICE_UNAVAILABLE),
        Fault::Redirect("https://evil.example/".to_owned()),
        Fault::Html,
        Fault::Oversized,
        Fault::Empty,
        Fault::Unknown,
        Fault::Json(r#"{"ContextIdentifier":"Cust9","State":"Running","IsRunning":true}"#.into()),
        Fault::Json(r#"{"ContextIdentifier":"Cust1","State":"Running","IsRunning":false}"#.into()),
        Fault::Json(r#"{"ContextIdentifier":"Cust1","State":"Suspended","IsRunning":true}"#.into()),
    ];
    for fault in faults {
        let world = World::new().await;
        world.simulator.suspend(&tenant(1)).await.unwrap();
        world.simulator.suspend(&tenant(2)).await.unwrap();
        world.simulator.resume(&tenant(2)).await.unwrap();
        world.simulator.state_api(fault.clone());
        sleep(HOUR).await;
        assert_eq!(world.reason(&tenant(1)), Some(UnavailableReason::Suspended), "{fault:?}");
        assert_eq!(world.reason(&tenant(2)), None, "{fault:?}");
        let pulls = world.pulls();
        assert_eq!(pulls.answered, 0, "{fault:?}");
        // A failing state API is not hammered: backed off to 2.5 to 5 min a tenant.
        assert!(pulls.failed + pulls.silent > 10, "{fault:?} {pulls:?}");
        assert!(pulls.failed + pulls.silent < 100, "{fault:?} {pulls:?}");

        world.simulator.state_api(Fault::None);
        world.simulator.resume(&tenant(1)).without_notification();
        let longest = if fault == Fault::Unknown { 15 * MINUTE } else { 5 * MINUTE };
        // A look that hangs may be under way.
        within(longest + Duration::from_secs(6), world.gate.available(&tenant(1))).await;
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_delays_all_pulls() {
    let world = World::new().await;
    world.gate.track((0..1000).map(tenant));
    world.simulator.state_api(Fault::TooManyRequests(120));
    sleep(Duration::from_secs(119)).await;
    // Those that were under way when the first answer came.
    let asked = world.simulator.all_state_requests();
    assert!(asked <= 10, "{asked}");
    world.simulator.state_api(Fault::None);
    world.gate.recheck(&tenant(1001));
    sleep(Duration::from_millis(500)).await;
    assert_eq!(world.simulator.all_state_requests(), asked);
    sleep(Duration::from_secs(200)).await;
    assert!(world.simulator.all_state_requests() >= 1001);
    assert_eq!(world.simulator.state_requests(&tenant(1001)), 1);
}

#[tokio::test(start_paused = true)]
async fn notification_without_a_status_is_pulled_at_once() {
    let world = World::new().await;
    let (one, two, three) = (tenant(1), tenant(2), tenant(3));
    world.simulator.restore(&one).await.unwrap();
    world.simulator.move_tenant(&two).await.unwrap();
    world.simulator.set_state(&three, State::MigrationPending);
    world.simulator.notify(ChangeType::Other(17), &three).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    for tenant in [&one, &two, &three] {
        assert_eq!(world.simulator.state_requests(tenant), 1, "{tenant}");
    }
    let home = world.simulator.hosts()[1].authority().unwrap().as_str();
    assert_eq!(world.gate.status(&two).endpoint(), Some(home));
    assert_eq!(world.gate.endpoint(&two).unwrap().authority().unwrap().as_str(), home);
    assert_eq!(world.reason(&three), Some(UnavailableReason::NotReady));
    assert_ne!(world.gate.status(&one).epoch(), 0);

    // An answer is owed: one that does not come is asked for again.
    world.simulator.state_api(Fault::Hang);
    world.simulator.restore(&one).await.unwrap();
    sleep(3 * MINUTE).await;
    world.simulator.state_api(Fault::None);
    let failed = world.simulator.state_requests(&one);
    assert!(failed > 3, "{failed}");
    sleep(HOUR).await;
    assert_eq!(world.simulator.state_requests(&one), failed + 1);
}

#[tokio::test(start_paused = true)]
async fn unverifiable_notification_is_pulled_within_a_bound() {
    let clock = clock();
    let simulator = Simulator::builder().clock(clock.clone()).start().await.unwrap();
    simulator.key_server(Fault::Status(StatusCode::BAD_GATEWAY));
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .client(simulator.network())
        .clock(clock)
        .build()
        .await
        .unwrap();
    simulator.notify_service(gate.notification_service());
    let answer = simulator.suspend(&tenant(1)).await.unwrap();
    assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE);
    sleep(Duration::from_secs(2)).await;
    simulator.suspend(&tenant(2)).without_notification();
    assert_eq!(gate.status(&tenant(2)).reason(), None);
    // The first look may have come before the tenant went down; this one tells.
    assert_eq!(simulator.notify(ChangeType::Suspend, &tenant(2)).await.unwrap(), answer);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(gate.status(&tenant(2)).reason(), Some(UnavailableReason::Suspended));

    // A flood of them is cut, and worked off one a second: the rest of the pulls are for others.
    let before = simulator.all_state_requests();
    let asked = || simulator.all_state_requests() - before;
    for number in 0..2000 {
        simulator.notify(ChangeType::Suspend, &tenant(number)).await.unwrap();
    }
    sleep(Duration::from_secs(30)).await;
    assert!((20..=31).contains(&asked()), "{}", asked());
    sleep(HOUR).await;
    assert!((100..400).contains(&asked()), "{}", asked());
}

#[tokio::test(start_paused = true)]
async fn tracked_tenants_are_pulled_until_answered() {
    let world = World::new().await;
    world.simulator.suspend(&tenant(7)).without_notification();
    world.simulator.state_api(Fault::Unknown);
    world.gate.track((0..50).map(tenant));
    sleep(MINUTE).await;
    assert_eq!(world.gate.health().closed(), 0);
    world.simulator.state_api(Fault::None);
    sleep(2 * MINUTE).await;
    assert_eq!(world.reason(&tenant(7)), Some(UnavailableReason::Suspended));
    assert_eq!(world.gate.health().closed(), 1);
    let asked = world.simulator.state_requests(&tenant(8));
    sleep(HOUR).await;
    assert_eq!(world.simulator.state_requests(&tenant(8)), asked, "it is open: no more looks");
    // That was the first that was heard of it, not a correction.
    assert!(world.pulls().corrected.is_empty());
}

#[tokio::test(start_paused = true)]
async fn tracked_tenants_stay_closed_until_the_first_answer() {
    let world = World::with(|builder| builder.close_tracked_until_known()).await;
    world.simulator.state_api(Fault::Hang);
    world.simulator.suspend(&tenant(3)).without_notification();
    world.gate.track((0..10).map(tenant));
    for number in 0..10 {
        assert_eq!(world.reason(&tenant(number)), Some(UnavailableReason::NotReady));
        let closed = world.gate.check(&tenant(number)).unwrap_err();
        assert!(closed.retry_after().is_some());
    }
    assert_eq!(world.reason(&tenant(11)), None);
    sleep(10 * MINUTE).await;
    assert_eq!(world.gate.health().closed(), 10);
    world.simulator.state_api(Fault::None);
    // The longest back-off, and the end of a look that hangs.
    within(5 * MINUTE + Duration::from_secs(6), world.gate.available(&tenant(1))).await;
    sleep(5 * MINUTE + Duration::from_secs(6)).await;
    assert_eq!(world.gate.health().closed(), 1);
    assert_eq!(world.reason(&tenant(3)), Some(UnavailableReason::Suspended));
}

#[tokio::test(start_paused = true)]
async fn closed_tenant_has_a_retry_after() {
    let world = World::new().await;
    for (closes, at_most) in
        [(world.simulator.upgrade(&tenant(1)), 61), (world.simulator.suspend(&tenant(2)), 61)]
    {
        closes.await.unwrap();
        let tenant =
            tenant(if at_most == 61 && world.reason(&tenant(2)).is_none() { 1 } else { 2 });
        let closed = world.gate.check(&tenant).unwrap_err();
        let wait = closed.retry_after().unwrap();
        assert!(
            wait <= Duration::from_secs(at_most) && wait >= Duration::from_secs(59),
            "{wait:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn replicas_share_one_pull() {
    let store = MemoryStore::new();
    let world = World::with(|builder| builder.store(store.clone())).await;
    let other = world.another(|builder| builder.store(store.clone())).await;
    let one = tenant(1);
    world.simulator.suspend(&one).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(other.status(&one).reason(), Some(UnavailableReason::Suspended));
    sleep(MINUTE).await;
    assert_eq!(world.simulator.state_requests(&one), 1, "one look at the end of the settle time");
    assert!(other.status(&one).is_confirmed());
    assert_eq!(other.status(&one), world.gate.status(&one));

    sleep(10 * HOUR).await;
    let asked = world.simulator.state_requests(&one);
    // A lone gate looks every 7.5 to 15 min: two that did not agree would do so twice as often.
    assert!((40..=95).contains(&asked), "{asked}");
    world.simulator.resume(&one).without_notification();
    within(16 * MINUTE, world.gate.available(&one)).await;
    within(Duration::from_secs(1), other.available(&one)).await;
    let left = world.pulls().left + other.health().pulls().unwrap().left;
    assert!(left > 0, "nothing was left to the other");
}

#[tokio::test(start_paused = true)]
async fn pull_is_made_after_the_lease_holder_died() {
    let store = Arc::new(Claimed { inner: MemoryStore::new(), claims: AtomicU32::new(0) });
    let world = World::with(|builder| builder.store(Arc::clone(&store))).await;
    world.simulator.suspend(&tenant(1)).await.unwrap();
    sleep(MINUTE + Duration::from_secs(9)).await;
    assert_eq!(world.simulator.all_state_requests(), 0);
    // The other claimed it and died: its right ends after 10 s.
    sleep(Duration::from_secs(8)).await;
    assert_eq!(world.simulator.all_state_requests(), 1);
    assert_eq!(world.pulls().left, 1);
}

#[tokio::test(start_paused = true)]
async fn pulls_delayed_by_a_slow_store_keep_to_the_limit() {
    let store = Arc::new(Claimed { inner: MemoryStore::new(), claims: AtomicU32::new(SLOW) });
    let world = World::with(|builder| builder.store(Arc::clone(&store))).await;
    world.gate.track((0..100).map(tenant));
    let mut asked = Vec::new();
    while asked.last() != Some(&100) {
        sleep(Duration::from_millis(50)).await;
        asked.push(world.simulator.all_state_requests());
        assert!(asked.len() < 20 * 30, "{asked:?}");
    }
    for second in asked.windows(20) {
        assert!(second[19] - second[0] <= 10, "{asked:?}");
    }
}

/// From this number of claims on they are granted, the first ten of them late.
const SLOW: u32 = 1000;

/// A store whose first claim somebody else holds.
#[derive(Debug)]
struct Claimed {
    inner: MemoryStore,
    claims: AtomicU32,
}

impl Store for Claimed {
    fn name(&self) -> String {
        self.inner.name()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        self.inner.load()
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        self.inner.merge(tenant, record)
    }

    fn try_lease<'a>(
        &'a self,
        _: &'a TenantId,
        _: Duration,
    ) -> BoxFuture<'a, Result<bool, StoreError>> {
        match self.claims.fetch_add(1, Ordering::Relaxed) {
            0 => std::future::ready(Ok(false)).boxed(),
            1 => std::future::ready(Ok(true)).boxed(),
            2 => std::future::pending().boxed(),
            late @ SLOW.. => {
                let late = if late < SLOW + 10 { 950 } else { 0 };
                sleep(Duration::from_millis(late)).map(|()| Ok(true)).boxed()
            }
            _ => panic!("a store may do that"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn hanging_or_panicking_store_or_client_stops_no_pull() {
    let store = Arc::new(Claimed { inner: MemoryStore::new(), claims: AtomicU32::new(1) });
    let world = World::with(|builder| builder.store(Arc::clone(&store))).await;
    world.simulator.suspend(&tenant(1)).await.unwrap();
    sleep(5 * HOUR).await;
    let pulls = world.pulls();
    // The claim that hangs is not waited for, and each one that panics is a look that failed.
    assert_eq!(pulls.answered, 2);
    assert!(pulls.failed > 20, "{pulls:?}");
    assert_eq!(world.reason(&tenant(1)), Some(UnavailableReason::Suspended));

    let calls = Arc::new(AtomicU32::new(0));
    let (count, network) = (Arc::clone(&calls), world.simulator.network());
    let client = service_fn(move |request: Request<EmptyBody>| {
        assert!(count.fetch_add(1, Ordering::Relaxed) > 3, "a client may do that");
        network.clone().oneshot(request)
    });
    let other = world.another(|builder| builder.client(client)).await;
    other.track([tenant(1)]);
    sleep(HOUR).await;
    assert_eq!(other.status(&tenant(1)).reason(), Some(UnavailableReason::Suspended));
    assert!(calls.load(Ordering::Relaxed) > 4);
}

#[tokio::test(start_paused = true)]
async fn pulls_continue_after_a_restart() {
    let store = Arc::new(MemoryStore::new());
    let world = World::with(|builder| builder.store(Arc::clone(&store))).await;
    world.simulator.suspend(&tenant(1)).await.unwrap();
    world.simulator.upgrade(&tenant(2)).await.unwrap();
    sleep(HOUR).await;
    let World { simulator, gate, clock } = world;
    simulator.notify_service(service_fn(|_: Request<_>| async {
        Ok::<_, std::convert::Infallible>(Response::new(Full::<Bytes>::default()))
    }));
    drop(gate);
    simulator.resume(&tenant(1)).without_notification();
    simulator.resume(&tenant(2)).without_notification();
    let before = simulator.all_state_requests();
    sleep(HOUR).await;
    assert_eq!(simulator.all_state_requests(), before, "a gate that is gone asks nothing");

    let gate = builder(&simulator, &clock).store(store).build().await.unwrap();
    assert_eq!(gate.status(&tenant(1)).reason(), Some(UnavailableReason::Suspended));
    // Nothing is timed from before the restart: the first pulls are spread over the first step.
    within(Duration::from_secs(16), gate.available(&tenant(2))).await;
    within(5 * MINUTE + Duration::from_secs(1), gate.available(&tenant(1))).await;
}

#[tokio::test(start_paused = true)]
async fn override_masks_the_status_and_stops_no_pull() {
    let world = World::new().await;
    let one = tenant(1);
    world.simulator.suspend(&one).await.unwrap();
    world.gate.open(&one, "we know better").await.unwrap();
    sleep(HOUR).await;
    assert!(world.simulator.state_requests(&one) >= 4);
    world.simulator.resume(&one).without_notification();
    sleep(16 * MINUTE).await;
    world.gate.close(&one, "not yet").await.unwrap();
    assert_eq!(world.reason(&one), Some(UnavailableReason::Operator));
    world.gate.release(&one, "").await.unwrap();
    assert_eq!(world.reason(&one), None, "the truth was learnt meanwhile");
}

#[tokio::test(start_paused = true)]
async fn state_api_off_sends_no_request() {
    let refuse = service_fn(|_: Request<EmptyBody>| async {
        Err::<Response<Full<Bytes>>, _>(io::Error::other("nothing may be asked"))
    });
    let world = World::with(|builder| builder.client(refuse).state_api(false)).await;
    world.simulator.suspend(&tenant(1)).await.unwrap();
    world.gate.recheck(&tenant(1));
    world.gate.track([tenant(2)]);
    sleep(100 * HOUR).await;
    assert_eq!(world.simulator.all_state_requests(), 0);
    assert_eq!(world.gate.health().pulls(), None);
    assert_eq!(world.reason(&tenant(1)), Some(UnavailableReason::Suspended));
}
