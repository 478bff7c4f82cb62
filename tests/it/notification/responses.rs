//! Every row of the table of answers, in its order, against a simulated SuperOffice's own key.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_superoffice::{
    ChangeType, Environment, TenantGate, TenantId,
    notification::{Accepted, EmptyBody, Outcome, Refusal},
    simulator::{Notification, Simulator},
    token::{SigningKeys, TokenError},
};

struct World {
    simulator: Simulator,
    gate: TenantGate,
    tenant: TenantId,
}

impl World {
    async fn new() -> Self {
        let simulator = Simulator::start().await.unwrap();
        let keys = SigningKeys::from_pem(simulator.certificate_pem()).unwrap();
        let gate = TenantGate::builder(simulator.environment())
            .audience(simulator.application_id())
            .signing_keys(keys)
            .build()
            .await
            .unwrap();
        Self { simulator, gate, tenant: TenantId::new("Cust1").unwrap() }
    }

    fn suspend(&self) -> Notification {
        self.simulator.notification(ChangeType::Suspend, &self.tenant)
    }

    async fn post(&self, body: impl Into<Bytes>) -> Response<EmptyBody> {
        self.ask(Request::post("/any/path").body(Full::new(body.into())).unwrap()).await
    }

    async fn ask(&self, request: Request<Full<Bytes>>) -> Response<EmptyBody> {
        self.gate.notification_service().oneshot(request).await.unwrap()
    }

    /// Posts `body`, expects `refusal`, and that no tenant is any different for it.
    async fn refuses(&self, body: impl Into<Bytes>, refusal: Refusal) {
        let before = self.gate.snapshot();
        let response = self.post(body).await;
        assert_eq!(response.extensions().get::<Refusal>(), Some(&refusal));
        assert_eq!(response.status(), refusal.status());
        assert_eq!(self.gate.snapshot(), before);
    }

    async fn takes(&self, notification: &Notification, outcome: Outcome) {
        let response = self.post(notification.body()).await;
        assert_eq!(
            response.status(),
            StatusCode::NO_CONTENT,
            "{:?}",
            response.extensions().get::<Refusal>()
        );
        assert_eq!(response.extensions().get::<Accepted>().unwrap().outcome(), outcome);
    }
}

fn with(
    notification: &Notification,
    change: impl FnOnce(&mut serde_json::Map<String, Value>),
) -> Bytes {
    let mut body: Value = serde_json::from_slice(&notification.body()).unwrap();
    change(body.as_object_mut().unwrap());
    Bytes::from(body.to_string())
}

#[tokio::test]
async fn other_method_is_405_with_allow() {
    let world = World::new().await;
    for method in
        [Method::GET, Method::HEAD, Method::OPTIONS, Method::PUT, Method::DELETE, Method::PATCH]
    {
        let request =
            Request::builder().method(method).body(Full::new(world.suspend().body())).unwrap();
        let response = world.ask(request).await;
        assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(response.headers()[header::ALLOW], "POST");
    }
    assert!(world.gate.snapshot().is_empty());
}

#[tokio::test]
async fn large_content_length_is_413_before_any_byte() {
    let world = World::new().await;
    let request =
        Request::post("/").header("content-length", "16385").body(Full::default()).unwrap();
    let response = world.ask(request).await;
    assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(response.headers()[header::CONNECTION], "close");
}

