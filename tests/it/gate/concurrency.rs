//! Notifications and calls at once: once a closing notification is answered, no call gets through.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_superoffice::{
    ChangeType, GuardError, TenantGate, TenantId, UnavailableReason, simulator::Simulator,
    token::SigningKeys,
};

const TENANTS: u64 = 16;
/// Notifications a tenant, alternately Suspend and Resume.
const TURNS: u64 = 120;
/// Calls a tenant at the least; more when the notifications take longer.
const CALLS: u64 = 520;

/// What a tenant's notifier has been told: `3 * turn` while a notification is on its way, then +1
/// when the tenant is closed and answered for, +2 when it is open.
type Phase = AtomicU64;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_passes_after_the_204_of_a_closing() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let simulator = Simulator::builder().clock(move || now).start().await.unwrap();
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).unwrap())
        .state_api(false)
        .clock(move || now)
        .build()
        .await
        .unwrap();

    let judged = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for number in 0..TENANTS {
        let tenant = TenantId::new(format!("Cust{number}")).unwrap();
        let (phase, done) = (Arc::new(Phase::new(0)), Arc::new(AtomicBool::new(false)));
        tasks.push(tokio::spawn(notify(
            simulator.clone(),
            gate.clone(),
            tenant.clone(),
            Arc::clone(&phase),
            Arc::clone(&done),
        )));
        for _ in 0..2 {
            tasks.push(tokio::spawn(call(
                gate.clone(),
                tenant.clone(),
                Arc::clone(&phase),
                Arc::clone(&done),
                Arc::clone(&judged),
            )));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    // The test has teeth only if calls did fall between two notifications, in both states.
    assert!(judged.load(Ordering::Relaxed) > TENANTS * TURNS, "{judged:?} calls could be judged");
}

async fn notify(
    simulator: Simulator,
    gate: TenantGate,
    tenant: TenantId,
    phase: Arc<Phase>,
    done: Arc<AtomicBool>,
) {
    for turn in 1..=TURNS {
        let closes = turn % 2 == 1;
        let change = if closes { ChangeType::Suspend } else { ChangeType::Resume };
        let second = 1_800_000_000 - i64::try_from(TURNS - turn).unwrap();
        let notification = simulator.notification(change, &tenant).issued_at(second);
        let request = Request::post("/").body(Full::new(notification.body())).unwrap();
        phase.store(3 * turn, Ordering::SeqCst);
        let response = gate.notification_service().oneshot(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::NO_CONTENT);
        phase.store(3 * turn + if closes { 1 } else { 2 }, Ordering::SeqCst);
        tokio::task::yield_now().await;
    }
    done.store(true, Ordering::SeqCst);
}

async fn call(
    gate: TenantGate,
    tenant: TenantId,
    phase: Arc<Phase>,
    done: Arc<AtomicBool>,
    judged: Arc<AtomicU64>,
) {
    let client =
        service_fn(async |_: Request<Empty<Bytes>>| Ok::<_, Infallible>(Response::new(())));
    let mut client = gate.guard_layer().layer(client);
    let mut calls = 0;
    while calls < CALLS / 2 || !done.load(Ordering::SeqCst) {
        let url = format!("https://127.0.0.1/{tenant}/api/v1/Contact/1");
        let request = Request::get(url).body(Empty::new()).unwrap();
        let before = phase.load(Ordering::SeqCst);
        let result = client.ready().await.unwrap().call(request).await;
        let after = phase.load(Ordering::SeqCst);
        calls += 1;
        if before == after && !before.is_multiple_of(3) {
            judged.fetch_add(1, Ordering::Relaxed);
            match result {
                Ok(_) => assert_eq!(before % 3, 2, "a call got through to a closed tenant"),
                Err(GuardError::Unavailable(closed)) => {
                    assert_eq!(before % 3, 1, "a call was kept from an open tenant");
                    assert_eq!(closed.reason(), UnavailableReason::Suspended);
                }
            }
        }
        tokio::task::yield_now().await;
    }
}
