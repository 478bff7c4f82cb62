//! The simulator, looked at from outside: with plain clients, openssl and another JWT library.

use std::{
    convert::Infallible,
    fs,
    io::Write as _,
    process::{Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, SystemTime},
};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Empty, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceExt;
use tower_superoffice::{
    ChangeType, TenantId,
    simulator::{Fault, NotifyError, Simulator, SimulatorBody},
    status::State,
};

fn tenant() -> TenantId {
    TenantId::new("Cust12345").unwrap()
}

async fn call(method: &str, url: &str, body: impl Into<Bytes>) -> (StatusCode, Bytes) {
    let client: Client<HttpConnector, Full<Bytes>> =
        Client::builder(TokioExecutor::new()).build_http();
    let request = Request::builder().method(method).uri(url).body(Full::new(body.into())).unwrap();
    let answer = client.request(request).await.unwrap();
    (answer.status(), answer.into_body().collect().await.unwrap().to_bytes())
}

async fn get_json(url: &str) -> Value {
    let (status, body) = call("GET", url, "").await;
    assert_eq!(status, 200, "{url}");
    serde_json::from_slice(&body).unwrap()
}

fn state_url(simulator: &Simulator) -> String {
    simulator.environment().state_url(&tenant()).to_string()
}

fn key_url(simulator: &Simulator) -> String {
    simulator.environment().key_url().to_string()
}

