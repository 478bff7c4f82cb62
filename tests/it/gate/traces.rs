//! Spans of notifications, pulls and merges: OpenTelemetry's names, and no secret.

use harness::{TestEnv, gate_builder};
use http::StatusCode;
use serde_json::Value;
use tower_superoffice::{
    ChangeType,
    simulator::{Fault, Simulator},
    store::MemoryStore,
};
use tracing_subscriber::{filter::LevelFilter, fmt::format::FmtSpan, util::SubscriberInitExt};

use crate::notification::logs::Log;

/// Spans as they close, each an object of its name and fields.
struct Spans {
    log: Log,
    _guard: tracing::subscriber::DefaultGuard,
}

impl Spans {
    fn new() -> Self {
        let log = Log::default();
        let subscriber = tracing_subscriber::fmt()
            .json()
            .with_max_level(LevelFilter::DEBUG)
            .with_span_events(FmtSpan::CLOSE)
            .with_writer(log.clone());
        Self { log, _guard: subscriber.set_default() }
    }

    fn closed(&self, name: &str) -> Vec<Value> {
        let text = self.log.text();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let closed = lines.filter(|line| line["fields"]["message"] == "close");
        closed.map(|line| line["span"].clone()).filter(|span| span["name"] == name).collect()
    }
}

#[tokio::test]
async fn spans_have_the_attributes_of_opentelemetry() {
    let spans = Spans::new();
    let env = TestEnv::with(|builder| builder.store(MemoryStore::new())).await;
    env.simulator.suspend(&env.tenant).await.unwrap();
    env.gate.refresh(&env.tenant).await.unwrap();
    assert_eq!(env.post("{").await.status(), StatusCode::BAD_REQUEST);
    env.gate.receive(env.notification(ChangeType::Resume).body()).await.unwrap();
    env.simulator.state_api(Fault::Status(StatusCode::BAD_GATEWAY));
    env.gate.refresh(&env.tenant).await.unwrap_err();

    let notifications = spans.closed("notification");
    let [suspend, junk, resume] = &notifications[..] else { panic!("{notifications:?}") };
    assert_eq!(suspend["http.request.method"], "POST");
    assert_eq!(suspend["http.response.status_code"], 204);
    assert_eq!(suspend["superoffice.tenant"], "Cust1");
    assert_eq!(suspend["superoffice.change"], "Suspend");
    assert_eq!(suspend["superoffice.outcome"], "Applied");
    assert_eq!(
        (&junk["http.response.status_code"], &junk["error.type"]),
        (&400.into(), &"malformed".into())
    );
    assert_eq!(junk["superoffice.tenant"], Value::Null);
    assert_eq!(
        (&resume["superoffice.change"], &resume["http.request.method"]),
        (&"Resume".into(), &Value::Null)
    );

    let pulls = spans.closed("pull");
    let (first, last) = (&pulls[0], &pulls[pulls.len() - 1]);
    assert_eq!(
        (&first["otel.kind"], &first["http.request.method"]),
        (&"client".into(), &"GET".into())
    );
    let url = format!("{}/api/state/Cust1", env.gate.environment().origin());
    assert_eq!(first["url.full"], url);
    assert_eq!(first["server.address"], "127.0.0.1");
    assert_eq!(first["http.response.status_code"], 200);
    assert_eq!(first["superoffice.trigger"], "requested");
    assert_eq!(last["http.response.status_code"], 502);
    assert_eq!(last["error.type"], "invalid_answer");

    let merges = spans.closed("merge");
    assert!(merges.len() >= 2, "{merges:?}");
    for merge in merges {
        assert_eq!(merge["db.system.name"], "memory");
        assert_eq!(merge["db.operation.name"], "merge");
        assert_eq!(merge["superoffice.tenant"], "Cust1");
        assert_eq!(merge["error.type"], Value::Null);
    }
}

#[tokio::test]
async fn spans_contain_no_token_claim_or_unverified_word() {
    let spans = Spans::new();
    let simulator = Simulator::start().await.unwrap();
    let gate = gate_builder(&simulator).build().await.unwrap();
    let tenant = harness::tenant("Cust1");
    let notification = |change| simulator.notification(change, &tenant);
    let token = |body: &[u8]| {
        let body: Value = serde_json::from_slice(body).unwrap();
        body["Token"].as_str().unwrap().to_owned()
    };
    let good = notification(ChangeType::Suspend).body();
    let login = notification(ChangeType::Suspend).claim("upn", "kari.nordmann@example.com").body();
    let forged = simulator.notification(ChangeType::Delete, &harness::tenant("Victim7")).forged();
    let forged = forged.body();
    let mut secrets = vec!["kari.nordmann".to_owned(), "Victim7".to_owned()];
    for body in [&good, &login, &forged] {
        secrets.extend(token(body).split('.').map(str::to_owned));
        let _ = gate.receive(body.clone()).await;
    }
    let closed = spans.closed("notification");
    assert_eq!(closed.len(), 3);
    assert_eq!(closed[1]["error.type"], "token_speaks_for_person");
    for secret in secrets {
        let found = closed.iter().any(|span| span.to_string().contains(&secret));
        assert!(!found, "{secret} in {closed:?}");
    }
}
