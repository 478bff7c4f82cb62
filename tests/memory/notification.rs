//! The memory that one body can take: JSON that is small as text and large as a value.
//!
//! A body is handled within one poll, so a worker thread holds this much for one body at a time.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use allocation_counter::measure;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use harness::TestEnv;
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::Service;
use tower_superoffice::TenantGate;

/// The largest body that is read.
const BODY: usize = 16 * 1024;

/// The largest token that is decoded.
const TOKEN: usize = 8 * 1024;

/// `start`, as many of `piece` as `length` has room for, and `end`.
fn filled(length: usize, start: &str, piece: &str, end: &str) -> String {
    let times = (length - start.len() - end.len()) / (piece.len() + 1);
    format!("{start}{}{end}", vec![piece; times].join(","))
}

/// The response to `body`, and the most bytes allocated at one time while it was handled.
fn handled(gate: &TenantGate, body: String) -> (StatusCode, u64) {
    assert!(body.len() <= BODY, "{}", body.len());
    let request = Request::post("/").body(Full::new(Bytes::from(body))).unwrap();
    let mut answer = pin!(gate.notification_service().call(request));
    let mut status = None;
    let info = measure(|| {
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(response) = answer.as_mut().poll(&mut cx) else { panic!("pending") };
        status = Some(response.unwrap().status());
    });
    (status.unwrap(), info.bytes_max)
}

#[tokio::test]
async fn every_body_allocates_less_than_4_mib() {
    let TestEnv { gate, .. } = TestEnv::with(|builder| builder.state_api(false)).await;
    for piece in ["0", "[]", "[0]", "\"\"", "[\"\"]", "{\"\":0}", "{\"\":\"\"}", "{\"\":[0]}"] {
        let (status, bytes) = handled(&gate, filled(BODY, r#"{"a":["#, piece, "]}"));
        println!("{piece:<10} {bytes:>9} bytes in a body");
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(bytes < 4 << 20, "{bytes} for {piece}");

        // The same as the claims of a token, behind which it stands once more.
        let claims = filled(TOKEN * 3 / 4 - 32, r#"{"iss":["#, piece, "]}");
        let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
        let token = format!("{}.{}.AQ", part(r#"{"alg":"RS256"}"#), part(&claims));
        assert!(token.len() <= TOKEN);
        let start =
            format!(r#"{{"ChangeType":2,"ContextIdentifier":"Cust1","Token":"{token}","a":["#);
        let (status, bytes) = handled(&gate, filled(BODY, &start, piece, "]}"));
        println!("{piece:<10} {bytes:>9} bytes in a body and a token");
        assert_eq!(status, StatusCode::UNAUTHORIZED);
        assert!(bytes < 4 << 20, "{bytes} for {piece}");
    }
}
