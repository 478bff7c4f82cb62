//! Bounds of pulls: the rate, faults of the state API, Retry-After, floods.

use harness::{TestEnv, amount, simulator_on, tenant_number as tenant, tokio_clock, within};
use http::StatusCode;
use tokio::time::{Duration, Instant, sleep};
use tower_superoffice::{
    ChangeType, TenantGate, UnavailableReason,
    pull::{RefreshError, Schedule},
    simulator::{Fault, Simulator},
};

use super::{HOUR, MINUTE};

#[tokio::test(start_paused = true)]
async fn upgrade_burst_keeps_to_the_limit_and_opens_every_tenant() {
    let tenants = amount("TENANTS", 2_000, 10_000);
    let env = TestEnv::on_tokio_clock().await;
    for number in 0..tenants {
        let notified = env.simulator.upgrade(&tenant(number)).await;
        assert_eq!(notified.unwrap(), StatusCode::NO_CONTENT);
    }
    assert_eq!(env.gate.health().closed(), tenants);
    let notified = Instant::now();
    // Every Resume is lost.
    let over = notified + Duration::from_secs(300);
    let bound = Duration::from_secs(900 + 60 + tenants as u64 / 10);
    let (mut requests, mut most) = (env.simulator.all_state_requests(), 0);
    while env.gate.health().closed() > 0 {
        assert!(notified.elapsed() <= bound, "{} are closed", env.gate.health().closed());
        if Instant::now() == over {
            assert_eq!(env.gate.health().closed(), tenants, "opened before the Resume");
            (0..tenants)
                .for_each(|number| env.simulator.resume(&tenant(number)).without_notification());
        }
        // Health counts all that waits: it is read less often.
        for _ in 0..20 {
            sleep(Duration::from_millis(500)).await;
            let now = env.simulator.all_state_requests();
            most = most.max(now - requests);
            requests = now;
        }
    }
    assert!(most <= 10, "{most} within half a second");
    assert!(
        requests <= 10 * (notified.elapsed().as_secs() + 2),
        "{requests} in {:?}",
        notified.elapsed()
    );
    let pulls = env.pulls();
    assert_eq!(pulls.answered(), requests);
    assert_eq!((pulls.failed(), pulls.unknown(), pulls.delegated()), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn health_shows_waiting_pulls_and_the_oldest() {
    let env = TestEnv::on_tokio_clock_with(|builder| {
        builder.schedule(Schedule::new().pulls_per_second(1))
    })
    .await;
    env.gate.track((0..100).map(tenant));
    sleep(Duration::from_millis(10_500)).await;
    let pulls = env.pulls();
    assert_eq!(pulls.answered(), 11);
    assert_eq!(pulls.waiting(), 89);
    assert_eq!(pulls.oldest(), Duration::from_millis(10_500));
    // A requested pull does not wait behind them.
    env.gate.refresh(&tenant(999)).await.unwrap();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(env.simulator.state_requests(&tenant(999)), 1);
    sleep(2 * MINUTE).await;
    let pulls = env.pulls();
    assert_eq!((pulls.waiting(), pulls.oldest(), pulls.in_flight()), (0, Duration::ZERO, 0));
    assert_eq!(pulls.answered(), 101);
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
        let env = TestEnv::on_tokio_clock().await;
        env.simulator.suspend(&tenant(1)).await.unwrap();
        env.simulator.suspend(&tenant(2)).await.unwrap();
        env.simulator.resume(&tenant(2)).await.unwrap();
        env.simulator.state_api(fault.clone());
        sleep(HOUR).await;
        assert_eq!(env.reason(&tenant(1)), Some(UnavailableReason::Suspended), "{fault:?}");
        assert_eq!(env.reason(&tenant(2)), None, "{fault:?}");
        let pulls = env.pulls();
        assert_eq!(pulls.answered(), 0, "{fault:?}");
        // A failing state API is not hammered: backed off to 2.5 to 5 min a tenant.
        assert!(pulls.failed() + pulls.unknown() > 10, "{fault:?} {pulls:?}");
        assert!(pulls.failed() + pulls.unknown() < 100, "{fault:?} {pulls:?}");

        env.simulator.state_api(Fault::None);
        env.simulator.resume(&tenant(1)).without_notification();
        let longest = if fault == Fault::Unknown { 15 * MINUTE } else { 5 * MINUTE };
        // A pull that hangs may be under way.
        within(longest + Duration::from_secs(6), async {
            env.gate.available(&tenant(1)).await.unwrap()
        })
        .await;
    }
}

#[tokio::test(start_paused = true)]
async fn pulls_fail_no_longer_once_none_is_to_come() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.state_api(Fault::Status(StatusCode::SERVICE_UNAVAILABLE));
    env.gate.track([tenant(1)]);
    sleep(HOUR).await;
    assert!(env.pulls().failing() > 30 * MINUTE, "{:?}", env.pulls());
    env.gate.untrack([tenant(1)]);
    // The one that is scheduled comes first.
    sleep(10 * MINUTE).await;
    assert_eq!(env.pulls().failing(), Duration::ZERO, "{:?}", env.pulls());
}

