//! Real clients over real sockets: what the guard refuses never reaches the server.

use bytes::Bytes;
use harness::{TestEnv, tenant};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use tower::{Layer, Service, ServiceExt};
use tower_superoffice::{GuardError, UnavailableReason};

const PATH: &str = "api/v1/Contact/1?$select=name";

/// Spellings of `url`'s path that name the same tenant.
fn disguises(url: &str) -> Vec<String> {
    [
        ("/Cust1/", "/cUST1/"),
        ("/Cust1/", "//Cust1/"),
        ("/Cust1/", "/%43ust1/"),
        ("/Cust1/", "/Cust1%2F"),
    ]
    .map(|(plain, disguised)| url.replace(plain, disguised))
    .into()
}

#[tokio::test]
async fn hyper_client_calls_open_tenants_only() {
    let env = TestEnv::new().await;
    let client: Client<_, Empty<Bytes>> = Client::builder(TokioExecutor::new()).build_http();
    let mut client = env.gate.guard_layer().layer(client);
    let get = |url: String| Request::get(url).body(Empty::new()).unwrap();

    let answer = client
        .ready()
        .await
        .unwrap()
        .call(get(env.simulator.url(&env.tenant, PATH)))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.into_body().collect().await.unwrap().to_bytes().is_empty());
    assert_eq!(env.simulator.calls(&env.tenant), 1);

    env.simulator.suspend(&env.tenant).await.unwrap();
    let url = env.simulator.url(&env.tenant, PATH);
    for url in std::iter::once(url.clone()).chain(disguises(&url)) {
        let error = client.ready().await.unwrap().call(get(url.clone())).await.unwrap_err();
        assert_eq!(error.unavailable().unwrap().reason(), UnavailableReason::Suspended, "{url}");
    }
    let answer = client
        .ready()
        .await
        .unwrap()
        .call(get(env.simulator.url(&tenant("Cust2"), PATH)))
        .await
        .unwrap();
    assert_eq!(answer.status(), StatusCode::OK);

    env.simulator.resume(&env.tenant).await.unwrap();
    client.ready().await.unwrap().call(get(env.simulator.url(&env.tenant, PATH))).await.unwrap();
    assert_eq!(env.simulator.calls(&env.tenant), 2);
    assert_eq!(env.simulator.calls_while_closed(), 0);
}

#[tokio::test]
async fn reqwest_client_calls_open_tenants_only() {
    let env = TestEnv::new().await;
    let client = env.gate.guard_layer().layer(reqwest::Client::new());
    let get = |url: &str| reqwest::Request::new(Method::GET, url.parse().unwrap());

    let url = env.simulator.url(&env.tenant, PATH);
    let answer = client.clone().oneshot(get(&url)).await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    assert!(!answer.text().await.unwrap().is_empty());

    env.simulator.upgrade(&env.tenant).await.unwrap();
    for url in std::iter::once(url.clone()).chain(disguises(&url)) {
        match client.clone().oneshot(get(&url)).await {
            Err(GuardError::Unavailable(closed)) => {
                assert_eq!(closed.reason(), UnavailableReason::Upgrading);
                assert_eq!(closed.tenant(), &env.tenant);
            }
            answer => panic!("{url}: {answer:?}"),
        }
    }
    client.clone().oneshot(get(&env.simulator.url(&tenant("Cust2"), PATH))).await.unwrap();
    // The state API is the environment's: it answers for a closed tenant too.
    let state = format!("{}/api/state/{}", env.gate.environment().origin(), env.tenant);
    assert_eq!(client.clone().oneshot(get(&state)).await.unwrap().status(), StatusCode::OK);

    env.simulator.resume(&env.tenant).await.unwrap();
    client.clone().oneshot(get(&url)).await.unwrap();
    assert_eq!(env.simulator.calls(&env.tenant), 2);
    assert_eq!(env.simulator.calls_while_closed(), 0);
    assert_eq!(env.gate.health().refused_calls(), 5);
}

#[tokio::test]
async fn observe_only_lets_calls_reach_a_closed_tenant() {
    let env = TestEnv::new().await;
    let client = env.gate.guard_layer().observe_only().layer(reqwest::Client::new());
    env.simulator.suspend(&env.tenant).await.unwrap();
    let request =
        reqwest::Request::new(Method::GET, env.simulator.url(&env.tenant, PATH).parse().unwrap());
    client.oneshot(request).await.unwrap();
    // The counts in the tests above would have noticed.
    assert_eq!(env.simulator.calls_while_closed(), 1);
    assert_eq!(env.gate.health().observed_calls(), 1);
    assert_eq!(env.gate.health().refused_calls(), 0);
}
