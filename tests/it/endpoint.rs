//! Moves: calls follow their tenant, and a bearer token goes nowhere else.

use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use bytes::Bytes;
use futures::future::join_all;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::BoxBody};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::AsyncReadExt,
    net::TcpListener,
    time::{Duration, Instant, sleep},
};
use tower::{Layer, Service, ServiceBuilder, ServiceExt, service_fn};
use tower_superoffice::{
    ChangeType, Environment, GuardError, TenantGate, TenantId, UnavailableReason,
    simulator::{Fault, Network, Simulator, SimulatorBody},
    status::State,
    token::SigningKeys,
};

type Body = Full<Bytes>;

fn tenant() -> TenantId {
    TenantId::new("Cust1").unwrap()
}

/// Gate and simulator on tokio's clock, paused or not, without sockets in between.
async fn world() -> (Simulator, TenantGate) {
    let (start, began) = (SystemTime::now(), Instant::now());
    let clock = move || start + began.elapsed();
    let hosts = NonZeroUsize::new(3).unwrap();
    let simulator = Simulator::builder().hosts(hosts).clock(clock).start().await.unwrap();
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).unwrap())
        .client(simulator.network())
        .clock(clock)
        .build()
        .await
        .unwrap();
    simulator.notify_service(gate.notification_service());
    (simulator, gate)
}

/// A call to the tenant at the host that served it first.
fn call(simulator: &Simulator, body: &'static str) -> Request<Body> {
    Request::post(format!("{}Cust1/api//v1/Contact?$filter=a%20b", simulator.hosts()[0]))
        .header("authorization", "Bearer secret")
        .body(Full::from(body))
        .unwrap()
}

async fn send<S>(client: S, request: Request<Body>) -> StatusCode
where
    S: Service<Request<Body>, Response = Response<SimulatorBody>>,
    S::Error: std::fmt::Debug,
{
    client.oneshot(request).await.unwrap().status()
}

#[tokio::test(start_paused = true)]
async fn moved_tenant_is_followed_after_one_421() {
    let (simulator, gate) = world().await;
    let client = gate.endpoint_layer().layer(simulator.network());
    assert_eq!(send(client.clone(), call(&simulator, "")).await, 200);
    assert_eq!(simulator.all_state_requests(), 0, "nothing is asked without reason");
    assert_eq!(gate.endpoint(&tenant()), None);

    simulator.move_tenant(&tenant()).without_notification();
    assert_eq!(send(client.clone(), call(&simulator, "")).await, 200);
    assert_eq!(simulator.misdirected_calls(&tenant()), 1);
    for _ in 0..10 {
        assert_eq!(send(client.clone(), call(&simulator, "")).await, 200);
    }
    assert_eq!(simulator.misdirected_calls(&tenant()), 1, "the next calls go right at once");
    assert_eq!(simulator.all_state_requests(), 1);
    assert_eq!(gate.endpoint(&tenant()).unwrap(), simulator.hosts()[1]);

    // And again, at once.
    simulator.move_tenant(&tenant()).without_notification();
    assert_eq!(send(client.clone(), call(&simulator, "")).await, 200);
    assert_eq!(gate.endpoint(&tenant()).unwrap(), simulator.hosts()[2]);
    assert_eq!((simulator.misdirected_calls(&tenant()), simulator.all_state_requests()), (2, 2));
}

