//! The crate without any feature: a gate from a certificate, a notification, a guarded service.

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::{
    BuildError, Environment, GuardError, TenantGate, TenantId, UnavailableReason,
    notification::Refusal,
    token::{SigningKeys, TokenError},
};

const CERTIFICATE: &str = include_str!("../../fixtures/v1-sha1.crt");
/// For the audience `app` and the tenant `Cust12345`, signed with the key of the certificate.
const TOKEN: &str = include_str!("../../fixtures/token.jwt");
/// A second at which the token is valid.
const NOW: u64 = 1_700_000_000;

async fn gate() -> TenantGate {
    TenantGate::builder(Environment::Production)
        .audience("app")
        .signing_keys(SigningKeys::from_pem(CERTIFICATE).unwrap())
        .clock(|| UNIX_EPOCH + Duration::from_secs(NOW))
        .state_api(false)
        .build()
        .await
        .unwrap()
}

fn suspend(token: &str) -> Request<Full<Bytes>> {
    let body = serde_json::json!({
        "ChangeType": 2,
        "ContextIdentifier": "Cust12345",
        "VersionName": "Release 10.3",
        "FileVersion": "10.3.1",
        "Token": token.trim(),
    });
    Request::post("/NotifyCustomerStateChange").body(Full::from(body.to_string())).unwrap()
}

#[tokio::test]
async fn a_suspended_tenant_gets_no_call_and_others_do() {
    let gate = gate().await;
    let calls = Arc::new(AtomicU32::new(0));
    let counter = Arc::clone(&calls);
    let client = gate.guard_layer().layer(service_fn(move |_: Request<()>| {
        counter.fetch_add(1, Ordering::Relaxed);
        async { Ok::<_, Infallible>(Response::new(())) }
    }));
    let call = |tenant: &str| {
        let url = format!("https://online3.superoffice.com/{tenant}/api/v1/Contact/1");
        client.clone().oneshot(Request::get(url).body(()).unwrap())
    };
    assert!(call("Cust12345").await.is_ok());

    let answer = gate.notification_service().oneshot(suspend(TOKEN)).await.unwrap();
    assert_eq!(
        answer.status(),
        StatusCode::NO_CONTENT,
        "{:?}",
        answer.extensions().get::<Refusal>()
    );

    let Err(GuardError::Unavailable(closed)) = call("cust12345").await else {
        panic!("the call got through")
    };
    assert_eq!(closed.reason(), UnavailableReason::Suspended);
    assert_eq!(closed.tenant(), &TenantId::new("Cust12345").unwrap());
    assert!(call("Cust54321").await.is_ok());
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_token_that_was_tampered_with_closes_nothing() {
    let gate = gate().await;
    let (signed, signature) = TOKEN.rsplit_once('.').unwrap();
    let (first, rest) = signature.split_at(1);
    let other = if first == "A" { "B" } else { "A" };
    let forged = format!("{signed}.{other}{rest}");
    let answer = gate.notification_service().oneshot(suspend(&forged)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED);
    let refusal = Refusal::Token(TokenError::Signature);
    assert_eq!(answer.extensions().get::<Refusal>(), Some(&refusal));
    assert!(gate.check(&TenantId::new("Cust12345").unwrap()).is_ok());
}

#[tokio::test]
async fn without_keys_and_without_a_client_a_gate_can_not_be_built() {
    let built = TenantGate::builder(Environment::Production).audience("app").build().await;
    assert!(matches!(built, Err(BuildError::NoClient)), "{built:?}");
}