fn openssl(arguments: &[&str], input: &[u8]) -> String {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("install openssl to run this test");
    child.stdin.take().unwrap().write_all(input).unwrap();
    let output = child.wait_with_output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

#[tokio::test]
async fn openssl_verifies_the_version_1_certificate() {
    let simulator = Simulator::start().await.unwrap();
    let certificate = simulator.certificate_pem();
    let text = openssl(&["x509", "-noout", "-text", "-fingerprint"], certificate.as_bytes());
    assert!(text.contains("Version: 1 (0x0)"), "{text}");
    assert!(text.contains("Public-Key: (2048 bit)"), "{text}");
    assert!(text.contains("sha256WithRSAEncryption"), "{text}");
    assert!(text.contains("2114 GMT"), "{text}");
    assert!(!text.contains("extensions"), "{text}");

    let keys = get_json(&key_url(&simulator)).await;
    let fingerprint = text.split("Fingerprint=").nth(1).unwrap().trim().replace(':', "");
    assert_eq!(keys["keys"][0]["kid"], fingerprint);

    let file = Temporary::new("certificate.pem", certificate.as_bytes());
    let verdict = openssl(&["verify", "-check_ss_sig", "-CAfile", file.path(), file.path()], b"");
    assert!(verdict.contains(": OK"), "{verdict}");
}

#[tokio::test]
async fn key_set_has_the_members_of_superoffice() {
    let simulator = Simulator::start().await.unwrap();
    let keys = get_json(&key_url(&simulator)).await;
    assert_eq!(keys, serde_json::from_str::<Value>(&simulator.key_set()).unwrap());
    let key = &keys["keys"][0];
    for (member, value) in [
        ("kty", json!("RSA")),
        ("use", json!("sig")),
        ("alg", json!("RS256")),
        ("e", json!("AQAB")),
        ("key_ops", json!([])),
        ("KeySize", json!(2048)),
        ("HasPrivateKey", json!(false)),
    ] {
        assert_eq!(key[member], value, "{member}");
    }
    let hex = key["kid"].as_str().unwrap();
    let x5t = URL_SAFE_NO_PAD.decode(key["x5t"].as_str().unwrap()).unwrap();
    assert_eq!(hex, x5t.iter().map(|byte| format!("{byte:02X}")).collect::<String>());
    assert_eq!(URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap().len(), 256);
    let pem = simulator.certificate_pem();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(key["x5c"], json!([base64]));

    let discovery = simulator.environment().origin() + "/login/.well-known/openid-configuration";
    assert_eq!(get_json(&discovery).await["jwks_uri"], key_url(&simulator));
    assert_eq!(simulator.key_requests(), 1);
}

/// Takes notifications and keeps their bodies.
async fn receiver(simulator: &Simulator, status: StatusCode) -> Arc<Mutex<Vec<Value>>> {
    let bodies = Arc::new(Mutex::new(Vec::new()));
    let kept = Arc::clone(&bodies);
    let route = axum::routing::post(move |axum::Json(body): axum::Json<Value>| async move {
        kept.lock().unwrap().push(body);
        status
    });
    let app = axum::Router::new().route("/changed", route);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/changed", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    simulator.notify_to(url.parse().unwrap());
    bodies
}

fn claims(token: &str) -> Value {
    let part = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

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
async fn other_libraries_verify_the_token_and_refuse_a_forged_one() {
    let simulator = Simulator::builder().application_id("my-app").start().await.unwrap();
    let notification = simulator.notification(ChangeType::Upgrade, &tenant());
    let (genuine, forged) = (notification.token(), notification.forged().token());

    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&simulator.key_set()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&keys.keys[0]).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_audience(&["my-app"]);
    validation.set_issuer(&[simulator.environment().origin()]);
    validation.validate_nbf = true;
    assert!(jsonwebtoken::decode::<Value>(&genuine, &key, &validation).is_ok());
    assert!(jsonwebtoken::decode::<Value>(&forged, &key, &validation).is_err());

    let header = |token: &str| token.split('.').next().unwrap().to_owned();
    assert_eq!(header(&genuine), header(&forged), "a forger claims the true key id");
    let public = openssl(&["x509", "-pubkey", "-noout"], simulator.certificate_pem().as_bytes());
    let public = Temporary::new("public.pem", public.as_bytes());
    for (token, verdict) in [(genuine, "Verified OK"), (forged, "Verification failure")] {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = Temporary::new("signature", &URL_SAFE_NO_PAD.decode(signature).unwrap());
        let arguments =
            ["dgst", "-sha256", "-verify", public.path(), "-signature", signature.path()];
        let said = openssl(&arguments, message.as_bytes());
        assert!(said.contains(verdict), "{said}");
    }
}

#[tokio::test]
async fn every_part_of_a_notification_can_be_changed() {
    let simulator = Simulator::start().await.unwrap();
    let other = TenantId::new("Cust2").unwrap();
    let bent = simulator
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
    let body: Value = serde_json::from_slice(&bent.body()).unwrap();
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
async fn state_api_responds_as_documented() {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(1_771_840_321_934);
    let simulator = Simulator::builder().clock(move || now).start().await.unwrap();
    let endpoint = format!("{}/Cust12345", simulator.environment().origin());
    assert_eq!(
        get_json(&state_url(&simulator)).await,
        json!({
            "ContextIdentifier": "Cust12345",
            "Endpoint": endpoint,
            "State": "Running",
            "IsRunning": true,
            "ValidUntil": "2026-02-23T09:52:11.9340000Z",
            "Api": endpoint.clone() + "/api",
            "Version": "Release_11.10_2026.02.24-02",
        })
    );
    for (state, running, endpoint) in [
        (State::OnlineMaintenance, true, json!(endpoint)),
        (State::Suspended, false, json!(endpoint)),
        (State::Deleted, false, Value::Null),
    ] {
        simulator.set_state(&tenant(), state);
        let answer = get_json(&state_url(&simulator)).await;
        assert_eq!(answer["State"], state.name());
        assert_eq!(answer["IsRunning"], running);
        assert_eq!(answer["Endpoint"], endpoint);
    }
    simulator.set_unlisted_state(&tenant(), "Frozen", false);
    assert_eq!(get_json(&state_url(&simulator)).await["State"], "Frozen");
    assert_eq!((simulator.state_requests(&tenant()), simulator.all_state_requests()), (5, 5));
    let (status, _) = call("POST", &state_url(&simulator), "").await;
    assert_eq!(status, 405);
}

#[tokio::test]
async fn lagging_state_api_shows_the_past() {
    let time = Arc::new(Mutex::new(SystemTime::UNIX_EPOCH + Duration::from_secs(10_000)));
    let clock = Arc::clone(&time);
    let simulator =
        Simulator::builder().clock(move || *clock.lock().unwrap()).start().await.unwrap();
    simulator.state_api_lag(Duration::from_secs(30));
    simulator.suspend(&tenant()).without_notification();
    simulator.move_tenant(&tenant()).without_notification();
    for (later, state, host) in [(0, "Running", 0), (29, "Running", 0), (1, "Suspended", 1)] {
        *time.lock().unwrap() += Duration::from_secs(later);
        let answer = get_json(&state_url(&simulator)).await;
        assert_eq!(answer["State"], state);
        let origin = simulator.hosts()[host].to_string();
        assert_eq!(answer["Endpoint"], format!("{origin}Cust12345"));
    }
}

#[tokio::test]
async fn calls_are_answered_and_counted() {
    let simulator = Simulator::start().await.unwrap();
    let url = simulator.url(&tenant(), "/api/v1/Contact?top=1");
    let (status, body) = call("PUT", &url, vec![7; 300_000]).await;
    assert_eq!(status, 200);
    let host = simulator.hosts()[0].authority().unwrap().to_string();
    assert_eq!(
        serde_json::from_slice::<Value>(&body).unwrap(),
        json!({
            "ContextIdentifier": "Cust12345", "Method": "PUT", "Path": "/Cust12345/api/v1/Contact",
            "Query": "top=1", "Host": host, "BodyLength": 300_000,
        })
    );
    assert_eq!(simulator.calls(&tenant()), 1);

    simulator.suspend(&tenant()).without_notification();
    assert_eq!(call("GET", &url, "").await.0, 503);
    simulator.closed_tenants_answer(StatusCode::FORBIDDEN);
    let escaped = url.replace("/Cust", "//%43UST");
    assert_eq!(call("DELETE", &escaped, "").await.0, 403);
    assert_eq!((simulator.calls(&tenant()), simulator.calls_while_closed()), (3, 2));
    let last = simulator.closed_calls().pop().unwrap();
    assert_eq!((last.tenant(), last.method().as_str()), (&tenant(), "DELETE"));
    assert_eq!((last.path(), last.state()), ("//%43UST12345/api/v1/Contact", "Suspended"));

    simulator.resume(&tenant()).without_notification();
    assert_eq!(call("GET", &url, "").await.0, 200);
    assert_eq!((simulator.all_calls(), simulator.calls_while_closed()), (4, 2));
}

#[tokio::test]
async fn call_to_the_old_host_of_a_moved_tenant_is_421() {
    let simulator = Simulator::start().await.unwrap();
    let bodies = receiver(&simulator, StatusCode::NO_CONTENT).await;
    let old = simulator.url(&tenant(), "api");
    assert_eq!(simulator.move_tenant(&tenant()).await.unwrap(), 204);
    let new = simulator.url(&tenant(), "api");
    let body = bodies.lock().unwrap().pop().unwrap();
    assert_eq!(body["ChangeType"], 5);
    assert_eq!(new, format!("http://{}/Cust12345/api", body["PublicEndpoint"].as_str().unwrap()));
    assert_ne!(old, new);

    let (status, text) = call("POST", &old, "{}").await;
    assert_eq!((status.as_u16(), &text[..]), (421, &b"Wrong subdomain used to access tenant"[..]));
    assert_eq!(call("POST", &new, "{}").await.0, 200);
    assert_eq!((simulator.calls(&tenant()), simulator.misdirected_calls(&tenant())), (1, 1));
    let (status, _) = call("GET", &new.replace("Cust12345/api", "api/state/Cust12345"), "").await;
    assert_eq!(status, 404, "the state API lives on the environment's host alone");

    simulator.move_tenant(&tenant()).without_notification();
    assert_eq!(simulator.url(&tenant(), "api"), old);
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
    assert!(bodies.lock().unwrap().is_empty(), "a silent change tells nobody");
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

#[tokio::test]
async fn key_url_and_state_api_show_the_configured_fault() {
    let simulator = Simulator::start().await.unwrap();
    let (keys, state) = (key_url(&simulator), state_url(&simulator));
    simulator.key_server(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR));
    simulator.state_api(Fault::Unknown);
    assert_eq!(call("GET", &keys, "").await.0, 500);
    let answer = get_json(&state).await;
    assert_eq!((&answer["State"], &answer["IsRunning"]), (&json!("Unknown"), &json!(false)));

    simulator.key_server(Fault::Empty);
    simulator.state_api(Fault::Empty);
    assert_eq!((get_json(&keys).await, get_json(&state).await), (json!({"keys": []}), json!({})));

    simulator.key_server(Fault::Oversized);
    assert!(call("GET", &keys, "").await.1.len() > 5_000_000);
    simulator.key_server(Fault::Html);
    assert!(call("GET", &keys, "").await.1.starts_with(b"<!DOCTYPE html>"));
    simulator.key_server(Fault::Json("[1]".to_owned()));
    assert_eq!(get_json(&keys).await, json!([1]));

    for (fault, status, header, value) in [
        (Fault::TooManyRequests(7), 429, "retry-after", "7"),
        (Fault::Redirect("http://127.0.0.1/".to_owned()), 302, "location", "http://127.0.0.1/"),
    ] {
        simulator.state_api(fault);
        let request = Request::get(&state).body(Empty::<Bytes>::new()).unwrap();
        let answer = simulator.network().oneshot(request).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()[header]),
            (status, &value.parse().unwrap())
        );
    }
    simulator.state_api(Fault::None);
    assert_eq!(get_json(&state).await["State"], "Running");
}