#[tokio::test(start_paused = true)]
async fn announced_move_costs_no_call() {
    let (simulator, gate) = world().await;
    simulator.move_tenant(&tenant()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    let client = gate.endpoint_layer().no_retry().layer(simulator.network());
    assert_eq!(send(client, call(&simulator, "x")).await, 200);
    assert_eq!(simulator.misdirected_calls(&tenant()), 0);
}

#[tokio::test(start_paused = true)]
async fn repeated_call_keeps_path_query_headers_and_body() {
    let (simulator, gate) = world().await;
    simulator.move_tenant(&tenant()).without_notification();
    let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (log, network) = (Arc::clone(&seen), simulator.network());
    let client = service_fn(move |request: Request<Body>| {
        let (log, network) = (Arc::clone(&log), network.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await.unwrap().to_bytes();
            log.lock().unwrap().push((parts.uri.clone(), parts.headers.clone(), body.clone()));
            network.oneshot(Request::from_parts(parts, Body::from(body))).await
        }
    });
    let client = gate.endpoint_layer().clone_body().layer(client);
    assert_eq!(send(client, call(&simulator, "content")).await, 200);
    let seen = seen.lock().unwrap();
    let [(first, first_headers, first_body), (second, second_headers, second_body)] = &seen[..]
    else {
        panic!("{seen:?}")
    };
    assert_eq!(second.path_and_query(), first.path_and_query());
    assert_eq!(second.authority(), simulator.hosts()[1].authority());
    assert_eq!(second_headers, first_headers);
    assert_eq!((&first_body[..], &second_body[..]), (&b"content"[..], &b"content"[..]));
}

#[tokio::test]
async fn concurrent_misdirected_calls_share_one_pull() {
    let (simulator, gate) = world().await;
    simulator.move_tenant(&tenant()).without_notification();
    // They come back at different times, some only after the pull is over.
    let network = simulator.network();
    let uneven = service_fn(move |request: Request<Body>| {
        let network = network.clone();
        async move {
            sleep(Duration::from_millis(fastrand::u64(..300))).await;
            let answer = network.oneshot(request).await;
            sleep(Duration::from_millis(fastrand::u64(..300))).await;
            answer
        }
    });
    let client = gate.endpoint_layer().clone_body().layer(uneven);
    let calls = (0..1000).map(|_| send(client.clone(), call(&simulator, "content")));
    let answers = join_all(calls).await;
    assert!(answers.iter().all(|status| *status == 200));
    assert_eq!(simulator.all_state_requests(), 1);
    assert_eq!(simulator.calls(&tenant()), 1000);
    assert!(simulator.misdirected_calls(&tenant()) <= 1000);
}

#[tokio::test(start_paused = true)]
async fn calls_sent_during_a_pull_join_it() {
    let (simulator, gate) = world().await;
    let client = gate.endpoint_layer().layer(simulator.network());
    for moves in 1..=2 {
        simulator.move_tenant(&tenant()).without_notification();
        simulator.state_api(Fault::Slow(Duration::from_millis(500)));
        let calls = (0..100).map(|number| {
            let (client, call) = (client.clone(), call(&simulator, ""));
            async move {
                sleep(Duration::from_millis(number * 10)).await;
                send(client, call).await
            }
        });
        assert!(join_all(calls).await.iter().all(|status| *status == 200));
        assert_eq!(simulator.all_state_requests(), moves, "and the first move hides no second");
    }
}

#[tokio::test(start_paused = true)]
async fn call_without_a_copy_is_421_and_later_calls_succeed() {
    let (simulator, gate) = world().await;
    let layer = gate.endpoint_layer();
    let clone_none = layer.clone().clone_request(|_: &Request<Body>| None);
    for (number, client) in [
        layer.clone().layer(simulator.network()).map_request(|r: Request<Body>| r).boxed_clone(),
        layer.clone().no_retry().layer(simulator.network()).boxed_clone(),
        clone_none.layer(simulator.network()).boxed_clone(),
    ]
    .into_iter()
    .enumerate()
    {
        simulator.move_tenant(&tenant()).without_notification();
        let start = Instant::now();
        assert_eq!(send(client.clone(), call(&simulator, "content")).await, 421, "{number}");
        assert_eq!(start.elapsed(), Duration::ZERO, "nobody waits for what helps nobody");
        sleep(Duration::from_secs(1)).await;
        assert_eq!(send(client.clone(), call(&simulator, "content")).await, 200, "{number}");
        sleep(Duration::from_secs(10)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn misdirected_call_waits_five_seconds_at_most() {
    let (simulator, gate) = world().await;
    let client = gate.endpoint_layer().layer(simulator.network());
    simulator.move_tenant(&tenant()).without_notification();
    simulator.state_api(Fault::Hang);
    let start = Instant::now();
    assert_eq!(send(client.clone(), call(&simulator, "")).await, 421);
    assert_eq!(start.elapsed(), Duration::from_secs(5));

    // A state API that fails is not asked again by every call.
    simulator.state_api(Fault::Status(StatusCode::BAD_GATEWAY));
    let before = simulator.all_state_requests();
    for _ in 0..100 {
        assert_eq!(send(client.clone(), call(&simulator, "")).await, 421);
        sleep(Duration::from_millis(100)).await;
    }
    assert!(simulator.all_state_requests() - before <= 3, "{}", simulator.all_state_requests());
    simulator.state_api(Fault::None);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(send(client, call(&simulator, "")).await, 200);
}

#[tokio::test(start_paused = true)]
async fn misdirected_call_is_repeated_once_only() {
    let (simulator, gate) = world().await;
    // The state API names a host that does not serve the tenant either.
    simulator.move_tenant(&tenant()).without_notification();
    simulator.state_api(Fault::Json(format!(
        r#"{{"ContextIdentifier":"Cust1","State":"Running","IsRunning":true,"Endpoint":"{}Cust1"}}"#,
        simulator.hosts()[2]
    )));
    let client = gate.endpoint_layer().layer(simulator.network());
    assert_eq!(send(client, call(&simulator, "")).await, 421);
    assert_eq!(simulator.misdirected_calls(&tenant()), 2);
    assert_eq!(simulator.all_state_requests(), 1);
}

#[tokio::test(start_paused = true)]
async fn unexplained_421_is_returned() {
    let (simulator, gate) = world().await;
    let misdirected = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&misdirected);
    let stubborn = service_fn(move |_: Request<Body>| {
        count.fetch_add(1, Ordering::Relaxed);
        let answer = Response::builder().status(421).body(SimulatorBody::default()).unwrap();
        async { Ok::<_, std::io::Error>(answer) }
    });
    let client = gate.endpoint_layer().layer(stubborn);
    for _ in 0..50 {
        assert_eq!(send(client.clone(), call(&simulator, "")).await, 421);
        sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(misdirected.load(Ordering::Relaxed), 50, "the same host is not tried twice");
    // One look learned the host, one more found nothing new; after that nobody asks for a while.
    assert_eq!(simulator.all_state_requests(), 2);
}

#[tokio::test(start_paused = true)]
async fn repetition_takes_over_the_permit() {
    let (simulator, gate) = world().await;
    simulator.move_tenant(&tenant()).without_notification();
    let client = ServiceBuilder::new()
        .layer(gate.endpoint_layer())
        .concurrency_limit(1)
        .service(simulator.network());
    let calls = (0..20).map(|_| send(client.clone(), call(&simulator, "")));
    let all = tokio::time::timeout(Duration::from_secs(5), join_all(calls)).await.unwrap();
    assert!(all.iter().all(|status| *status == 200), "{all:?}");
}

#[tokio::test(start_paused = true)]
async fn repetition_passes_the_guard_again() {
    let (simulator, gate) = world().await;
    simulator.move_tenant(&tenant()).without_notification();
    simulator.suspend(&tenant()).without_notification();
    let client = ServiceBuilder::new()
        .layer(gate.endpoint_layer())
        .layer(gate.guard_layer())
        .service(simulator.network());
    match client.oneshot(call(&simulator, "")).await {
        Err(GuardError::Unavailable(closed)) => {
            assert_eq!(closed.reason(), UnavailableReason::Suspended);
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(simulator.calls_while_closed(), 0);
}

#[tokio::test(start_paused = true)]
async fn call_to_no_tenant_host_passes_unchanged() {
    let (simulator, gate) = world().await;
    simulator.move_tenant(&tenant()).await.unwrap();
    sleep(Duration::from_secs(1)).await;
    assert!(gate.endpoint(&tenant()).is_some());
    let echo = service_fn(|request: Request<Body>| async move {
        let url = request.uri().to_string();
        Ok::<_, std::io::Error>(
            Response::builder().status(421).header("url", url).body(()).unwrap(),
        )
    });
    let client = gate.endpoint_layer().layer(echo);
    let host = simulator.hosts()[0].to_string();
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
        let request = Request::get(&url).extension(tenant()).body(Full::default()).unwrap();
        if url.starts_with('/') || url.contains("example.org") {
            let answer = client.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.headers()["url"], url);
        }
    }
    assert_eq!(simulator.all_state_requests(), 1, "only the Move was looked into");
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
    for asks in [true, false] {
        let simulator = Simulator::start().await.unwrap();
        let gate = TenantGate::builder(simulator.environment())
            .audience(simulator.application_id())
            .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).unwrap())
            .state_api(asks)
            .build()
            .await
            .unwrap();
        simulator.notify_service(gate.notification_service());
        let client = gate.endpoint_layer().clone_body().layer(connector.clone());
        for endpoint in &endpoints {
            // By a verified notification, and by the state API itself.
            simulator.state_api(Fault::Json(format!(
                r#"{{"ContextIdentifier":"Cust1","State":"Running","IsRunning":true,"Endpoint":"{endpoint}","Api":"{endpoint}"}}"#,
            )));
            let moved = simulator.notification(ChangeType::Move, &tenant());
            let told = moved.public_endpoint(endpoint).send().await.unwrap();
            assert_eq!(told, 204, "{endpoint}");
            sleep(Duration::from_millis(150)).await;
            assert_eq!(gate.endpoint(&tenant()), None, "{endpoint}");
            let status =
                client.clone().oneshot(call(&simulator, "content")).await.unwrap().status();
            assert_eq!(status, 200, "{endpoint}");
            assert!(!caught.is_finished(), "{endpoint}");
        }
    }
    // A listener that would not notice proves nothing.
    let reached = tokio::net::TcpStream::connect(("127.0.0.2", port)).await;
    drop(reached);
    assert!(caught.await.unwrap_err().is_panic());
}

#[tokio::test]
async fn hyper_and_reqwest_follow_a_move() {
    let simulator = Simulator::start().await.unwrap();
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).unwrap())
        .build()
        .await
        .unwrap();
    let connector: Client<HttpConnector, Body> = Client::builder(TokioExecutor::new()).build_http();
    let hyper = ServiceBuilder::new()
        .layer(gate.endpoint_layer().clone_body())
        .layer(gate.guard_layer())
        .service(connector);
    simulator.move_tenant(&tenant()).without_notification();
    let answer = hyper.clone().oneshot(call(&simulator, "content")).await.unwrap();
    assert_eq!(answer.status(), 200);

    let reqwest = ServiceBuilder::new()
        .layer(gate.endpoint_layer())
        .layer(gate.guard_layer())
        .service(reqwest::Client::new());
    simulator.move_tenant(&tenant()).without_notification();
    let request = |body: reqwest::Body| {
        let url = format!("{}Cust1/api", simulator.hosts()[0]);
        reqwest::Client::new().post(url).body(body).build().unwrap()
    };
    let answer = reqwest.clone().oneshot(request("content".into())).await.unwrap();
    assert_eq!(answer.status(), 200);

    // A stream can't be sent twice; the call after it goes right.
    simulator.move_tenant(&tenant()).without_notification();
    let stream = || {
        let parts = futures::stream::iter([Ok::<_, std::io::Error>("con"), Ok("tent")]);
        reqwest::Body::wrap_stream(parts)
    };
    let answer = reqwest.clone().oneshot(request(stream())).await.unwrap();
    assert_eq!(answer.status(), 421);
    let known = simulator.hosts()[1].clone();
    tokio::time::timeout(Duration::from_secs(5), async {
        while gate.endpoint(&tenant()).unwrap() != known {
            sleep(Duration::from_millis(10)).await;
        }
    })
    .await
    .unwrap();
    let answer = reqwest.oneshot(request(stream())).await.unwrap();
    assert_eq!(answer.status(), 200);
    assert_eq!(simulator.calls_while_closed(), 0);
}

