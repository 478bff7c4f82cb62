//! Claims of a wrong type, at the edges of numbers, or of another origin; all signed by the true
//! key.

use bytes::Bytes;
use harness::gate_builder_of;
use http::Request;
use http_body_util::Full;
use serde_json::{Value, json};
use tower::ServiceExt;
use tower_superoffice::{
    ChangeType, Environment, notification::Refusal, simulator::Simulator, token::TokenError,
};

use super::env::AdversarialEnv;

pub(crate) const CASES: usize = OTHERS + DATES + PERSONAL + LIVES;
const OTHERS: usize = 34;
const DATES: usize = 21;
const PERSONAL: usize = 23;
const LIVES: usize = 7;

const TENANT: &str = "http://schemes.superoffice.net/identity/ctx";

#[tokio::test]
async fn crafted_issuer_audience_or_tenant_is_refused() {
    use TokenError::{Audience, Issuer, Malformed, NoTenant};
    let env = AdversarialEnv::new().await;
    let id = env.simulator.application_id();
    let origin = env.simulator.environment().origin();
    let origin = origin.as_str();
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
        let body = env.resume().claim(name, value.clone()).body();
        env.refuses(&format!("{name} {value}"), body, refusal).await;
    }
    env.still_works().await;
}

#[tokio::test]
async fn crafted_date_is_refused() {
    let env = AdversarialEnv::new().await;
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
            let body = env.resume().claim(name, date.clone()).body();
            let refusal = Refusal::Token(TokenError::Malformed);
            env.refuses(&format!("{name} {date}"), body, refusal).await;
        }
    }
    // Numbers that are dates: just not of now.
    for past in
        [json!(0), json!(-0.0), json!(-1), json!(1e-300), json!(f64::MIN_POSITIVE), json!("0")]
    {
        let body = env.resume().claim("exp", past.clone()).body();
        env.refuses(&past.to_string(), body, Refusal::Token(TokenError::Expired)).await;
    }
    for far in [json!(9_007_199_254_740_992_i64), json!(4e9), json!("4000000000")] {
        let body = env.resume().claim("nbf", far.clone()).body();
        env.refuses(&far.to_string(), body, Refusal::Token(TokenError::NotYetValid)).await;
        let body = env.resume().without_claim("nbf").claim("iat", far.clone()).body();
        env.refuses(&far.to_string(), body, Refusal::Token(TokenError::NotYetValid)).await;
        // Without any other date, exp alone says when it was made: far ahead.
        let alone = env.resume().without_claim("nbf").without_claim("iat");
        let body = alone.claim("exp", far.clone()).body();
        env.refuses(&far.to_string(), body, Refusal::Token(TokenError::NotYetValid)).await;
    }
    let body = env.resume().without_claim("exp").body();
    env.refuses("no exp", body, Refusal::Token(TokenError::Expired)).await;
    env.still_works().await;
}

/// Any user of a tenant can get such a token from a login: it must not open or close the tenant.
#[tokio::test]
async fn tokens_that_speak_for_a_person() {
    let env = AdversarialEnv::new().await;
    let identity = |name: &str| format!("http://schemes.superoffice.net/identity/{name}");
    let both =
        |name: &str, value: Value| [(name.to_owned(), value.clone()), (identity(name), value)];
    let cases: [(String, Value); PERSONAL] = [
        both("associateid", json!("5")),
        both("associateid", json!(0)),
        both("upn", json!("")),
        both("email", json!("someone@example.com")),
        both("email", json!(null)),
        both("is_administrator", json!("False")),
        both("initials", json!([])),
        both("so_primary_email_address", json!({})),
    ]
    .into_iter()
    .flatten()
    .chain(
        [
            ("at_hash", json!("77QmUPtjPfzWtF2AnpK9RQ")),
            ("c_hash", json!("")),
            ("auth_time", json!(1_400_000_000)),
            ("auth_time", json!(null)),
            ("sub", json!("someone@example.com")),
            ("sub", json!("@")),
            ("sub", json!("Cust1\u{0}@")),
        ]
        .map(|(name, value)| (name.to_owned(), value)),
    )
    .collect::<Vec<_>>()
    .try_into()
    .unwrap();
    let personal = Refusal::Token(TokenError::SpeaksForPerson);
    for (name, value) in cases {
        let case = format!("{name} {value}");
        env.refuses(&case, env.resume().claim(&name, value.clone()).body(), personal).await;
        let service = env.resume().service_token().claim(&name, value);
        env.refuses(&case, service.body(), personal).await;
    }
    env.refuses("a login token", env.resume().login_token().body(), personal).await;
    let forged = env.resume().login_token().forged().body();
    env.refuses("a forged one", forged, Refusal::Token(TokenError::Signature)).await;
    let other = env.resume().login_token().audience("another").body();
    env.refuses("another application's", other, Refusal::Token(TokenError::Audience)).await;
    assert_eq!(env.post(env.resume().service_token().body()).await, Ok(()));
    env.still_works().await;
}

#[tokio::test]
async fn tokens_that_live_for_more_than_an_hour() {
    let env = AdversarialEnv::new().await;
    let lives: [i64; LIVES] = [3601, 3660, 7200, 86_400, 31_536_000, i64::from(u32::MAX), 1 << 52];
    for life in lives {
        let body = env.resume().valid_for(life).body();
        env.refuses(&life.to_string(), body, Refusal::Token(TokenError::LongLived)).await;
    }
    assert_eq!(env.post(env.resume().valid_for(3600).body()).await, Ok(()));
    env.still_works().await;
}

/// A system user's token is meant for the tenant's serial number, which differs from tenant to
/// tenant.
#[tokio::test]
async fn token_of_a_system_user_is_meant_for_another_audience() {
    let env = AdversarialEnv::new().await;
    let body = env.resume().system_user_token("1234567890").body();
    env.refuses("system user", body, Refusal::Token(TokenError::Audience)).await;
    env.still_works().await;
}

/// The environments' certificates hang on one root. Only the environment's own key counts.
#[tokio::test]
async fn development_token_is_refused_in_production() {
    let (sod, production) = (Simulator::start().await.unwrap(), Simulator::start().await.unwrap());
    let gate = gate_builder_of(Environment::Production, &production).build().await.unwrap();
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
