//! The counts of health are kept as things change, and equal those of a walk through all tenants.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{Response, StatusCode, header};
use http_body_util::Full;
use tower::service_fn;

use super::{Pulls, Schedule, StateApi, pulls::State};
use crate::{
    clock::Clock,
    environment::Environment,
    http_client::{EmptyBody, Fetch},
    status::{
        ChangeType, Record, UnavailableReason, notified::Notified, overrides::OverrideAction,
        settle::Settle,
    },
    tenant_id::TenantId,
    tenants::{Tenants, Update},
};

const TENANTS: u64 = 40;

/// Answers as the state API: anything, and at times nothing.
async fn answer(request: http::Request<EmptyBody>) -> Result<Response<Full<Bytes>>, Infallible> {
    tokio::time::sleep(Duration::from_millis(fastrand::u64(0..3_000))).await;
    let tenant = request.uri().path().rsplit('/').next().unwrap_or_default().to_owned();
    let (state, running) = match fastrand::u8(0..6) {
        0 => ("Suspended", false),
        1 => ("OfflineMaintenance", false),
        2 => ("Deleted", false),
        3 => ("Unknown", false),
        _ => ("Running", true),
    };
    let body =
        format!(r#"{{"ContextIdentifier":"{tenant}","State":"{state}","IsRunning":{running}}}"#);
    let mut response = Response::new(Full::new(Bytes::from(body)));
    let json = header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    if fastrand::u8(0..5) == 0 {
        *response.status_mut() = StatusCode::BAD_GATEWAY;
    }
    Ok(response)
}

pub(super) fn tenants_and_pulls(rate: u32) -> (Arc<Tenants>, Arc<Pulls>) {
    let clock = Clock::system();
    let tenants = Arc::new(Tenants::new(Settle::default(), 16, clock.clone()));
    let fetch = Fetch::new(service_fn(answer));
    let api = StateApi::new(Environment::Production, fetch, clock.clone());
    let schedule = Schedule::new().pulls_per_second(rate);
    let registry = Arc::clone(tenants.registry());
    let pulls = Arc::new(Pulls::new(registry, clock, schedule, api, None));
    tenants.observe(vec![Arc::clone(&pulls) as _]);
    (tenants, pulls)
}

fn change(tenants: &Tenants, pulls: &Pulls, tenant: &TenantId, time: i64) {
    use ChangeType::{BackupRestored, Delete, Resume, Suspend, Upgrade};
    let changes = [Upgrade, Upgrade, Suspend, Resume, Resume, Delete, BackupRestored];
    match fastrand::u8(0..17) {
        0..6 => {
            let change = changes[fastrand::usize(..changes.len())];
            let notified = Notified::new(change, time, 0, Arc::default());
            tenants.apply(tenant, Update::Notification(notified));
        }
        6 => _ = tenants.apply(tenant, Update::Stored(Record::unreadable())),
        7 => pulls.track(tenant),
        8 => pulls.request_unverified_pull(tenant),
        9 => _ = pulls.misdirected(tenant, pulls.pull_seq()),
        10 => _ = pulls.refresh(tenant),
        11 => {
            let actions = [OverrideAction::Open, OverrideAction::Close, OverrideAction::Release];
            let action = actions[fastrand::usize(..3)];
            let (note, until) = (String::new(), None);
            tenants.apply(tenant, Update::Override { action, note, until, now: 0 });
        }
        12 => pulls.untrack(tenant),
        13 => tenants.close_until_known(tenant),
        14 => {
            let record = tenants.registry().record(tenant).unwrap_or_default();
            tenants.forget(tenant, &record);
        }
        _ => _ = tenants.registry().closed(tenant),
    }
}

/// Compares the counts with a walk.
fn compare(tenants: &Tenants, pulls: &Pulls, step: u32) {
    let registry = tenants.registry();
    let (mut closed, mut unreadable) = (0, 0);
    registry.for_each(|_, status, _| {
        closed += usize::from(!status.is_available());
        unreadable += usize::from(status.reason() == Some(UnavailableReason::Unreadable));
    });
    assert_eq!((registry.closed_count(), registry.unreadable_count()), (closed, unreadable));

    let (health, now) = (pulls.health(), pulls.now().elapsed);
    let state = pulls.state();
    let (due, _) = registry.overdue(now);
    let flying = state.in_flight.tenants();
    let flying = flying.filter(|own| registry.due(own).is_some_and(|due| due.time() <= now));
    let walked = due - flying.count()
        + state.scheduler.walk_beside_the_registry(now, |tenant| state.in_flight.contains(tenant));
    assert_eq!(health.waiting(), walked, "step {step}");
    assert_eq!(health.in_flight(), state.in_flight.len());
    assert!(health.oldest().is_zero() || walked > 0);
}

#[tokio::test(start_paused = true)]
async fn counts_equal_a_walk_after_random_changes() {
    for seed in 0..20 {
        fastrand::seed(seed);
        let (tenants, pulls) = tenants_and_pulls(fastrand::u32(1..20));
        let task = tokio::spawn(Arc::clone(&pulls).run(Arc::clone(&tenants)));
        for step in 0..400 {
            let tenant = TenantId::new(format!("Cust{}", fastrand::u64(..TENANTS))).unwrap();
            change(&tenants, &pulls, &tenant, i64::from(step / 3));
            if fastrand::u8(0..3) == 0 {
                let wait = [1, 40, 700, 20_000, 100_000][fastrand::usize(..5)];
                tokio::time::sleep(Duration::from_millis(fastrand::u64(..wait))).await;
            }
            compare(&tenants, &pulls, step);
        }
        task.abort();
    }
}

/// Prints what a walk and the counts cost, and holds the counts to a fraction of it.
#[tokio::test]
#[expect(clippy::print_stdout, reason = "the figure is read by people")]
async fn health_of_many_tenants_costs_no_walk() {
    let many = std::env::var("TENANTS").map_or(100_000, |many| many.parse().unwrap());
    let (tenants, pulls) = tenants_and_pulls(10);
    for number in 0..many {
        let tenant = TenantId::new(format!("Cust{number}")).unwrap();
        let notified = Notified::new(ChangeType::Upgrade, 1, 0, Arc::default());
        tenants.apply(&tenant, Update::Notification(notified));
    }
    let now = pulls.now().elapsed + Duration::from_secs(100);
    let waiting = |pulls: &Pulls| {
        let State { scheduler, in_flight, .. } = &mut *pulls.state();
        scheduler.waiting(tenants.registry(), in_flight, now).0
    };
    waiting(&pulls);
    let fastest = |mut run: Box<dyn FnMut() + '_>| {
        let times = (0..9).map(|_| {
            let began = std::time::Instant::now();
            run();
            began.elapsed()
        });
        times.min().unwrap()
    };
    let walk = fastest(Box::new(|| _ = tenants.registry().overdue(now)));
    let counts = fastest(Box::new(|| {
        assert_eq!(waiting(&pulls), many);
        let _ = (pulls.health(), tenants.registry().closed_count());
    }));
    let ratio = walk.as_secs_f64() / counts.as_secs_f64();
    println!("{many} tenants: counts {counts:?}, a walk {walk:?}: {ratio:.0} times");
    assert!(ratio > 20.0, "counts {counts:?}, a walk {walk:?}");
}
