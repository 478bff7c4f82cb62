//! The memory that one body can take, JSON that is small as text and large as a value, and the
//! allocations of a notification.
//!
//! A body is handled within one poll, so a worker thread holds this much for one body at a time.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::{SystemTime, UNIX_EPOCH},
};

use allocation_counter::{AllocationInfo, measure};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use harness::TestEnv;
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::Service;
use tower_superoffice::{ChangeType, TenantGate, TenantId};

/// The largest body that is read.
const BODY: usize = 16 * 1024;

/// The largest token that is decoded.
const TOKEN: usize = 8 * 1024;

/// `start`, as many of `piece` as `length` has room for, and `end`.
fn filled(length: usize, start: &str, piece: &str, end: &str) -> String {
    let times = (length - start.len() - end.len()) / (piece.len() + 1);
    format!("{start}{}{end}", vec![piece; times].join(","))
}

/// The response to `body`, and what was allocated while it was handled.
fn handled(gate: &TenantGate, body: impl Into<Bytes>) -> (StatusCode, AllocationInfo) {
    let body = body.into();
    assert!(body.len() <= BODY, "{}", body.len());
    let request = Request::post("/").body(Full::new(body)).unwrap();
    let mut service = gate.notification_service();
    let mut status = None;
    let info = measure(|| {
        let mut answer = pin!(service.call(request));
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(response) = answer.as_mut().poll(&mut cx) else { panic!("pending") };
        status = Some(response.unwrap().status());
    });
    (status.unwrap(), info)
}

#[tokio::test]
async fn notification_takes_at_most_20_allocations() {
    let TestEnv { gate, simulator, .. } = TestEnv::with(|builder| builder.state_api(false)).await;
    let body = |change, tenant: &str, at: i64| {
        let tenant = TenantId::new(tenant).unwrap();
        let notification = simulator.notification(change, &tenant).issued_at(at);
        notification
            .field("VersionName", "Release 8.4 R08")
            .field("FileVersion", "8.4.12.1234")
            .body()
    };
    let now = now_s();
    // Takes what a gate allocates once.
    assert_eq!(handled(&gate, body(ChangeType::Suspend, "Cust1", now)).0, StatusCode::NO_CONTENT);
    for (name, body, status, budget) in [
        ("closed", body(ChangeType::Suspend, "Cust2", now), StatusCode::NO_CONTENT, 20),
        ("resumed", body(ChangeType::Resume, "Cust2", now + 1), StatusCode::NO_CONTENT, 20),
        ("expired", body(ChangeType::Suspend, "Cust3", now - 7200), StatusCode::UNAUTHORIZED, 10),
    ] {
        let (answered, info) = handled(&gate, body);
        println!("{name:<10} {:>4} allocations", info.count_total);
        assert_eq!(answered, status, "{name}");
        assert!(info.count_total <= budget, "{} for {name}", info.count_total);
    }
}

fn now_s() -> i64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    i64::try_from(now.as_secs()).unwrap()
}

#[tokio::test]
async fn every_body_allocates_less_than_a_mebibyte() {
    let TestEnv { gate, .. } = TestEnv::with(|builder| builder.state_api(false)).await;
    for piece in ["0", "[]", "[0]", "\"\"", "[\"\"]", "{\"\":0}", "{\"\":\"\"}", "{\"\":[0]}"] {
        let (status, info) = handled(&gate, filled(BODY, r#"{"a":["#, piece, "]}"));
        let bytes = info.bytes_max;
        println!("{piece:<10} {bytes:>9} bytes in a body");
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(bytes < 1 << 20, "{bytes} for {piece}");

        // The same as the claims of a token, behind which it stands once more.
        let claims = filled(TOKEN * 3 / 4 - 32, r#"{"iss":["#, piece, "]}");
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.AQ", part(r#"{"alg":"RS256"}"#), part(&claims));
        assert!(token.len() <= TOKEN);
        let start =
            format!(r#"{{"ChangeType":2,"ContextIdentifier":"Cust1","Token":"{token}","a":["#);
        let (status, info) = handled(&gate, filled(BODY, &start, piece, "]}"));
        let bytes = info.bytes_max;
        println!("{piece:<10} {bytes:>9} bytes in a body and a token");
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(bytes < 1 << 20, "{bytes} for {piece}");
    }
    let members: Vec<String> = (0..1800).map(|n| format!(r#""{n:04}":0"#)).collect();
    let (status, info) = handled(&gate, format!("{{{}}}", members.join(",")));
    println!("members    {:>9} bytes in a body", info.bytes_max);
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(info.bytes_max < 1 << 20, "{} for members", info.bytes_max);
}
