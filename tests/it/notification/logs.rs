//! The log of a refusal: it names the fault, and holds no secret and no control character.

use std::{
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;
use tower::ServiceExt;
use tower_superoffice::{
    ChangeType, TenantGate, TenantId,
    simulator::{Fault, Simulator},
    token::SigningKeys,
};
use tracing_subscriber::{fmt::MakeWriter, util::SubscriberInitExt};

/// A writer that keeps everything logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Log {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

const SECRET: &str = "Bearer 7T:Q3VzdDE=secret-of-the-caller";

#[tokio::test]
async fn refusal_logs_no_secret_or_control_character() {
    let log = Log::default();
    // For this thread alone: the runtime has no other, and other tests log on theirs.
    let _guard = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_ansi(false)
        .with_writer(log.clone())
        .set_default();

    let simulator = Simulator::start().await.unwrap();
    let keys = SigningKeys::from_pem(simulator.certificate_pem()).unwrap();
    let builder = || {
        TenantGate::builder(simulator.environment())
            .audience(simulator.application_id())
            .body_deadline(std::time::Duration::from_millis(50))
    };
    let gate = builder().signing_keys(keys).build().await.unwrap();
    simulator.key_server(Fault::Status(StatusCode::INTERNAL_SERVER_ERROR));
    let keyless = builder().build().await.unwrap();

    let tenant = TenantId::new("Cust1").unwrap();
    let good = || simulator.notification(ChangeType::Suspend, &tenant);
    let hostile = "a\r\n\u{1b}[31mERROR forged line\u{7}\u{0}\u{85}\u{202e}\u{9b}2J";
    let bodies: Vec<(Bytes, u16)> = vec![
        (Bytes::from_static(b"\x1b[2J\r\n\0 no JSON"), 400),
        (good().field("ContextIdentifier", hostile).body(), 400),
        (good().field("ChangeType", json!([hostile])).body(), 400),
        (good().field("Padding", "\u{7}".repeat(17 * 1024)).body(), 413),
        (good().without_field("Token").body(), 401),
        (good().with_token(hostile).body(), 401),
        (good().with_token("a".repeat(9000)).body(), 401),
        (good().header("alg", hostile).body(), 401),
        (good().header("typ", hostile).body(), 401),
        (good().header("crit", json!([hostile])).body(), 401),
        (good().header("kid", hostile).body(), 401),
        (good().header("kid", "unknown").without_header("x5t").body(), 401),
        (good().forged().body(), 401),
        (good().issuer(hostile).body(), 401),
        (good().audience(hostile).body(), 401),
        (good().claim("aud", json!([hostile, "\n\n"])).body(), 401),
        (good().issued_at(1_400_000_000).body(), 401),
        (good().claim("nbf", 4_000_000_000_i64).body(), 401),
        (good().claim("http://schemes.superoffice.net/identity/ctx", hostile).body(), 401),
        (good().token_tenant(&TenantId::new("Cust2").unwrap()).body(), 403),
        // Taken, with texts that are stored.
        (good().field("VersionName", hostile).public_endpoint(hostile).body(), 204),
        (good().body(), 204),
    ];
    let mut secrets = vec![SECRET.to_owned(), "secret-of-the-caller".to_owned()];
    let mut refused = 0;
    let mut post = async |gate: &TenantGate, body: Bytes, method: &str| {
        let json = serde_json::from_slice::<serde_json::Value>(&body).unwrap_or_default();
        if let Some(token) = json["Token"].as_str().filter(|token| token.contains('.')) {
            secrets.extend(token.split('.').map(str::to_owned));
        }
        let request = Request::builder()
            .method(method)
            .uri("/hook?access_token=secret-of-the-caller")
            .header("authorization", SECRET)
            .header("so-apptoken", "secret-of-the-caller")
            .body(Full::new(body))
            .unwrap();
        let response = gate.notification_service().oneshot(request).await.unwrap();
        refused += u32::from(response.status() != StatusCode::NO_CONTENT);
        response.status().as_u16()
    };
    for (index, (body, status)) in bodies.into_iter().enumerate() {
        assert_eq!(post(&gate, body, "POST").await, status, "body {index}");
    }
    assert_eq!(post(&gate, good().body(), "PUT").await, 405);
    assert_eq!(post(&keyless, good().body(), "POST").await, 503);
    let silent = Request::post("/").header("authorization", SECRET);
    let silent = silent.body(http_body_util::StreamBody::new(futures::stream::pending::<
        Result<http_body::Frame<Bytes>, io::Error>,
    >()));
    let response = gate.notification_service().oneshot(silent.unwrap()).await.unwrap();
    assert_eq!(response.status(), StatusCode::REQUEST_TIMEOUT);

    let text = log.text();
    let logged = text.matches("notification refused").count();
    assert_eq!(logged, refused as usize + 1, "each refusal is logged, once");
    let raw = text.chars().find(|&c| (c.is_control() && c != '\n') || c == '\u{202e}');
    assert_eq!(raw, None, "a raw control character");
    assert!(text.lines().all(|line| !line.starts_with("ERROR forged")));
    for secret in &secrets {
        assert!(!text.contains(&**secret), "logged: {}", &secret[..secret.len().min(20)]);
    }
    for line in simulator.certificate_pem().lines().filter(|line| !line.starts_with('-')) {
        assert!(!text.contains(line), "the key was logged");
    }
    // What helps is there.
    assert!(text.contains("the issuer of the token is not accepted"));
    assert!(text.contains(r"\u{1b}[31m"), "it is escaped, not dropped");
}
