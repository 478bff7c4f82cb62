//! The log of a refusal: it names the fault, and holds no secret and no control character.

use std::{
    io,
    sync::{Arc, Mutex},
};

use bytes::Bytes;
use harness::{TestEnv, refusal};
use http::{Request, StatusCode};
use http_body_util::Full;
use serde_json::json;
use tower::ServiceExt;
use tower_superoffice::{
    ChangeType, TenantGate, TenantId,
    simulator::{Fault, Simulator},
    token::SigningKeys,
};
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::{fmt::MakeWriter, util::SubscriberInitExt};

/// A writer that keeps everything logged.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

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
    /// Logs this thread's events to it, all of them.
    ///
    /// For this thread alone: a test's runtime has no other, and other tests log on theirs.
    pub(crate) fn set_default(&self) -> DefaultGuard {
        tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
            .with_ansi(false)
            .with_writer(self.clone())
            .set_default()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }

    /// The lines about refusals.
    fn refusals(&self) -> Vec<String> {
        let text = self.text();
        let lines = text.lines().filter(|line| line.contains("notification refused"));
        lines.map(str::to_owned).collect()
    }
}

const SECRET: &str = "Bearer 7T:Q3VzdDE=secret-of-the-caller";

#[tokio::test]
async fn refusal_logs_no_secret_or_control_character() {
    let log = Log::default();
    let _guard = log.set_default();

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
    // The log names the fault.
    assert!(text.contains("the issuer of the token is not accepted"));
    assert!(text.contains(r"\u{1b}[31m"), "it is escaped, not dropped");
}

#[tokio::test(start_paused = true)]
async fn refused_login_token_logs_nothing_of_the_person() {
    let log = Log::default();
    let _guard = log.set_default();
    let env = TestEnv::on_tokio_clock().await;
    let login = || env.notification(ChangeType::Suspend).login_token();
    for notification in [
        login(),
        login().forged(),
        login().issuer("anna.person@example.com"),
        login().claim("aud", json!(["anna.person@example.com"])),
        login().header("kid", "anna.person@example.com"),
        login().issued_at(1_400_000_000),
    ] {
        assert_eq!(env.post(notification.body()).await.status(), StatusCode::UNAUTHORIZED);
    }
    // The pull that follows is logged too.
    tokio::time::sleep(std::time::Duration::from_secs(10)).await;
    let text = log.text();
    assert_eq!(log.refusals().len(), 6);
    for personal in ["anna", "person@", "example.com", "associateid", "Example Company", "at_hash"]
    {
        assert!(!text.contains(personal), "{personal} in {text}");
    }
    let line = &log.refusals()[0];
    for shown in [
        "the token speaks for a person",
        "tenant=Cust1",
        &format!("iss=\"{}\"", env.simulator.environment().origin()),
        &format!("aud=\"{}\"", env.simulator.application_id()),
        "kid=",
        "help=",
        "Getting started",
    ] {
        assert!(line.contains(shown), "{shown} in {line}");
    }
    assert!(!log.refusals()[1].contains("help="), "a forged one says nothing of SuperOffice");
}

#[tokio::test(start_paused = true)]
async fn flood_of_refusals_logs_some_dozens_a_minute() {
    let log = Log::default();
    let _guard = log.set_default();
    let env = TestEnv::on_tokio_clock_with(|builder| builder.state_api(false)).await;
    let forged = env.notification(ChangeType::Suspend).forged().body();
    for _ in 0..10 {
        for _ in 0..500 {
            env.post("{").await;
            env.post(forged.clone()).await;
        }
        tokio::time::sleep(std::time::Duration::from_secs(30)).await;
    }
    // One of another kind shows in the flood.
    for _ in 0..100 {
        env.post("{").await;
    }
    env.post(env.notification(ChangeType::Suspend).audience("another").body()).await;
    let lines = log.refusals();
    assert!((5 * 30..5 * 30 + 60).contains(&lines.len()), "{} in five minutes", lines.len());
    assert!(lines.last().unwrap().contains("the token is meant for another audience"));
    let left_out: u64 = lines
        .iter()
        .filter_map(|line| line.split_once("left_out=")?.1.split(' ').next()?.parse::<u64>().ok())
        .sum();
    assert!(!lines[0].contains("left_out"), "nothing was left out before");
    let counts = env.gate.health().notifications();
    assert_eq!(counts.rejected(), 10_101);
    assert_eq!(counts.unlogged(), 10_101 - lines.len() as u64);
    assert_eq!(left_out, counts.unlogged(), "each line counts those before it");
}

/// A subscriber all of whose methods panic.
struct Panicking;

impl tracing::Subscriber for Panicking {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        panic!("enabled")
    }
    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        panic!("new_span")
    }
    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {
        panic!("record")
    }
    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {
        panic!("record_follows_from")
    }
    fn event(&self, _: &tracing::Event<'_>) {
        panic!("event")
    }
    fn enter(&self, _: &tracing::span::Id) {
        panic!("enter")
    }
    fn exit(&self, _: &tracing::span::Id) {
        panic!("exit")
    }
}

#[tokio::test]
async fn panicking_subscriber_changes_no_answer() {
    let env = TestEnv::with(|builder| builder.state_api(false)).await;
    let suspend = || env.notification(ChangeType::Suspend);
    let _guard = tracing::subscriber::set_default(Panicking);
    for (body, status) in [
        (Bytes::from_static(b"{"), 400),
        (suspend().without_field("Token").body(), 401),
        (suspend().login_token().body(), 401),
        (suspend().audience("another").body(), 401),
        (suspend().token_tenant(&TenantId::new("Cust2").unwrap()).body(), 403),
        (suspend().body(), 204),
    ] {
        let answer = env.post(body).await;
        assert_eq!(answer.status(), status, "{:?}", refusal(&answer));
    }
    assert!(env.gate.check(&env.tenant).is_err(), "the change is applied");
}

#[tokio::test]
async fn accepted_notification_logs_its_environment_and_versions() {
    let log = Log::default();
    let _default = log.set_default();
    let env = TestEnv::with(|builder| builder.state_api(false)).await;
    let suspend =
        env.notification(ChangeType::Suspend).field("VersionName", "8.4\r\n\u{1b}[31mR08");
    let answer = env.post(suspend.field("FileVersion", "8.4.12").body()).await;
    assert_eq!(answer.status(), StatusCode::NO_CONTENT);
    let resume = env.notification(ChangeType::Resume).field("VersionName", "");
    env.post(resume.field("FileVersion", json!(null)).body()).await;
    let text = log.text();
    let lines: Vec<_> =
        text.lines().filter(|line| line.contains("notification accepted")).collect();
    let [suspend, resume] = lines[..] else { panic!("{text}") };
    let environment = format!("environment={}", env.gate.environment());
    assert!(suspend.contains(&environment) && suspend.contains("change=Suspend"), "{suspend}");
    assert!(suspend.contains(r#"version_name="8.4\r\n\u{1b}[31mR08""#), "{suspend}");
    assert!(suspend.contains(r#"file_version="8.4.12""#), "{suspend}");
    assert!(resume.contains("change=Resume") && !resume.contains("version"), "{resume}");
}
