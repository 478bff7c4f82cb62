//! Hosts that calls are never sent to, and calls that are not the endpoint layer's.

use harness::{TestEnv, tenant, until};
use http::{Request, Response};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    time::{Duration, sleep},
};
use tower::{Layer, ServiceExt, service_fn};
use tower_superoffice::{ChangeType, simulator::Fault};

use super::{Body, call};

#[tokio::test(start_paused = true)]
async fn call_to_no_tenant_host_passes_unchanged() {
    let TestEnv { simulator, gate, .. } = TestEnv::on_tokio_clock().await;
    simulator.move_tenant(&tenant("Cust1")).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(gate.endpoint(&tenant("Cust1")).is_some());
    let echo = service_fn(|request: Request<Body>| async move {
        let url = request.uri().to_string();
        Ok::<_, std::io::Error>(
            Response::builder().status(421).header("url", url).body(()).unwrap(),
        )
    });
    let client = gate.endpoint_layer().locate(false).layer(echo);
    let host = format!("{}/", simulator.environment().origin());
    for url in [
        "http://example.org/Cust1/api".to_owned(),
        "http://user@example.org:80/Cust1".to_owned(),
        format!("{host}login/Cust1"),
        format!("{host}api/state/Cust1"),
        host.clone(),
        "/Cust1/api".to_owned(),
    ] {
        let request = Request::get(&url).body(Full::default()).unwrap();
        let answer = client.clone().oneshot(request).await.unwrap();
        assert_eq!(answer.headers()["url"], url);
        // Also not when the request says itself which tenant it is for.
        let request = Request::get(&url).extension(tenant("Cust1")).body(Full::default()).unwrap();
        if url.starts_with('/') || url.contains("example.org") {
            let answer = client.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.headers()["url"], url);
        }
    }
    assert_eq!(simulator.all_state_requests(), 1, "only the Move is pulled");
}

#[tokio::test]
async fn crafted_endpoint_never_receives_a_byte() {
    let trap = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let port = trap.local_addr().unwrap().port();
    let caught = tokio::spawn(async move {
        let (mut stream, from) = trap.accept().await.unwrap();
        let mut bytes = [0; 1];
        panic!("{from} connected and sent {:?}", stream.read(&mut bytes).await);
    });
    let connector: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    let endpoints = [
        format!("127.0.0.2:{port}"),
        format!("http://127.0.0.2:{port}"),
        format!("http://127.0.0.2:{port}/Cust1"),
        format!("127.0.0.1:1@127.0.0.2:{port}"),
        format!("http://127.0.0.1:1@127.0.0.2:{port}/Cust1"),
        format!("127.0.0.2:{port}#@127.0.0.1"),
        format!("127.0.0.2:{port}\\\\@127.0.0.1"),
        format!("0x7f.0.0.2:{port}"),
        format!("127.0.2:{port}"),
        format!("2130706434:{port}"),
    ];
    for state_api in [true, false] {
        let env = TestEnv::with(|builder| builder.state_api(state_api)).await;
        let TestEnv { simulator, gate, tenant, .. } = &env;
        let client = gate.endpoint_layer().locate(false).clone_body().layer(connector.clone());
        for endpoint in &endpoints {
            // By a verified notification, and by the state API itself.
            simulator.state_api(Fault::Json(format!(
                r#"{{"ContextIdentifier":"Cust1","State":"Running","IsRunning":true,"Endpoint":"{endpoint}","Api":"{endpoint}"}}"#,
            )));
            let moved = env.notification(ChangeType::Move).public_endpoint(endpoint);
            let pulls = || gate.health().pulls().map(|pulls| pulls.answered() + pulls.failed());
            let before = pulls();
            assert_eq!(moved.send().await.unwrap(), 204, "{endpoint}");
            until!(!state_api || pulls() > before);
            assert_eq!(gate.endpoint(tenant), None, "{endpoint}");
            let response = client.clone().oneshot(call(simulator, "content")).await.unwrap();
            assert_eq!(response.status(), 200, "{endpoint}");
            assert!(!caught.is_finished(), "{endpoint}");
        }
    }
    // The listener does notice a connection.
    let reached = tokio::net::TcpStream::connect(("127.0.0.2", port)).await;
    drop(reached);
    assert!(caught.await.unwrap_err().is_panic());
}
