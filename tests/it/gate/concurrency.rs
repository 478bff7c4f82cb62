//! Notifications and calls at the same time: no call passes after the 204 of a closing
//! notification.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use harness::{gate_builder, tenant_number};
use http::{Request, Response, StatusCode};
use http_body_util::{Empty, Full};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_superoffice::{
    ChangeType, GuardError, TenantGate, TenantId, UnavailableReason, simulator::Simulator,
};

const TENANTS: u64 = 16;
/// Notifications a tenant, alternately Suspend and Resume.
const TURNS: u64 = 120;
/// Calls a tenant at the least; more when the notifications take longer.
const CALLS: u64 = 520;

/// The progress of a tenant's script: `3 * turn` while a notification is under way, then +1 when
/// its 204 closed the tenant, +2 when it opened it.
type Phase = AtomicU64;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_call_passes_after_the_204_of_a_closing() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let simulator = Simulator::builder().clock(move || now).start().await.unwrap();
    let builder = gate_builder(&simulator).state_api(false).clock(move || now);
    let gate = builder.build().await.unwrap();

    let checked = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for number in 0..TENANTS {
        let tenant = tenant_number(usize::try_from(number).unwrap());
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
                Arc::clone(&checked),
            )));
        }
    }
    for task in tasks {
        task.await.unwrap();
    }
    // Otherwise no call fell between two notifications, and nothing was tested.
    assert!(checked.load(Ordering::Relaxed) > TENANTS * TURNS, "{checked:?} calls were checked");
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
    checked: Arc<AtomicU64>,
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
            checked.fetch_add(1, Ordering::Relaxed);
            match result {
                Ok(_) => assert_eq!(before % 3, 2, "a call passed to a closed tenant"),
                Err(GuardError::Unavailable(closed)) => {
                    assert_eq!(before % 3, 1, "a call to an open tenant was refused");
                    assert_eq!(closed.reason(), UnavailableReason::Suspended);
                }
            }
        }
        tokio::task::yield_now().await;
    }
}
