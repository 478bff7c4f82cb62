//! The reason of a refusal is found behind every ready-made piece.

use std::{
    future::{Ready, ready},
    time::Duration,
};

use bytes::Bytes;
use harness::TestEnv;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use tower::{BoxError, Layer, Service, ServiceBuilder, ServiceExt, retry::Policy};
use tower_superoffice::{
    TenantUnavailable, UnavailableReason, client::BoxClient, guard::RetryOpen,
    simulator::SimulatorBody,
};

type Body = Full<Bytes>;
type Client = BoxClient<Body, SimulatorBody>;

/// Retries every failure for ever.
#[derive(Clone)]
struct Always;

impl<R> Policy<Request<Body>, R, BoxError> for Always {
    type Future = Ready<()>;

    fn retry(
        &mut self,
        _: &mut Request<Body>,
        result: &mut Result<R, BoxError>,
    ) -> Option<Ready<()>> {
        result.is_err().then(|| ready(()))
    }

    fn clone_request(&mut self, request: &Request<Body>) -> Option<Request<Body>> {
        Some(request.clone())
    }
}

fn boxed<S>(client: S) -> Client
where
    S: Service<Request<Body>, Response = Response<SimulatorBody>>,
    S: Clone + Send + Sync + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send + 'static,
{
    BoxClient::new(client.map_err(Into::into))
}

#[tokio::test(start_paused = true)]
async fn reason_is_found_behind_every_ready_made_piece() {
    let env = TestEnv::on_tokio_clock().await;
    let (gate, network) = (&env.gate, || env.simulator.network());
    let client = || gate.client_layer().layer(network());
    let limited = ServiceBuilder::new()
        .retry(RetryOpen::new(Always))
        .timeout(Duration::from_secs(30))
        .concurrency_limit(4)
        .service(client());
    let buffered = ServiceBuilder::new().load_shed().buffer(4).service(boxed(client()));
    let clients = [
        ("guard", boxed(gate.guard_layer().layer(network()))),
        ("client", boxed(client())),
        ("gate", boxed(gate.layer(network()))),
        ("wait", boxed(gate.wait_layer(Duration::from_secs(1)).layer(client()))),
        ("retry", boxed(limited)),
        ("buffer", boxed(buffered)),
        ("twice", boxed(boxed(gate.client_layer().layer(client())))),
    ];
    let url = env.simulator.url(&env.tenant, "api/v1/Contact/1");
    let call = |client: &Client| {
        client.clone().oneshot(Request::post(&url).body(Body::from("x")).unwrap())
    };
    for (name, client) in &clients {
        assert_eq!(call(client).await.unwrap().status(), StatusCode::OK, "{name}");
    }
    env.simulator.suspend(&env.tenant).await.unwrap();
    for (name, client) in &clients {
        let error = call(client).await.unwrap_err();
        let found = TenantUnavailable::find(error.as_ref()).expect(name);
        assert_eq!((found.tenant(), found.reason()), (&env.tenant, UnavailableReason::Suspended));
    }
    assert_eq!(env.simulator.calls_while_closed(), 0);
}