#[tokio::test(start_paused = true)]
async fn retry_after_delays_all_pulls() {
    let env = TestEnv::on_tokio_clock().await;
    env.gate.track((0..1000).map(tenant));
    env.simulator.state_api(Fault::TooManyRequests(120));
    sleep(Duration::from_secs(119)).await;
    // Those that were under way when the first answer came.
    let requests = env.simulator.all_state_requests();
    assert!(requests <= 10, "{requests}");
    env.simulator.state_api(Fault::None);
    let refused = env.gate.refresh(&tenant(1001)).await;
    assert!(
        matches!(refused, Err(RefreshError::RateLimited { retry_after }) if retry_after.as_secs() <= 2)
    );
    sleep(Duration::from_millis(500)).await;
    assert_eq!(env.simulator.all_state_requests(), requests);
    sleep(Duration::from_secs(200)).await;
    assert!(env.simulator.all_state_requests() >= 1000);
}

/// A SuperOffice whose keys can't be fetched, and a gate that gets its notifications.
async fn without_keys() -> (Simulator, TenantGate) {
    let clock = tokio_clock();
    let simulator = simulator_on(&clock).await;
    simulator.key_server(Fault::Status(StatusCode::BAD_GATEWAY));
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .client(simulator.network())
        .clock(move || clock())
        .build()
        .await
        .unwrap();
    simulator.notify_service(gate.notification_service());
    (simulator, gate)
}

/// SuperOffice notifies first and closes the tenant then.
#[tokio::test(start_paused = true)]
async fn unverifiable_closing_is_pulled_again_once_settled() {
    let (simulator, gate) = without_keys().await;
    let [one, two] = [tenant(1), tenant(2)];
    let answer = simulator.notify(ChangeType::Suspend, &one).await.unwrap();
    assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE);
    sleep(Duration::from_secs(1)).await;
    assert_eq!((simulator.state_requests(&one), gate.status(&one).reason()), (1, None));
    simulator.suspend(&one).without_notification();
    sleep(Duration::from_secs(65)).await;
    assert_eq!(gate.status(&one).reason(), Some(UnavailableReason::Suspended));

    // One that is found running both times is not pulled a third time.
    simulator.notify(ChangeType::Suspend, &two).await.unwrap();
    sleep(HOUR).await;
    assert_eq!(simulator.state_requests(&two), 2);
}

#[tokio::test(start_paused = true)]
async fn unverifiable_notification_is_pulled_within_a_bound() {
    let (simulator, gate) = without_keys().await;
    let answer = simulator.suspend(&tenant(1)).await.unwrap();
    assert_eq!(answer, StatusCode::SERVICE_UNAVAILABLE);
    sleep(Duration::from_secs(2)).await;
    simulator.suspend(&tenant(2)).without_notification();
    assert_eq!(gate.status(&tenant(2)).reason(), None);
    // The first pull may have been made before the tenant closed; this one is not.
    assert_eq!(simulator.notify(ChangeType::Suspend, &tenant(2)).await.unwrap(), answer);
    sleep(Duration::from_secs(2)).await;
    assert_eq!(gate.status(&tenant(2)).reason(), Some(UnavailableReason::Suspended));

    // A flood of them is bounded, and pulled at one a second: the rest of the limit is for others.
    let before = simulator.all_state_requests();
    let requests = || simulator.all_state_requests() - before;
    for number in 0..2000 {
        simulator.notify(ChangeType::Suspend, &tenant(number)).await.unwrap();
    }
    sleep(Duration::from_secs(30)).await;
    assert!((20..=31).contains(&requests()), "{}", requests());
    sleep(HOUR).await;
    assert!((100..800).contains(&requests()), "{}", requests());
}
