//! No clock decides: wall clocks that differ, jump and are set, and processes that restart.
//!
//! Gates and simulator share tokio's paused clock; each gate's wall clock is that, and some offset
//! which a test sets.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use harness::{Clock, amount, gate_builder_on, simulator_on, tenant, tokio_clock};
use http::{HeaderValue, Request, StatusCode, header};
use tokio::time::{Duration, Instant, sleep};
use tower::{ServiceExt, service_fn};
use tower_superoffice::{
    ChangeType, TenantGate, TenantGateBuilder, UnavailableReason,
    notification::EmptyBody,
    simulator::{Fault, Simulator},
    store::MemoryStore,
};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
const SUSPENDED: Option<UnavailableReason> = Some(UnavailableReason::Suspended);

/// SuperOffice, and the true time.
struct TimeEnv {
    simulator: Simulator,
    clock: Clock,
}

/// By how many seconds a gate's wall clock is ahead.
#[derive(Clone, Default)]
struct Offset(Arc<AtomicI64>);

impl Offset {
    fn set(&self, seconds: i64) {
        self.0.store(seconds, Ordering::SeqCst);
    }
}

impl TimeEnv {
    async fn new() -> Self {
        let clock = tokio_clock();
        Self { simulator: simulator_on(&clock).await, clock }
    }

    fn builder(&self, offset: &Offset) -> TenantGateBuilder {
        let (clock, offset) = (Arc::clone(&self.clock), offset.clone());
        let wall: Clock = Arc::new(move || {
            let (now, offset) = (clock(), offset.0.load(Ordering::SeqCst));
            let step = Duration::from_secs(offset.unsigned_abs());
            if offset < 0 { now - step } else { now + step }
        });
        gate_builder_on(&self.simulator, &wall)
    }

    async fn gate(&self, offset: &Offset) -> TenantGate {
        let gate = self.builder(offset).build().await.unwrap();
        self.simulator.notify_service(gate.notification_service());
        gate
    }

    fn requests(&self) -> u64 {
        self.simulator.all_state_requests()
    }
}

fn reason(gate: &TenantGate) -> Option<UnavailableReason> {
    gate.status(&tenant("Cust1")).reason()
}

#[tokio::test(start_paused = true)]
async fn replica_that_runs_ahead_opens_no_suspended_tenant() {
    let rounds = amount("ROUNDS", 20, 50);
    for (ahead, takes) in [(55, 0), (55, 1), (200, 0), (200, 1), (7_200, 0)] {
        let (env, store) = (TimeEnv::new().await, MemoryStore::new());
        env.simulator.state_api_lag(Duration::from_secs(10));
        let (right, wrong) = (Offset::default(), Offset::default());
        wrong.set(ahead);
        let build = |offset: &Offset| env.builder(offset).store(store.clone()).build();
        let gates = [build(&right).await.unwrap(), build(&wrong).await.unwrap()];
        env.simulator.notify_service(gates[takes].notification_service());
        for number in 0..rounds {
            let answer = env.simulator.suspend(&tenant("Cust1")).await.unwrap();
            assert_eq!(answer, StatusCode::NO_CONTENT);
            for second in 0..130 {
                // Requested pulls within the lag are what could open it.
                if second < 15 {
                    gates[second % 2].refresh(&tenant("Cust1")).await.unwrap();
                }
                sleep(Duration::from_secs(1)).await;
                let reasons = gates.each_ref().map(reason);
                assert_eq!(
                    reasons, [SUSPENDED; 2],
                    "{ahead} s ahead, Suspend {number}, {second} s"
                );
            }
            if number + 1 < rounds {
                env.simulator.resume(&tenant("Cust1")).await.unwrap();
                sleep(100 * MINUTE / 60).await;
                assert_eq!(gates.each_ref().map(reason), [None; 2]);
            }
        }
        sleep(48 * HOUR).await;
        assert_eq!(gates.each_ref().map(reason), [SUSPENDED; 2], "{ahead} s ahead");
    }
}

#[tokio::test(start_paused = true)]
async fn suspend_after_the_clock_was_set_back_closes_for_good() {
    let (env, offset) = (TimeEnv::new().await, Offset::default());
    let gate = env.gate(&offset).await;
    env.simulator.suspend(&tenant("Cust1")).await.unwrap();
    sleep(10 * MINUTE).await;
    env.simulator.resume(&tenant("Cust1")).await.unwrap();
    sleep(2 * MINUTE).await;
    assert_eq!(reason(&gate), None);
    offset.set(-65);
    assert_eq!(env.simulator.suspend(&tenant("Cust1")).await.unwrap(), StatusCode::NO_CONTENT);
    assert_eq!(reason(&gate), SUSPENDED);
    sleep(48 * HOUR).await;
    assert_eq!(reason(&gate), SUSPENDED);
}

#[tokio::test(start_paused = true)]
async fn pull_made_while_the_clock_was_a_day_ahead_does_no_harm() {
    let (env, offset) = (TimeEnv::new().await, Offset::default());
    let gate = env.gate(&offset).await;
    offset.set(86_400);
    env.simulator.suspend(&tenant("Cust1")).without_notification();
    gate.refresh(&tenant("Cust1")).await.unwrap();
    assert_eq!(reason(&gate), SUSPENDED);
    offset.set(0);
    env.simulator.resume(&tenant("Cust1")).without_notification();
    sleep(16 * MINUTE).await;
    assert_eq!(reason(&gate), None, "pulls went on");
    env.simulator.suspend(&tenant("Cust1")).await.unwrap();
    sleep(10 * MINUTE).await;
    assert_eq!(reason(&gate), SUSPENDED);
}