#[tokio::test]
async fn body_above_16_kib_is_413() {
    let world = World::new().await;
    let padded = |length: usize| {
        let body = String::from_utf8(world.suspend().body().to_vec()).unwrap();
        body.clone() + &" ".repeat(length - body.len())
    };
    world.refuses(padded(16 * 1024 + 1), Refusal::BodyTooLarge).await;
    assert_eq!(world.post(padded(16 * 1024)).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn malformed_notification_is_400() {
    let world = World::new().await;
    let good = world.suspend();
    for body in [
        "",
        "null",
        "[]",
        "{}",
        "\"x\"",
        "{\"ChangeType\":2}",
        "{\"ContextIdentifier\":\"Cust1\"}",
        r#"{"EventId":"1","ContextIdentifier":"Cust1"}"#,
    ] {
        world.refuses(body, Refusal::Malformed).await;
    }
    for (field, value) in [
        ("ChangeType", json!(-1)),
        ("ChangeType", json!(4_294_967_296_u64)),
        ("ChangeType", json!(2.0)),
        ("ChangeType", json!("2")),
        ("ContextIdentifier", json!("Cust 1")),
        ("ContextIdentifier", json!("")),
        ("ContextIdentifier", json!(1)),
        ("VersionName", json!(1)),
        ("FileVersion", json!([])),
        ("PublicEndpoint", json!({})),
    ] {
        let body = with(&good, |body| _ = body.insert(field.to_owned(), value));
        world.refuses(body, Refusal::Malformed).await;
    }
    let twice = String::from_utf8(good.body().to_vec()).unwrap();
    world.refuses(twice.replacen('{', r#"{"Token":"","#, 1), Refusal::Malformed).await;
    world.refuses(twice.replacen('{', r#"{"x":[{"y":1,"y":1}],"#, 1), Refusal::Malformed).await;
}

#[tokio::test]
async fn malformed_body_without_token_is_400() {
    let world = World::new().await;
    let body = with(&world.suspend(), |body| {
        body.remove("Token");
        body.insert("VersionName".to_owned(), json!(1));
    });
    world.refuses(body, Refusal::Malformed).await;
}

#[tokio::test]
async fn invalid_token_is_401_with_fixed_challenge() {
    let world = World::new().await;
    let good = world.suspend();
    for (body, error) in [
        (with(&good, |body| _ = body.remove("Token")), TokenError::Missing),
        (good.clone().with_token(Value::Null).body(), TokenError::Missing),
        (good.clone().with_token("").body(), TokenError::Missing),
        (good.clone().with_token(1).body(), TokenError::Missing),
        (good.clone().with_token("a".repeat(8 * 1024 + 1)).body(), TokenError::TooLong),
        (good.clone().with_token("x.y").body(), TokenError::Malformed),
        (good.clone().header("alg", "HS256").body(), TokenError::Algorithm),
        (good.clone().header("crit", json!(["exp"])).body(), TokenError::Critical),
        (good.clone().forged().body(), TokenError::Signature),
        (good.clone().header("kid", "00").without_header("x5t").body(), TokenError::UnknownKey),
        (good.clone().issuer("https://evil.example").body(), TokenError::Issuer),
        (good.clone().audience("another").body(), TokenError::Audience),
        (good.clone().issued_at(1_400_000_000).body(), TokenError::Expired),
        (
            good.clone().claim("nbf", 4_000_000_000_i64).claim("exp", 4_000_000_360_i64).body(),
            TokenError::NotYetValid,
        ),
        (
            good.clone().without_claim("http://schemes.superoffice.net/identity/ctx").body(),
            TokenError::NoTenant,
        ),
    ] {
        let response = world.post(body.clone()).await;
        assert_eq!(response.extensions().get(), Some(&Refusal::Token(error)));
        let challenge = response.headers()[header::WWW_AUTHENTICATE].to_str().unwrap();
        let expected = format!(
            "Bearer error=\"invalid_token\", error_description=\"{}\"",
            error.description()
        );
        assert_eq!(challenge, expected);
        world.refuses(body, Refusal::Token(error)).await;
    }
}

#[tokio::test]
async fn token_of_another_tenant_is_403_ignoring_case() {
    let world = World::new().await;
    let other = TenantId::new("Cust2").unwrap();
    world.refuses(world.suspend().token_tenant(&other).body(), Refusal::OtherTenant).await;
    let shouted = TenantId::new("CUST1").unwrap();
    world.takes(&world.suspend().token_tenant(&shouted), Outcome::Applied).await;
}

#[tokio::test]
async fn each_outcome_is_204() {
    let world = World::new().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_secs()).unwrap() - 20;
    let suspend = world.suspend().issued_at(now);
    world.takes(&suspend, Outcome::Applied).await;
    assert!(world.gate.check(&world.tenant).is_err());
    world.takes(&suspend, Outcome::Duplicate).await;
    world.takes(&world.suspend().issued_at(now - 1), Outcome::Stale).await;
    world.takes(&world.suspend().issued_at(now + 1), Outcome::Recorded).await;
    let resume = world.simulator.notification(ChangeType::Resume, &world.tenant);
    world.takes(&resume.clone().issued_at(now), Outcome::Recorded).await;
    assert!(world.gate.check(&world.tenant).is_err(), "an older Resume opened the tenant");
    world.takes(&resume.issued_at(now + 2), Outcome::Applied).await;
    assert!(world.gate.check(&world.tenant).is_ok());
    world.takes(&suspend, Outcome::Stale).await;
    assert!(world.gate.check(&world.tenant).is_ok(), "a replay closed the tenant");
}

#[tokio::test]
async fn unknown_type_and_key_are_204() {
    let world = World::new().await;
    let novel = world.simulator.notification(ChangeType::Other(4_294_967_295), &world.tenant);
    world.takes(&novel.field("Novelty", json!({"a": [1]})), Outcome::Recorded).await;
    assert!(world.gate.check(&world.tenant).is_ok());
    assert_eq!(world.gate.snapshot().len(), 1);
}

#[tokio::test]
async fn any_content_type_is_204() {
    let world = World::new().await;
    let request = Request::post("/")
        .header("content-type", "text/plain")
        .body(Full::new(world.suspend().body()));
    assert_eq!(world.ask(request.unwrap()).await.status(), StatusCode::NO_CONTENT);
}

#[tokio::test]
async fn each_documented_token_shape_is_204() {
    let world = World::new().await;
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = i64::try_from(now.as_secs()).unwrap() - 20;
    let at = |second: i64| world.suspend().issued_at(now + second);
    let audience = world.simulator.application_id();
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
    ] {
        let response = world.post(notification.body()).await;
        assert_eq!(
            response.status(),
            StatusCode::NO_CONTENT,
            "{shape}: {:?}",
            response.extensions().get::<Refusal>()
        );
    }
    // They all stand on one axis of time: each was newer than the one before.
    assert_eq!(world.gate.health().notifications().applied(), 1);
    assert_eq!(world.gate.health().notifications().recorded(), 12);
}

#[tokio::test]
async fn issuer_of_another_environment_is_401() {
    let simulator = Simulator::start().await.unwrap();
    let gate = TenantGate::builder(Environment::Production)
        .audience(simulator.application_id())
        .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).unwrap())
        .build()
        .await
        .unwrap();
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
