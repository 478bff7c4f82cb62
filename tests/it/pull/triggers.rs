//! Triggers of pulls, and the cases without one.

use std::io;

use bytes::Bytes;
use harness::{TestEnv, tenant_number as tenant, within};
use http::{Request, Response};
use http_body_util::Full;
use tokio::time::{Duration, sleep};
use tower::service_fn;
use tower_superoffice::{
    ChangeType, UnavailableReason, notification::EmptyBody, pull::RefreshError, simulator::Fault,
    status::State,
};

use super::{HOUR, MINUTE};

#[tokio::test(start_paused = true)]
async fn notification_without_a_status_is_pulled_at_once() {
    let env = TestEnv::on_tokio_clock().await;
    let (one, two, three) = (tenant(1), tenant(2), tenant(3));
    env.simulator.restore(&one).await.unwrap();
    env.simulator.move_tenant(&two).await.unwrap();
    env.simulator.set_state(&three, State::MigrationPending);
    env.simulator.notify(ChangeType::Other(17), &three).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    for tenant in [&one, &two, &three] {
        assert_eq!(env.simulator.state_requests(tenant), 1, "{tenant}");
    }
    let home = env.simulator.hosts()[1].authority().unwrap().as_str();
    assert_eq!(env.gate.status(&two).endpoint(), Some(home));
    assert_eq!(env.gate.endpoint(&two).unwrap().authority().unwrap().as_str(), home);
    assert_eq!(env.reason(&three), Some(UnavailableReason::NotReady));
    assert_ne!(env.gate.status(&one).epoch(), 0);

    // The pull is owed: it is repeated until it is answered.
    env.simulator.state_api(Fault::Hang);
    env.simulator.restore(&one).await.unwrap();
    sleep(3 * MINUTE).await;
    env.simulator.state_api(Fault::None);
    let failed = env.simulator.state_requests(&one);
    assert!(failed > 3, "{failed}");
    sleep(HOUR).await;
    assert_eq!(env.simulator.state_requests(&one), failed + 1);
}

#[tokio::test(start_paused = true)]
async fn tracked_tenants_are_pulled_until_answered() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.suspend(&tenant(7)).without_notification();
    env.simulator.state_api(Fault::Unknown);
    env.gate.track((0..50).map(tenant));
    sleep(MINUTE).await;
    assert_eq!(env.gate.health().closed(), 0);
    env.simulator.state_api(Fault::None);
    sleep(2 * MINUTE).await;
    assert_eq!(env.reason(&tenant(7)), Some(UnavailableReason::Suspended));
    assert_eq!(env.gate.health().closed(), 1);
    let requests = env.simulator.state_requests(&tenant(8));
    sleep(2 * MINUTE).await;
    assert_eq!(env.simulator.state_requests(&tenant(8)), requests, "the answer is fresh");
    // The first answer about a tenant is no correction.
    assert!(env.pulls().corrections().is_empty());
}

#[tokio::test(start_paused = true)]
async fn tracked_tenants_stay_closed_until_the_first_answer() {
    let env = TestEnv::on_tokio_clock_with(|builder| builder.close_tracked_until_known()).await;
    env.simulator.state_api(Fault::Hang);
    env.simulator.suspend(&tenant(3)).without_notification();
    env.gate.track((0..10).map(tenant));
    for number in 0..10 {
        assert_eq!(env.reason(&tenant(number)), Some(UnavailableReason::NotReady));
        let closed = env.gate.check(&tenant(number)).unwrap_err();
        assert!(closed.retry_after().is_some());
    }
    assert_eq!(env.reason(&tenant(11)), None);
    sleep(10 * MINUTE).await;
    assert_eq!(env.gate.health().closed(), 10);
    env.simulator.state_api(Fault::None);
    // The longest back-off, and the end of a pull that hangs.
    within(5 * MINUTE + Duration::from_secs(6), async {
        env.gate.available(&tenant(1)).await.unwrap()
    })
    .await;
    sleep(5 * MINUTE + Duration::from_secs(6)).await;
    assert_eq!(env.gate.health().closed(), 1);
    assert_eq!(env.reason(&tenant(3)), Some(UnavailableReason::Suspended));
}

#[tokio::test(start_paused = true)]
async fn closed_tenant_has_a_retry_after() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.upgrade(&tenant(1)).await.unwrap();
    env.simulator.suspend(&tenant(2)).await.unwrap();
    for tenant in [tenant(1), tenant(2)] {
        let wait = env.gate.check(&tenant).unwrap_err().retry_after().unwrap();
        assert!((59..=61).contains(&wait.as_secs()), "{wait:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn override_masks_the_status_and_stops_no_pull() {
    let env = TestEnv::on_tokio_clock().await;
    let one = tenant(1);
    env.simulator.suspend(&one).await.unwrap();
    env.gate.open(&one, "we know better").await.unwrap();
    sleep(HOUR).await;
    assert!(env.simulator.state_requests(&one) >= 4);
    env.simulator.resume(&one).without_notification();
    sleep(16 * MINUTE).await;
    env.gate.close(&one, "not yet").await.unwrap();
    assert_eq!(env.reason(&one), Some(UnavailableReason::Operator));
    env.gate.release(&one, "").await.unwrap();
    assert_eq!(env.reason(&one), None, "the pulls went on under the override");
}

#[tokio::test(start_paused = true)]
async fn state_api_off_sends_no_request() {
    let refuse = service_fn(|_: Request<EmptyBody>| async {
        Err::<Response<Full<Bytes>>, _>(io::Error::other("no request may be sent"))
    });
    let env = TestEnv::on_tokio_clock_with(|builder| builder.client(refuse).state_api(false)).await;
    env.simulator.suspend(&tenant(1)).await.unwrap();
    assert!(matches!(env.gate.refresh(&tenant(1)).await, Err(RefreshError::StateApiOff)));
    env.gate.track([tenant(2)]);
    sleep(100 * HOUR).await;
    assert_eq!(env.simulator.all_state_requests(), 0);
    assert_eq!(env.gate.health().pulls(), None);
    assert_eq!(env.reason(&tenant(1)), Some(UnavailableReason::Suspended));
}