#[tokio::test(start_paused = true)]
async fn network_works_with_paused_time() {
    let simulator = Simulator::start().await.unwrap();
    let get = |uri: String| {
        simulator.network().oneshot(Request::get(uri).body(Empty::<Bytes>::new()).unwrap())
    };
    simulator.state_api(Fault::Hang);
    let hung = tokio::time::timeout(Duration::from_secs(3600), get(state_url(&simulator))).await;
    assert!(hung.is_err());

    simulator.state_api(Fault::Slow(Duration::from_secs(4)));
    let began = tokio::time::Instant::now();
    assert_eq!(get(state_url(&simulator)).await.unwrap().status(), 200);
    assert_eq!(began.elapsed(), Duration::from_secs(4));

    assert_eq!(get(simulator.url(&tenant(), "api")).await.unwrap().status(), 200);
    assert_eq!(simulator.calls(&tenant()), 1);
    let refused = get("http://127.0.0.1:1/Cust12345".to_owned()).await.unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
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

#[tokio::test]
async fn rotation_keeps_the_old_key_until_retired() {
    let simulator = Simulator::start().await.unwrap();
    let ids = async || {
        let keys = get_json(&key_url(&simulator)).await;
        let ids = keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone());
        ids.collect::<Vec<_>>()
    };
    let first = ids().await;
    simulator.rotate_key().await.unwrap();
    let both = ids().await;
    assert_eq!((both.len(), &both[1]), (2, &first[0]));
    let token = simulator.notification(ChangeType::Resume, &tenant()).token();
    assert_eq!(json!(jsonwebtoken::decode_header(&token).unwrap().kid), both[0]);
    simulator.retire_old_keys();
    assert_eq!(ids().await, both[..1]);
}

