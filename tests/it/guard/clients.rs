//! Real clients over real sockets: what the guard refuses never reaches the server.

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, Service, ServiceExt};
use tower_superoffice::{
    GuardError, TenantGate, TenantId, UnavailableReason, simulator::Simulator, token::SigningKeys,
};

struct World {
    simulator: Simulator,
    gate: TenantGate,
    tenant: TenantId,
    other: TenantId,
}

impl World {
    /// A simulated SuperOffice on loopback, and a gate that takes its notifications.
    async fn new() -> Self {
        let simulator = Simulator::start().await.unwrap();
        let keys = SigningKeys::from_pem(simulator.certificate_pem()).unwrap();
        let gate = TenantGate::builder(simulator.environment())
            .audience(simulator.application_id())
            .signing_keys(keys)
            .build()
            .await
            .unwrap();
        simulator.notify_service(gate.notification_service());
        let (tenant, other) = (TenantId::new("Cust1").unwrap(), TenantId::new("Cust2").unwrap());
        Self { simulator, gate, tenant, other }
    }

    fn url(&self, tenant: &TenantId) -> String {
        self.simulator.url(tenant, "api/v1/Contact/1?$select=name")
    }

    /// Ways to write `url`'s path that lead to the same tenant.
    fn disguises(&self, url: &str) -> Vec<String> {
        [
            ("/Cust1/", "/cUST1/"),
            ("/Cust1/", "//Cust1/"),
            ("/Cust1/", "/%43ust1/"),
            ("/Cust1/", "/Cust1%2F"),
        ]
        .map(|(plain, disguised)| url.replace(plain, disguised))
        .into()
    }
}

#[tokio::test]
async fn hyper_client_calls_open_tenants_only() {
    let world = World::new().await;
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut client = world.gate.guard_layer().layer(client);
    let get = |url: String| Request::get(url).body(Empty::new()).unwrap();

    let answer = client.ready().await.unwrap().call(get(world.url(&world.tenant))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    assert_eq!(world.simulator.calls(&world.tenant), 1);

    world.simulator.suspend(&world.tenant).await.unwrap();
    let url = world.url(&world.tenant);
    for url in std::iter::once(url.clone()).chain(world.disguises(&url)) {
        let error = client.ready().await.unwrap().call(get(url.clone())).await.unwrap_err();
        assert_eq!(error.unavailable().unwrap().reason(), UnavailableReason::Suspended, "{url}");
    }
    let answer = client.ready().await.unwrap().call(get(world.url(&world.other))).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);

    world.simulator.resume(&world.tenant).await.unwrap();
    client.ready().await.unwrap().call(get(world.url(&world.tenant))).await.unwrap();
    assert_eq!(world.simulator.calls(&world.tenant), 2);
    assert_eq!(world.simulator.calls_while_closed(), 0);
}

#[tokio::test]
async fn reqwest_client_calls_open_tenants_only() {
    let world = World::new().await;
    let client = world.gate.guard_layer().layer(reqwest::Client::new());
    let get = |url: &str| reqwest::Request::new(Method::GET, url.parse().unwrap());

    let url = world.url(&world.tenant);
    let answer = client.clone().oneshot(get(&url)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.text().await.unwrap().is_empty());

    world.simulator.upgrade(&world.tenant).await.unwrap();
    for url in std::iter::once(url.clone()).chain(world.disguises(&url)) {
        match client.clone().oneshot(get(&url)).await {
            Err(GuardError::Unavailable(closed)) => {
                assert_eq!(closed.reason(), UnavailableReason::Upgrading);
                assert_eq!(closed.tenant(), &world.tenant);
            }
            answer => panic!("{url}: {answer:?}"),
        }
    }
    client.clone().oneshot(get(&world.url(&world.other))).await.unwrap();
    // The state API is the environment's: it answers for a closed tenant too.
    let state = format!("{}api/state/{}", world.simulator.hosts()[0], world.tenant);
    assert_eq!(client.clone().oneshot(get(&state)).await.unwrap().status(), StatusCode::OK);

    world.simulator.resume(&world.tenant).await.unwrap();
    client.clone().oneshot(get(&url)).await.unwrap();
    assert_eq!(world.simulator.calls(&world.tenant), 2);
    assert_eq!(world.simulator.calls_while_closed(), 0);
    assert_eq!(world.gate.health().refused_calls(), 5);
}

#[tokio::test]
async fn observe_only_lets_calls_reach_a_closed_tenant() {
    let world = World::new().await;
    let client = world.gate.guard_layer().observe_only().layer(reqwest::Client::new());
    world.simulator.suspend(&world.tenant).await.unwrap();
    let request = reqwest::Request::new(Method::GET, world.url(&world.tenant).parse().unwrap());
    client.oneshot(request).await.unwrap();
    // Which shows that the counts above would have noticed.
    assert_eq!(world.simulator.calls_while_closed(), 1);
    assert_eq!(world.gate.health().observed_calls(), 1);
    assert_eq!(world.gate.health().refused_calls(), 0);
}
