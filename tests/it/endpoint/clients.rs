//! Real clients behind the endpoint layer, and the bounds that its types meet.

use bytes::Bytes;
use harness::{TestEnv, until};
use http::Request;
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt};
use tower_superoffice::{
    Environment, TenantGate,
    simulator::{Network, Simulator},
};

use super::{Body, call};

#[tokio::test]
async fn hyper_and_reqwest_follow_a_move() {
    let TestEnv { simulator, gate, tenant, .. } = TestEnv::new().await;
    let connector: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    let hyper = ServiceBuilder::new()
        .layer(gate.endpoint_layer().locate(false).clone_body())
        .layer(gate.guard_layer())
        .service(connector);
    simulator.move_tenant(&tenant).without_notification();
    let answer = hyper.clone().oneshot(call(&simulator, "content")).await.unwrap();
    assert_eq!(answer.status(), 200);

    let reqwest = ServiceBuilder::new()
        .layer(gate.endpoint_layer().locate(false))
        .layer(gate.guard_layer())
        .service(reqwest::Client::new());
    simulator.move_tenant(&tenant).without_notification();
    let request = |body: reqwest::Body| {
        let url = format!("{}Cust1/api", simulator.hosts()[0]);
        reqwest::Client::new().post(url).body(body).build().unwrap()
    };
    let answer = reqwest.clone().oneshot(request("content".into())).await.unwrap();
    assert_eq!(answer.status(), 200);

    // A stream can't be sent twice; later calls use the new host.
    simulator.move_tenant(&tenant).without_notification();
    let stream = || {
        let parts = futures::stream::iter([Ok::<_, std::io::Error>("con"), Ok("tent")]);
        reqwest::Body::wrap_stream(parts)
    };
    let answer = reqwest.clone().oneshot(request(stream())).await.unwrap();
    assert_eq!(answer.status(), 421);
    let known = simulator.hosts()[1].clone();
    until!(gate.endpoint(&tenant).unwrap() == known);
    let answer = reqwest.oneshot(request(stream())).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(simulator.calls_while_closed(), 0);
}

#[test]
fn endpoint_types_are_clone_send_sync_unpin() {
    fn needed<T: Clone + Send + Sync + Unpin + std::fmt::Debug + 'static>(_: &T) {}
    fn future<T: Send + 'static>(_: &T) {}
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let gate = TenantGate::builder(Environment::Sod)
            .any_audience()
            .state_api(false)
            .build()
            .await
            .unwrap();
        let network: Network = Simulator::start().await.unwrap().network();
        let layer = gate.endpoint_layer().locate(false);
        needed(&layer);
        needed(&layer.layer(network.clone()));
        needed(&layer.clone().clone_body().layer(network.clone()));
        let mut service = layer.layer(network.clone());
        future(&service.call(Request::get("https://x/").body(Full::<Bytes>::default()).unwrap()));
        let mut boxed = layer.no_retry().layer(network);
        let body: BoxBody<Bytes, std::convert::Infallible> = Full::<Bytes>::default().boxed();
        future(&boxed.call(Request::new(body)));
    });
}