#[tokio::test]
async fn raw_requests_share_one_connection() {
    let simulator = Simulator::start().await.unwrap();
    let address = simulator.hosts()[0].authority().unwrap().as_str();
    let mut stream = TcpStream::connect(address).await.unwrap();
    for (head, expected) in [
        ("GET /Cust12345/api HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 200 OK\r\n"),
        ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404 Not Found\r\n"),
        (
            "HEAD /login/.well-known/jwks HTTP/1.1\r\nHost: x\r\n\r\n",
            "HTTP/1.1 405 Method Not Allowed\r\nallow: GET\r\n",
        ),
    ] {
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut buffer = [0; 4096];
        let length = stream.read(&mut buffer).await.unwrap();
        let text = String::from_utf8_lossy(&buffer[..length]);
        assert!(text.starts_with(expected), "{text}");
    }
}

#[tokio::test]
async fn sockets_close_with_the_last_handle() {
    let simulator = Simulator::start().await.unwrap();
    let address = simulator.hosts()[1].authority().unwrap().to_string();
    let mut idle = TcpStream::connect(&address).await.unwrap();
    let other = simulator.clone();
    drop(simulator);
    assert!(TcpStream::connect(&address).await.is_ok(), "a handle is left");
    drop(other);
    let read = tokio::time::timeout(Duration::from_secs(5), idle.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(read, Ok(0) | Err(_)), "the connection was closed");
    assert!(TcpStream::connect(&address).await.is_err());
}

/// A file that goes away with this value.
struct Temporary(std::path::PathBuf);

impl Temporary {
    fn new(name: &str, content: &[u8]) -> Self {
        let unique = format!("simulator-{}-{}-{name}", std::process::id(), fastrand::u64(..));
        let path = std::env::temp_dir().join(unique);
        fs::write(&path, content).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        fs::remove_file(&self.0).ok();
    }
}
