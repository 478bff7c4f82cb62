//! Claims of a wrong type, at the edges of numbers, or of somebody else; all signed by the true key.

use bytes::Bytes;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_superoffice::{
    ChangeType, Environment, TenantGate,
    notification::Refusal,
    simulator::Simulator,
    token::{SigningKeys, TokenError},
};

use super::world::World;

pub(crate) const CASES: usize = OTHERS + DATES;
const OTHERS: usize = 34;
const DATES: usize = 21;

const TENANT: &str = "http://schemes.superoffice.net/identity/ctx";

#[tokio::test]
async fn crafted_issuer_audience_or_tenant_is_refused() {
    use TokenError::{Audience, Issuer, Malformed, NoTenant};
    let world = World::new().await;
    let id = world.simulator.application_id();
    let origin = world.simulator.hosts()[0].to_string();
    let origin = origin.trim_end_matches('/');
    let token = Refusal::Token;
    let cases: [(&str, Value, Refusal); OTHERS] = [
        ("iss", json!(null), token(Malformed)),
        ("iss", json!(1), token(Malformed)),
        ("iss", json!([origin]), token(Malformed)),
        ("iss", json!(""), token(Issuer)),
        ("iss", json!(format!("{origin}/")), token(Issuer)),
        ("iss", json!(format!("{origin}.evil.example")), token(Issuer)),
        ("iss", json!("SuperOffice AS "), token(Issuer)),
        ("iss", json!("Super\u{41e}ffice AS"), token(Issuer)),
        ("iss", json!("SuperOffice AS\u{0}"), token(Issuer)),
        ("iss", json!("https://sod.superoffice.com"), token(Issuer)),
        ("aud", json!(null), token(Malformed)),
        ("aud", json!(1), token(Malformed)),
        ("aud", json!({"id": id}), token(Malformed)),
        ("aud", json!([id, 1]), token(Malformed)),
        ("aud", json!([[id]]), token(Malformed)),
        ("aud", json!([]), token(Audience)),
        ("aud", json!(""), token(Audience)),
        ("aud", json!(format!("{id} ")), token(Audience)),
        ("aud", json!(format!("spn:spn:{id}")), token(Audience)),
        ("aud", json!(id[1..]), token(Audience)),
        ("aud", json!("*"), token(Audience)),
        (TENANT, json!(null), token(NoTenant)),
        (TENANT, json!(1), token(NoTenant)),
        (TENANT, json!(["Cust1"]), token(NoTenant)),
        (TENANT, json!(""), token(NoTenant)),
        (TENANT, json!("Cust1 "), token(NoTenant)),
        (TENANT, json!("Cust1\u{0}"), token(NoTenant)),
        (TENANT, json!("\u{421}ust1"), token(NoTenant)),
        (TENANT, json!("Cust\u{661}"), token(NoTenant)),
        (TENANT, json!("Cu\u{17f}t1"), token(NoTenant)),
        (TENANT, json!("Cust1/../Cust2"), token(NoTenant)),
        (TENANT, json!("Cust2"), Refusal::OtherTenant),
        (TENANT, json!("Cust11"), Refusal::OtherTenant),
        (TENANT, json!("Custl"), Refusal::OtherTenant),
    ];
    for (name, value, refusal) in cases {
        let body = world.resume().claim(name, value.clone()).body();
        world.refuses(&format!("{name} {value}"), body, refusal).await;
    }
    world.still_works().await;
}

#[tokio::test]
async fn crafted_date_is_refused() {
    let world = World::new().await;
    let dates: [Value; DATES] = [
        json!(i64::MAX),
        json!(i64::MIN),
        json!(i64::MAX - 1),
        json!(u64::MAX),
        json!(f64::MAX),
        json!(f64::MIN),
        json!(9_007_199_254_740_994_i64),
        json!(-9_007_199_254_740_994_i64),
        json!(1e300),
        json!(null),
        json!(true),
        json!([]),
        json!({}),
        json!(""),
        json!("-1"),
        json!("1e3"),
        json!(" 1"),
        json!("NaN"),
        json!("Infinity"),
        json!("99999999999999999999"),
        json!("\u{661}"),
    ];
    for date in dates {
        for name in ["exp", "nbf", "iat"] {
            let body = world.resume().claim(name, date.clone()).body();
            let refusal = Refusal::Token(TokenError::Malformed);
            world.refuses(&format!("{name} {date}"), body, refusal).await;
        }
    }
    // Numbers that are dates: just not of now.
    for past in
        [json!(0), json!(-0.0), json!(-1), json!(1e-300), json!(f64::MIN_POSITIVE), json!("0")]
    {
        let body = world.resume().claim("exp", past.clone()).body();
        world.refuses(&past.to_string(), body, Refusal::Token(TokenError::Expired)).await;
    }
    for far in [json!(9_007_199_254_740_992_i64), json!(4e9), json!("4000000000")] {
        let body = world.resume().claim("nbf", far.clone()).body();
        world.refuses(&far.to_string(), body, Refusal::Token(TokenError::NotYetValid)).await;
        let body = world.resume().without_claim("nbf").claim("iat", far.clone()).body();
        world.refuses(&far.to_string(), body, Refusal::Token(TokenError::NotYetValid)).await;
        // Without any other date, exp alone says when it was made: far ahead.
        let alone = world.resume().without_claim("nbf").without_claim("iat");
        let body = alone.claim("exp", far.clone()).body();
        world.refuses(&far.to_string(), body, Refusal::Token(TokenError::NotYetValid)).await;
    }
    let body = world.resume().without_claim("exp").body();
    world.refuses("no exp", body, Refusal::Token(TokenError::Expired)).await;
    world.still_works().await;
}

/// The environments' certificates hang on one root. Only the environment's own key counts.
#[tokio::test]
async fn development_token_is_refused_in_production() {
    let (sod, production) = (Simulator::start().await.unwrap(), Simulator::start().await.unwrap());
    let gate = TenantGate::builder(Environment::Production)
        .audience(production.application_id())
        .signing_keys(SigningKeys::from_pem(production.certificate_pem()).unwrap())
        .build()
        .await
        .unwrap();
    let tenant = tower_superoffice::TenantId::new("Cust1").unwrap();
    let post = async |body: Bytes| {
        let request = Request::post("/").body(Full::new(body)).unwrap();
        let response = gate.notification_service().oneshot(request).await.unwrap();
        response.extensions().get::<Refusal>().copied()
    };
    for (issuer, error) in [
        ("https://sod.superoffice.com", TokenError::Issuer),
        // Both environments may say this, so the key has to tell them apart.
        ("SuperOffice AS", TokenError::UnknownKey),
    ] {
        let body = sod.notification(ChangeType::Suspend, &tenant).issuer(issuer).body();
        assert_eq!(post(body).await, Some(Refusal::Token(error)), "{issuer}");
    }
    let nameless = sod.notification(ChangeType::Suspend, &tenant).issuer("SuperOffice AS");
    let nameless = nameless.without_header("kid").without_header("x5t").body();
    assert_eq!(post(nameless).await, Some(Refusal::Token(TokenError::Signature)));
    assert!(gate.snapshot().is_empty());
}