#[tokio::test(start_paused = true)]
async fn clock_steps_neither_stop_pulls_nor_make_them_hammer() {
    for step in [3_600, -3_600] {
        let (env, offset) = (TimeEnv::new().await, Offset::default());
        let gate = env.gate(&offset).await;
        env.simulator.suspend(&tenant("Cust1")).await.unwrap();
        env.simulator.state_api(Fault::Hang);
        gate.track([tenant("Cust1")]);
        sleep(MINUTE).await;
        let mut answered = 0;
        // Steps while a pull hangs, while one waits out a back-off, and while one is scheduled.
        for round in 0..12 {
            offset.set(if round % 2 == 0 { step } else { 0 });
            if round == 4 {
                env.simulator.state_api(Fault::None);
            }
            if round % 5 == 0 {
                let _ = gate.refresh(&tenant("Cust1")).await;
            }
            let before = env.requests();
            sleep(10 * MINUTE).await;
            let made = env.requests() - before;
            assert!(made <= 20, "{step} s, round {round}: {made} in 10 minutes");
            answered += if round > 4 { made } else { 0 };
            assert_eq!(reason(&gate), SUSPENDED);
        }
        assert!(answered >= 70 / 15, "{step} s: {answered} in 70 minutes");
        env.simulator.resume(&tenant("Cust1")).without_notification();
        offset.set(step);
        let healed = tokio::time::timeout(16 * MINUTE, gate.available(&tenant("Cust1"))).await;
        assert!(matches!(healed, Ok(Ok(()))), "{step} s: a lost Resume did not heal");
    }
}

#[tokio::test(start_paused = true)]
async fn restarts_shorter_than_the_settle_time_heal_a_lost_resume() {
    for life in [15, 40] {
        let (env, store, offset) = (TimeEnv::new().await, MemoryStore::new(), Offset::default());
        let build = || env.builder(&offset).store(store.clone()).build();
        let mut gate = build().await.unwrap();
        env.simulator.notify_service(gate.notification_service());
        env.simulator.suspend(&tenant("Cust1")).await.unwrap();
        env.simulator.resume(&tenant("Cust1")).without_notification();
        let lost = Instant::now();
        while reason(&gate).is_some() {
            sleep(Duration::from_secs(life)).await;
            drop(gate);
            gate = build().await.unwrap();
            assert!(lost.elapsed() < 15 * MINUTE, "{life} s a life: still closed");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn one_wrong_running_answer_is_corrected_within_two_minutes() {
    let (env, offset) = (TimeEnv::new().await, Offset::default());
    let gate = env.gate(&offset).await;
    env.simulator.suspend(&tenant("Cust1")).await.unwrap();
    sleep(HOUR).await;
    let wrong = r#"{"ContextIdentifier":"Cust1","State":"Running","IsRunning":true}"#;
    env.simulator.state_api(Fault::Json(wrong.into()));
    gate.available(&tenant("Cust1")).await.unwrap();
    env.simulator.state_api(Fault::None);
    sleep(2 * MINUTE).await;
    assert_eq!(reason(&gate), SUSPENDED);
    // One that was right is watched for a while, and then left alone.
    env.simulator.resume(&tenant("Cust1")).without_notification();
    gate.available(&tenant("Cust1")).await.unwrap();
    sleep(HOUR).await;
    let made = env.requests();
    sleep(48 * HOUR).await;
    assert_eq!((env.requests(), reason(&gate)), (made, None));
}

#[tokio::test(start_paused = true)]
async fn repeated_notices_put_off_a_correction_for_two_settle_times() {
    let (env, offset) = (TimeEnv::new().await, Offset::default());
    let gate = env.gate(&offset).await;
    // The tenant runs; a sender with valid tokens says otherwise, again and again.
    let mut opened = None;
    for second in 0..200 {
        if second % 5 == 0 {
            env.simulator.notify(ChangeType::Suspend, &tenant("Cust1")).await.unwrap();
        }
        sleep(Duration::from_secs(1)).await;
        if opened.is_none() && reason(&gate).is_none() {
            opened = Some(second);
        }
    }
    assert!(opened.is_some_and(|second| (100..=140).contains(&second)), "{opened:?}");
}

#[tokio::test(start_paused = true)]
async fn health_shows_how_far_the_clock_is_off() {
    let (env, offset) = (TimeEnv::new().await, Offset::default());
    let (network, clock) = (env.simulator.network(), Arc::clone(&env.clock));
    let client = service_fn(move |request: Request<EmptyBody>| {
        let date = httpdate::fmt_http_date(clock());
        let answer = network.clone().oneshot(request);
        async move {
            let mut answer = answer.await?;
            answer.headers_mut().insert(header::DATE, HeaderValue::from_str(&date).unwrap());
            Ok::<_, tower::BoxError>(answer)
        }
    });
    let gate = env.builder(&offset).client(client).build().await.unwrap();
    assert_eq!(gate.health().clock_offset(), None);
    for ahead in [0, 55, -65] {
        offset.set(ahead);
        gate.refresh(&tenant("Cust1")).await.unwrap();
        assert_eq!(gate.health().clock_offset(), Some(ahead));
    }
}
