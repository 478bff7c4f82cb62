//! Notifications: their shape, what a test can change of them, and their delivery.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use serde_json::{Value, json};
use tower_superoffice::{
    ChangeType, TenantId,
    simulator::{NotifyError, Simulator, SimulatorBody},
};

use super::{claims, get_json, key_url, receiver, state_url, tenant};

#[tokio::test]
async fn notification_has_the_shape_of_superoffice() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let builder = Simulator::builder().application_id("my-app").clock(move || now);
    let simulator = builder.start().await.unwrap();
    let bodies = receiver(&simulator, StatusCode::NO_CONTENT).await;

    let answer = simulator.notify(ChangeType::Suspend, &tenant()).await.unwrap();
    assert_eq!(answer, 204);
    let body = bodies.lock().unwrap().pop().unwrap();
    assert_eq!(body["ChangeType"], 2);
    assert_eq!(body["ContextIdentifier"], "Cust12345");
    assert!(body["VersionName"].is_string() && body["FileVersion"].is_string());
    assert!(body.get("PublicEndpoint").is_none());

    let token = body["Token"].as_str().unwrap();
    let header = jsonwebtoken::decode_header(token).unwrap();
    let key = &get_json(&key_url(&simulator)).await["keys"][0];
    assert_eq!((header.typ.as_deref(), header.alg), (Some("JWT"), jsonwebtoken::Algorithm::RS256));
    assert_eq!((json!(header.kid), json!(header.x5t)), (key["kid"].clone(), key["x5t"].clone()));
    assert_eq!(
        claims(token),
        json!({
            "iss": simulator.environment().origin(),
            "aud": "my-app",
            "http://schemes.superoffice.net/identity/ctx": "Cust12345",
            "iat": 1_800_000_000,
            "nbf": 1_799_999_940,
            "exp": 1_800_000_300,
        })
    );
}

#[tokio::test]
async fn every_part_of_a_notification_can_be_changed() {
    let simulator = Simulator::start().await.unwrap();
    let other = TenantId::new("Cust2").unwrap();
    let changed = simulator
        .notification(ChangeType::Other(9), &tenant())
        .issued_at(1000)
        .issuer("SuperOffice AS")
        .claim("aud", json!(["spn:X", "y"]))
        .claim("iat", "1000")
        .without_claim("exp")
        .token_tenant(&other)
        .base64_key_id()
        .without_header("x5t")
        .header("crit", json!(["exp"]))
        .field("VersionName", Value::Null)
        .without_field("FileVersion")
        .public_endpoint("sod3.superoffice.com");
    let body: Value = serde_json::from_slice(&changed.body()).unwrap();
    assert_eq!(body["ChangeType"], 9);
    assert_eq!(body.get("VersionName"), Some(&Value::Null));
    assert_eq!(body.get("FileVersion"), None);
    assert_eq!(body["PublicEndpoint"], "sod3.superoffice.com");
    let claims = claims(body["Token"].as_str().unwrap());
    assert_eq!(
        claims,
        json!({
            "iss": "SuperOffice AS", "aud": ["spn:X", "y"], "iat": "1000", "nbf": 940,
            "http://schemes.superoffice.net/identity/ctx": "Cust2",
        })
    );
    let header = body["Token"].as_str().unwrap().split('.').next().unwrap();
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).unwrap()).unwrap();
    let keys: Value = serde_json::from_str(&simulator.key_set()).unwrap();
    assert_eq!(
        header,
        json!({"typ": "JWT", "alg": "RS256", "crit": ["exp"], "kid": keys["keys"][0]["x5t"]})
    );

    let field = |body: Bytes| serde_json::from_slice::<Value>(&body).unwrap().get("Token").cloned();
    let plain = simulator.notification(ChangeType::Resume, &tenant());
    assert_eq!(field(plain.clone().without_field("Token").body()), None);
    assert_eq!(field(plain.clone().with_token(Value::Null).body()), Some(Value::Null));
    assert_eq!(field(plain.clone().with_token(7).body()), Some(json!(7)));
    assert!(!format!("{plain:?}").contains("eyJ"));
    let request = plain.request("http://127.0.0.1/x".parse().unwrap());
    assert_eq!((request.method().as_str(), request.uri().path()), ("POST", "/x"));
}

