//! `/events`: the snapshot, what follows it, and its end.

use bytes::Bytes;
use harness::MAX_WAIT;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use tokio::time::timeout;
use tower_superoffice::{ChangeType, status::State};

use crate::{
    openapi::Document,
    process::{Gateway, GatewayEnv},
    wire::peer::Peer,
};

/// A reader of a gateway's events over HTTP/1.1.
struct Reader {
    headers: HeaderMap,
    body: Incoming,
    text: String,
    /// Describes the events.
    document: Document,
    /// The connection lives as long as its client.
    _client: Client<HttpConnector, Full<Bytes>>,
}

impl Reader {
    async fn connect(gateway: &Gateway) -> Self {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let request = Request::get(gateway.url("/events")).body(Full::default()).unwrap();
        let response = client.request(request).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK);
        let (parts, body) = response.into_parts();
        let document = Document::of(gateway).await;
        Self { headers: parts.headers, body, text: String::new(), document, _client: client }
    }

    /// Returns the name and the data of the next event; `None` at the end of the response.
    async fn next(&mut self) -> Option<(String, Value)> {
        loop {
            if let Some((name, data)) = take_event(&mut self.text) {
                self.document.check_named("Event", &data);
                return Some((name, data));
            }
            let frame = timeout(MAX_WAIT, self.body.frame()).await.expect("an event or the end")?;
            self.text.push_str(str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
        }
    }

    /// Returns the snapshot, without the event at its end.
    async fn snapshot(&mut self) -> Vec<Value> {
        let mut tenants = Vec::new();
        loop {
            let (name, data) = self.next().await.unwrap();
            assert_eq!(name, "snapshot");
            if data["complete"] == true {
                assert_eq!(
                    (&data["tenants"], &data["tenant"]),
                    (&json!(tenants.len()), &json!(null))
                );
                return tenants;
            }
            tenants.push(data);
        }
    }

    /// Skips to the next event of this name.
    async fn until(&mut self, name: &str) -> Value {
        loop {
            let (found, data) = self.next().await.unwrap();
            if found == name {
                return data;
            }
        }
    }
}

/// Takes the first event off `text`, if it is whole.
fn take_event(text: &mut String) -> Option<(String, Value)> {
    loop {
        let end = text.find("\n\n")?;
        let event: String = text.drain(..end + 2).collect();
        // Comments keep the connection alive.
        let Some(rest) = event.strip_prefix("event: ") else { continue };
        let (name, data) = rest.trim_end().split_once("\ndata: ").expect("a name and data");
        return Some((name.to_owned(), serde_json::from_str(data).unwrap()));
    }
}

#[tokio::test]
async fn snapshot_is_followed_by_what_happens() {
    let env = GatewayEnv::new(&[]).await;
    env.notify(ChangeType::Suspend).await;
    let mut reader = Reader::connect(&env.gateway).await;
    assert_eq!(reader.headers[header::CONTENT_TYPE], "text/event-stream");
    let [tenant] = &reader.snapshot().await[..] else { panic!("one tenant") };
    let list = env.gateway.get("/tenants/Cust1").await;
    let mut listed: Value = serde_json::from_slice(&list.body).unwrap();
    listed["event"] = json!("snapshot");
    // It may change without an event.
    assert!(listed.as_object_mut().unwrap().remove("next_pull").is_some());
    assert_eq!(*tenant, listed);

    env.notify(ChangeType::Resume).await;
    let notified = reader.until("notified").await;
    assert_eq!((&notified["tenant"], &notified["change"]), (&json!("Cust1"), &json!("Resume")));
    let changed = reader.until("changed").await;
    assert_eq!((&changed["tenant"], &changed["available"]), (&json!("Cust1"), &json!(true)));
    env.notify(ChangeType::BackupRestored).await;
    assert!(reader.until("restored").await["epoch"].as_i64().unwrap() > 0);
    env.notify(ChangeType::Move).await;
    assert_eq!(reader.until("moved").await["tenant"], "Cust1");
    env.notify(ChangeType::from(77)).await;
    assert_eq!(reader.until("unknown").await["number"], 77);
}

#[tokio::test]
async fn pulls_confirm_and_correct() {
    let env = GatewayEnv::new(&["--state-api", "on", "--settle", "1"]).await;
    let mut reader = Reader::connect(&env.gateway).await;
    assert_eq!(reader.snapshot().await, [json!(null); 0]);
    // SuperOffice still reports the tenant as running.
    env.notify(ChangeType::Suspend).await;
    let corrected = reader.until("corrected").await;
    assert_eq!((&corrected["tenant"], &corrected["available"]), (&json!("Cust1"), &json!(true)));
    assert!(corrected.as_object().unwrap().contains_key("missed"), "{corrected}");

    env.simulator.set_state(&env.tenant, State::Deleted);
    env.notify(ChangeType::Delete).await;
    let confirmed = reader.until("confirmed").await;
    assert_eq!((&confirmed["reason"], &confirmed["confirmed"]), (&json!("deleted"), &json!(true)));
}

#[tokio::test]
async fn events_end_at_once_when_the_gateway_stops() {
    let mut env = GatewayEnv::new(&[]).await;
    let mut reader = Reader::connect(&env.gateway).await;
    reader.snapshot().await;
    env.gateway.send_sigterm().await;
    assert_eq!(reader.next().await, None);
    assert!(env.gateway.exit().await.success());
}

#[tokio::test]
async fn events_are_read_over_http_2() {
    let env = GatewayEnv::new(&[]).await;
    let stream = Peer::connect(&env.gateway).await.into_stream();
    let (sender, connection) = h2::client::handshake(stream).await.unwrap();
    tokio::spawn(async move {
        let _ = connection.await;
    });
    let mut sender = sender.ready().await.unwrap();
    let request = Request::get("http://gateway/events").body(()).unwrap();
    let (response, _) = sender.send_request(request, true).unwrap();
    let mut body = response.await.unwrap().into_body();
    let mut text = String::new();
    let mut names = Vec::new();
    while !names.contains(&"changed".to_owned()) {
        let chunk = timeout(MAX_WAIT, body.data()).await.unwrap().unwrap().unwrap();
        body.flow_control().release_capacity(chunk.len()).unwrap();
        text.push_str(str::from_utf8(&chunk).unwrap());
        while let Some((name, _)) = take_event(&mut text) {
            if name == "snapshot" {
                env.notify(ChangeType::Suspend).await;
            }
            names.push(name);
        }
    }
    assert_eq!(names, ["snapshot", "notified", "changed"]);
}

#[tokio::test]
async fn head_of_events_ends_and_other_methods_are_405() {
    let env = GatewayEnv::new(&[]).await;
    let mut peer = Peer::connect(&env.gateway).await;
    for _ in 0..100 {
        assert_eq!(peer.call("HEAD", "/events", "").await.status(), 200);
    }
    let refused = peer.call("POST", "/events", "").await;
    assert_eq!((refused.status(), refused.header("allow")), (405, Some("GET,HEAD")));
    assert_eq!(peer.call("GET", "/events/x", "").await.status(), 404);
}
