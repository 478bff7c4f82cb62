//! Measures the inbound side and its peers in one interleaved run: a notification against
//! `jsonwebtoken`'s decode of its token, the route over HTTP against a hand-written handler, and a
//! refusal that needs no RSA.
//!
//! Every notification is new to its gate: a duplicate would skip most of the work.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Json, Router, extract::State, routing::post};
use bytes::Bytes;
use dashmap::DashMap;
use http::{Request, StatusCode, Uri};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation, decode};
use serde::Deserialize;
use serde_json::Value;
use tower::ServiceExt;
use tower_superoffice::{
    ChangeType, TenantGate, TenantId, simulator::Simulator, token::SigningKeys,
};

/// Notifications per round, each for another tenant.
const BATCH: usize = 256;
const ROUNDS: usize = 25;

struct Setup {
    simulator: Simulator,
    tokens: Vec<String>,
    bodies: Vec<Bytes>,
    expired: Bytes,
    peer: Arc<Peer>,
}

/// The state of the hand-written handler.
struct Peer {
    key: DecodingKey,
    validation: Validation,
    states: DashMap<String, u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    change_type: u32,
    context_identifier: String,
    token: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let setup = Setup::new().await;
    let mut decodes = Vec::new();
    let mut received = Vec::new();
    let mut refused = Vec::new();
    for _ in 0..ROUNDS {
        decodes.push(setup.decode());
        received.push(setup.receive().await);
        refused.push(setup.refuse().await);
    }
    let (decode, receive) = (median(decodes), median(received));
    row("jsonwebtoken's RS256 decode on aws-lc", decode, "");
    row(
        "notification in process, memory store",
        receive,
        &format!("{:.2} x the decode (budget 1.25)", ratio(receive, decode)),
    );
    row("refused before any RSA (expired)", median(refused), "(budget 3 us)");

    let (by_hand, url) = (setup.handler().await, "/NotifyCustomerStateChange");
    let mut hand = Vec::new();
    let mut ours = Vec::new();
    for _ in 0..ROUNDS {
        hand.push(setup.post(&by_hand).await);
        let gate = setup.gate().await;
        let app = Router::new().route_service(url, gate.notification_service());
        ours.push(setup.post(&serve(app, url).await).await);
    }
    let (hand, ours) = (median(hand), median(ours));
    row("handler by hand over HTTP", hand, "");
    row(
        "notification over HTTP",
        ours,
        &format!("{:.2} x its throughput (budget 0.95)", ratio(hand, ours)),
    );
}

fn row(name: &str, time: Duration, beside: &str) {
    println!("{name:<40} {:>9.2} us   {beside}", time.as_secs_f64() * 1e6);
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

/// Returns the median time per notification over all rounds.
fn median(mut rounds: Vec<Duration>) -> Duration {
    rounds.sort();
    rounds[rounds.len() / 2] / u32::try_from(BATCH).unwrap()
}

impl Setup {
    async fn new() -> Self {
        let simulator = Simulator::start().await.unwrap();
        let tenant = |number: usize| TenantId::new(format!("Cust{}", 2_000_000 + number)).unwrap();
        let notifications: Vec<_> =
            (0..BATCH).map(|n| simulator.notification(ChangeType::Suspend, &tenant(n))).collect();
        let bodies: Vec<Bytes> = notifications.iter().map(|n| n.body()).collect();
        // The tokens of the posted bodies: signing again would make others.
        let token = |body: &Bytes| serde_json::from_slice::<Body>(body).unwrap().token;
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_audience(&[simulator.application_id()]);
        validation.validate_nbf = true;
        let set: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&simulator.key_set()).unwrap();
        let key = DecodingKey::from_jwk(&set.keys[0]).unwrap();
        let expired =
            simulator.notification(ChangeType::Suspend, &tenant(0)).issued_at(1_400_000_000).body();
        let peer = Arc::new(Peer { key, validation, states: DashMap::new() });
        Self { tokens: bodies.iter().map(token).collect(), bodies, expired, peer, simulator }
    }

    async fn gate(&self) -> TenantGate {
        TenantGate::builder(self.simulator.environment())
            .audience(self.simulator.application_id())
            .signing_keys(SigningKeys::from_pem(self.simulator.certificate_pem()).unwrap())
            .state_api(false)
            .build()
            .await
            .unwrap()
    }

    fn decode(&self) -> Duration {
        let start = Instant::now();
        for token in &self.tokens {
            decode::<Value>(token, &self.peer.key, &self.peer.validation).unwrap();
        }
        start.elapsed()
    }

    async fn receive(&self) -> Duration {
        let service = self.gate().await.notification_service();
        let start = Instant::now();
        for body in &self.bodies {
            let request = Request::post("/").body(Full::new(body.clone())).unwrap();
            let response = service.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::NO_CONTENT);
        }
        start.elapsed()
    }

    async fn refuse(&self) -> Duration {
        let service = self.gate().await.notification_service();
        let start = Instant::now();
        for _ in 0..BATCH {
            let request = Request::post("/").body(Full::new(self.expired.clone())).unwrap();
            let response = service.clone().oneshot(request).await.unwrap();
            assert_eq!(response.status(), StatusCode::UNAUTHORIZED);
        }
        start.elapsed()
    }

    async fn handler(&self) -> Uri {
        async fn handle(State(peer): State<Arc<Peer>>, Json(body): Json<Body>) -> StatusCode {
            let Ok(token) = decode::<Value>(&body.token, &peer.key, &peer.validation) else {
                return StatusCode::UNAUTHORIZED;
            };
            if token.claims["http://schemes.superoffice.net/identity/ctx"]
                != body.context_identifier
            {
                return StatusCode::FORBIDDEN;
            }
            peer.states.insert(body.context_identifier, body.change_type);
            StatusCode::NO_CONTENT
        }
        serve(
            Router::new().route("/hand", post(handle)).with_state(Arc::clone(&self.peer)),
            "/hand",
        )
        .await
    }

    async fn post(&self, url: &Uri) -> Duration {
        let client: Client<HttpConnector, Full<Bytes>> =
            Client::builder(TokioExecutor::new()).build_http();
        let request = |body: &Bytes| {
            Request::post(url.clone())
                .header("content-type", "application/json")
                .body(Full::new(body.clone()))
                .unwrap()
        };
        // Connects before the time is taken.
        client.request(request(&Bytes::from_static(b"{}"))).await.unwrap();
        let start = Instant::now();
        for body in &self.bodies {
            assert_eq!(
                client.request(request(body)).await.unwrap().status(),
                StatusCode::NO_CONTENT
            );
        }
        start.elapsed()
    }
}

async fn serve(app: Router, path: &str) -> Uri {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}{path}", listener.local_addr().unwrap()).parse().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    url
}