#[tokio::test(start_paused = true)]
async fn move_to_a_tenant_host_is_followed_without_state_api() {
    let simulator = Simulator::start().await.unwrap();
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).unwrap())
        .state_api(false)
        .build()
        .await
        .unwrap();
    simulator.notify_service(gate.notification_service());
    simulator.move_tenant(&tenant()).await.unwrap();
    let client = gate.endpoint_layer().layer(simulator.network());
    assert_eq!(send(client.clone(), call(&simulator, "content")).await, 200);
    simulator.move_tenant(&tenant()).without_notification();
    assert_eq!(send(client, call(&simulator, "")).await, 421, "there is nobody to ask");
    assert_eq!(simulator.all_state_requests(), 0);
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
        let layer = gate.endpoint_layer();
        needed(&layer);
        needed(&layer.layer(network.clone()));
        needed(&layer.clone().clone_body().layer(network.clone()));
        let mut service = layer.layer(network.clone());
        future(&service.call(Request::get("https://x/").body(Full::<Bytes>::default()).unwrap()));
        let mut boxed = layer.no_retry().layer(network);
        let body: BoxBody<Bytes, std::convert::Infallible> = Full::<Bytes>::default().boxed();
        future(&boxed.call(Request::new(body)));
    });
    let _ = State::Running;
}
