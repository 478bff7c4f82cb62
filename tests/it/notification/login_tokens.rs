//! A token that speaks for a person changes nothing; a genuine one has the tenant pulled.

use std::time::Duration;

use harness::{TestEnv, refusal, tenant, tenant_number, until};
use http::StatusCode;
use tokio::time::sleep;
use tower_superoffice::{
    ChangeType, UnavailableReason, notification::Refusal, simulator::Notification,
    token::TokenError,
};

const PERSONAL: Refusal = Refusal::Token(TokenError::SpeaksForPerson);

async fn refuses(env: &TestEnv, notification: Notification, expected: Refusal) {
    let answer = env.post(notification.body()).await;
    assert_eq!(refusal(&answer), Some(expected));
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test(start_paused = true)]
async fn login_token_changes_nothing_by_itself() {
    let env = TestEnv::on_tokio_clock_with(|builder| builder.state_api(false)).await;
    for change in [ChangeType::Suspend, ChangeType::Delete, ChangeType::BackupRestored] {
        refuses(&env, env.notification(change).login_token(), PERSONAL).await;
    }
    sleep(Duration::from_secs(3600)).await;
    assert!(env.gate.snapshot().is_empty());
    assert_eq!(env.simulator.all_state_requests(), 0, "the state API is off");
    assert_eq!(env.gate.health().notifications().rejected(), 3);
}

#[tokio::test(start_paused = true)]
async fn genuine_login_token_has_its_tenant_pulled() {
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.suspend(&env.tenant).without_notification();
    refuses(&env, env.notification(ChangeType::Suspend).login_token(), PERSONAL).await;
    assert!(env.gate.check(&env.tenant).is_ok(), "not before the state API says so");
    until("the pull closes the tenant", async || env.gate.check(&env.tenant).is_err()).await;
    assert_eq!(env.reason(&env.tenant), Some(UnavailableReason::Suspended));
    assert_eq!(env.simulator.state_requests(&env.tenant), 1);
}

#[tokio::test(start_paused = true)]
async fn login_token_pulls_the_tenant_that_its_signature_covers() {
    let env = TestEnv::on_tokio_clock().await;
    let other = tenant("Cust2");
    let notification = env.notification(ChangeType::Suspend).login_token().token_tenant(&other);
    refuses(&env, notification, PERSONAL).await;
    until("a pull", async || env.simulator.all_state_requests() > 0).await;
    sleep(Duration::from_secs(30)).await;
    assert_eq!(env.simulator.state_requests(&other), 1);
    assert_eq!(env.simulator.state_requests(&env.tenant), 0);
}

#[tokio::test(start_paused = true)]
async fn login_token_that_fails_another_check_pulls_nothing() {
    let env = TestEnv::on_tokio_clock().await;
    let login = || env.notification(ChangeType::Suspend).login_token();
    for (notification, error) in [
        (login().forged(), TokenError::Signature),
        (login().header("kid", "00").without_header("x5t"), TokenError::UnknownKey),
        (login().audience("another"), TokenError::Audience),
        (login().issuer("https://evil.example"), TokenError::Issuer),
        (login().valid_for(7200), TokenError::LongLived),
        (login().without_claim("exp"), TokenError::Expired),
    ] {
        refuses(&env, notification, Refusal::Token(error)).await;
    }
    sleep(Duration::from_secs(60)).await;
    assert_eq!(env.simulator.all_state_requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn flood_of_login_tokens_causes_one_pull_a_second() {
    let env = TestEnv::on_tokio_clock().await;
    for number in 0..200 {
        let notification = env.simulator.notification(ChangeType::Suspend, &tenant_number(number));
        refuses(&env, notification.login_token(), PERSONAL).await;
    }
    sleep(Duration::from_secs(10)).await;
    let pulls = env.simulator.all_state_requests();
    assert!((1..=12).contains(&pulls), "{pulls}");
}

#[tokio::test(start_paused = true)]
async fn login_token_is_accepted_where_the_owner_said_so() {
    let env = TestEnv::on_tokio_clock_with(|builder| builder.login_tokens(true)).await;
    let answer = env.post(env.notification(ChangeType::Suspend).login_token().body()).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    assert_eq!(env.reason(&env.tenant), Some(UnavailableReason::Suspended));
    // Every other check stands.
    let forged = env.notification(ChangeType::Resume).login_token().forged();
    refuses(&env, forged, Refusal::Token(TokenError::Signature)).await;
    let long = env.notification(ChangeType::Resume).login_token().valid_for(3601);
    refuses(&env, long, Refusal::Token(TokenError::LongLived)).await;
}

#[tokio::test(start_paused = true)]
async fn login_token_waits_for_keys_as_any_other_does() {
    use tower_superoffice::{TenantGate, simulator::Fault};
    let env = TestEnv::on_tokio_clock().await;
    env.simulator.key_server(Fault::Slow(Duration::from_secs(1)));
    let clock = env.clock.clone();
    let gate = TenantGate::builder(env.simulator.environment())
        .audience(env.simulator.application_id())
        .client(env.simulator.network())
        .clock(move || clock())
        .build()
        .await
        .unwrap();
    let answer = harness::post(&gate, env.notification(ChangeType::Suspend).login_token().body());
    assert_eq!(refusal(&answer.await), Some(PERSONAL));
    until("the pull", async || env.simulator.state_requests(&env.tenant) == 1).await;
}
