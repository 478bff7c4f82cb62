//! Genuine notifications and their outcomes, in every shape of SuperOffice's tokens.

use std::time::Duration;

use harness::{TestEnv, gate_builder_of, refusal};
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_superoffice::{
    ChangeType, Environment, TenantId,
    notification::{Accepted, Outcome},
    simulator::{Notification, Simulator},
};

async fn accepts(env: &TestEnv, notification: &Notification, outcome: Outcome) {
    let response = env.post(notification.body()).await;
    assert_eq!(response.status(), StatusCode::NO_CONTENT, "{:?}", refusal(&response));
    assert_eq!(response.extensions().get::<Accepted>().unwrap().outcome(), outcome);
}

#[tokio::test]
async fn each_outcome_is_204() {
    let env = TestEnv::new().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_secs()).unwrap() - 20;
    let suspend = env.notification(ChangeType::Suspend).issued_at(now);
    accepts(&env, &suspend, Outcome::Applied).await;
    assert!(env.gate.check(&env.tenant).is_err());
    accepts(&env, &suspend, Outcome::Duplicate).await;
    accepts(&env, &env.notification(ChangeType::Suspend).issued_at(now - 1), Outcome::Stale).await;
    accepts(&env, &env.notification(ChangeType::Suspend).issued_at(now + 1), Outcome::Recorded)
        .await;
    let resume = env.notification(ChangeType::Resume);
    accepts(&env, &resume.clone().issued_at(now), Outcome::Recorded).await;
    assert!(env.gate.check(&env.tenant).is_err(), "an older Resume opened the tenant");
    accepts(&env, &resume.issued_at(now + 2), Outcome::Applied).await;
    assert!(env.gate.check(&env.tenant).is_ok());
    accepts(&env, &suspend, Outcome::Stale).await;
    assert!(env.gate.check(&env.tenant).is_ok(), "a replay closed the tenant");
}

#[tokio::test]
async fn unknown_type_and_key_are_204() {
    let env = TestEnv::new().await;
    let novel = env.notification(ChangeType::Other(4_294_967_295));
    accepts(&env, &novel.field("Novelty", json!({"a": [1]})), Outcome::Recorded).await;
    assert!(env.gate.check(&env.tenant).is_ok());
    assert_eq!(env.gate.snapshot().len(), 1);
}

#[tokio::test]
async fn any_content_type_is_204() {
    let env = TestEnv::new().await;
    let request = Request::post("/")
        .header("content-type", "text/plain")
        .body(Full::new(env.notification(ChangeType::Suspend).body()));
    assert_eq!(
        env.gate.notification_service().oneshot(request.unwrap()).await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
}

#[tokio::test]
async fn each_documented_token_shape_is_204() {
    let env = TestEnv::new().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_secs()).unwrap() - 20;
    let at = |second: i64| env.notification(ChangeType::Suspend).issued_at(now + second);
    let audience = env.simulator.application_id();
    let kid = {
        let token = at(0).token();
        let head = token.split('.').next().unwrap();
        let head = base64::Engine::decode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, head)
            .unwrap();
        serde_json::from_slice::<Value>(&head).unwrap()["kid"].as_str().unwrap().to_owned()
    };
    for (shape, notification) in [
        ("string iat", at(1).claim("iat", (now + 1).to_string())),
        ("no iat", at(2).without_claim("iat")),
        ("no kid", at(3).without_header("kid")),
        ("lower-case kid", at(4).header("kid", kid.to_ascii_lowercase())),
        ("base64url kid", at(5).base64_key_id()),
        ("base64url kid alone", at(6).base64_key_id().without_header("x5t")),
        ("no identifier", at(7).without_header("kid").without_header("x5t")),
        (
            "SuperOffice AS with spn:",
            at(8).issuer("SuperOffice AS").audience(&format!("spn:{audience}")),
        ),
        ("audience in capitals", at(9).audience(&audience.to_ascii_uppercase())),
        ("audience array", at(10).claim("aud", json!(["other", audience]))),
        ("no nbf", at(11).without_claim("nbf")),
        ("exp alone", at(12).without_claim("nbf").without_claim("iat")),
        ("no typ", at(13).without_header("typ")),
        ("a service token", at(14).service_token()),
    ] {
        let response = env.post(notification.body()).await;
        assert_eq!(response.status(), StatusCode::NO_CONTENT, "{shape}: {:?}", refusal(&response));
    }
    // They all stand on one axis of time: each was newer than the one before.
    assert_eq!(env.gate.health().notifications().applied(), 1);
    assert_eq!(env.gate.health().notifications().recorded(), 13);
    let last = env.gate.health().notifications().last().unwrap();
    assert!(last.elapsed().unwrap() < Duration::from_secs(60), "{last:?}");
}

#[tokio::test]
async fn issuer_of_another_environment_is_401() {
    let simulator = Simulator::start().await.unwrap();
    let gate = gate_builder_of(Environment::Production, &simulator).build().await.unwrap();
    let tenant = TenantId::new("Cust1").unwrap();
    for (issuer, status) in [
        ("https://online.superoffice.com", StatusCode::NO_CONTENT),
        ("SuperOffice AS", StatusCode::NO_CONTENT),
        ("https://online.superoffice.com/", StatusCode::UNAUTHORIZED),
        ("https://sod.superoffice.com", StatusCode::UNAUTHORIZED),
        ("superoffice as", StatusCode::UNAUTHORIZED),
    ] {
        let body = simulator.notification(ChangeType::Move, &tenant).issuer(issuer).body();
        let request = Request::post("/").body(Full::new(body)).unwrap();
        let response = gate.notification_service().oneshot(request).await.unwrap();
        assert_eq!(response.status(), status, "{issuer}");
    }
}