#[tokio::test]
async fn other_tokens_of_superoffice_differ_in_their_claims() {
    let simulator = Simulator::start().await.unwrap();
    let notification = || simulator.notification(ChangeType::Suspend, &tenant());
    let identity = |name: &str| format!("http://schemes.superoffice.net/identity/{name}");
    let (origin, id) = (simulator.environment().origin(), simulator.application_id());

    let login = claims(&notification().login_token().token());
    assert_eq!(login["iss"], origin);
    assert_eq!((&login["aud"], &login[identity("ctx")]), (&json!(id), &json!("Cust12345")));
    assert!(login["sub"].as_str().unwrap().contains('@'));
    for name in ["associateid", "upn", "email", "is_administrator", "initials", "company_name"] {
        assert!(login[identity(name)].is_string(), "{name}");
    }
    assert!(login["at_hash"].is_string() && login["auth_time"].is_number());
    let life = |claims: &Value| claims["exp"].as_i64().unwrap() - claims["nbf"].as_i64().unwrap();
    assert_eq!(life(&login), 360, "as a notification's");

    let service = claims(&notification().service_token().token());
    assert_eq!((&service["iss"], &service["sub"]), (&json!("SuperOffice AS"), &json!("Cust12345")));
    assert_eq!(service["aud"], format!("spn:{id}"));
    assert!(service["nonce"].is_string() && service.get(identity("email")).is_none());

    let system_user = claims(&notification().system_user_token("1234567890").token());
    assert_eq!(system_user["aud"], "spn:1234567890");

    assert_eq!(life(&claims(&notification().valid_for(7200).token())), 7200);
}

#[tokio::test]
async fn notifications_of_a_tenant_are_dated_a_second_apart() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(5_000);
    let simulator = Simulator::builder().clock(move || now).start().await.unwrap();
    let second = |tenant: &TenantId| {
        claims(&simulator.notification(ChangeType::Upgrade, tenant).token())["iat"].as_i64()
    };
    let seconds: Vec<_> = (0..70).map(|_| second(&tenant()).unwrap()).collect();
    let expected: Vec<i64> = (5_000..=5_060).chain([5_060; 9]).collect();
    assert_eq!(seconds, expected);
    assert_eq!(second(&TenantId::new("Cust2").unwrap()), Some(5_000));
}

#[tokio::test]
async fn change_reaches_tenant_and_receiver() {
    let simulator = Simulator::start().await.unwrap();
    simulator.notice(Duration::ZERO);
    let bodies = receiver(&simulator, StatusCode::SERVICE_UNAVAILABLE).await;
    let t = tenant();
    for (change, number, state) in [
        (simulator.upgrade(&t), 0, "OfflineMaintenance"),
        (simulator.restore(&t), 1, "OfflineMaintenance"),
        (simulator.suspend(&t), 2, "Suspended"),
        (simulator.resume(&t), 3, "Running"),
        (simulator.delete(&t), 4, "Deleted"),
    ] {
        assert_eq!(change.await.unwrap(), 503, "the receiver's answer is given back");
        assert_eq!(bodies.lock().unwrap().pop().unwrap()["ChangeType"], number);
        assert_eq!(get_json(&state_url(&simulator)).await["State"], state);
    }
    simulator.resume(&t).without_notification();
    assert_eq!(get_json(&state_url(&simulator)).await["State"], "Running");
    assert!(bodies.lock().unwrap().is_empty(), "a change without notification was delivered");
}

#[tokio::test]
async fn closing_change_is_notified_before_it_happens() {
    let simulator = Simulator::start().await.unwrap();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (kept, inner) = (Arc::clone(&seen), simulator.clone());
    simulator.notice(Duration::from_millis(1));
    simulator.notify_service(tower::service_fn(move |_: Request<SimulatorBody>| {
        let (kept, simulator) = (Arc::clone(&kept), inner.clone());
        async move {
            let state = get_json(&state_url(&simulator)).await["State"].clone();
            kept.lock().unwrap().push(state);
            Ok::<_, Infallible>(Response::new(()))
        }
    }));
    simulator.upgrade(&tenant()).await.unwrap();
    simulator.resume(&tenant()).await.unwrap();
    assert_eq!(*seen.lock().unwrap(), ["Running", "Running"]);
}

#[tokio::test]
async fn notification_without_a_receiver_is_an_error() {
    let simulator = Simulator::start().await.unwrap();
    simulator.notice(Duration::ZERO);
    let error = simulator.suspend(&tenant()).await.unwrap_err();
    assert!(matches!(error, NotifyError::NoReceiver));
    assert_eq!(get_json(&state_url(&simulator)).await["State"], "Suspended");

    // Nothing listens on a port that was just given back.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    simulator.notify_to(url.parse().unwrap());
    let error = simulator.notify(ChangeType::Resume, &tenant()).await.unwrap_err();
    assert!(matches!(error, NotifyError::Failed(_)), "{error}");
}

#[tokio::test(start_paused = true)]
async fn hanging_receiver_times_out() {
    let simulator = Simulator::start().await.unwrap();
    simulator.notify_service(tower::service_fn(async |_: Request<SimulatorBody>| {
        std::future::pending::<Result<Response<()>, Infallible>>().await
    }));
    let notification = simulator.notification(ChangeType::Resume, &tenant());
    let answer = tokio::time::timeout(Duration::from_secs(31), notification.send()).await.unwrap();
    assert!(matches!(answer, Err(NotifyError::TimedOut)));
}
