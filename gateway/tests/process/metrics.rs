//! `/metrics`: the gateway's numbers as Prometheus reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Stdio,
    time::{Duration, Instant},
};

use harness::{Directory, MAX_WAIT, free_port, promtool, skip_without, until};
use http::{Request, StatusCode, header};
use http_body_util::Full;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    process::{Child, Command},
};
use tower_superoffice::{ChangeType, simulator::Fault, status::State};

use crate::process::GatewayEnv;

/// The names of the documented table.
fn documented() -> BTreeSet<String> {
    let text = include_str!("../../../docs/metrics.md");
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `superoffice_"));
    rows.map(|row| format!("superoffice_{}", row.split('`').next().unwrap())).collect()
}

async fn scrape(env: &GatewayEnv) -> String {
    let answer = env.gateway.get("/metrics").await;
    assert_eq!(answer.status, StatusCode::OK);
    let content_type = answer.headers[header::CONTENT_TYPE].to_str().unwrap();
    assert!(content_type.starts_with("text/plain; version=0.0.4"), "{content_type}");
    String::from_utf8(answer.body.to_vec()).unwrap()
}

/// The samples of a scrape, without the label of the environment.
fn samples(text: &str) -> BTreeMap<String, f64> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let sample = |line: &str| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        let Some((name, labels)) = series.split_once('{') else {
            return (series.to_owned(), value.parse().unwrap());
        };
        let labels = labels.trim_end_matches('}').split(',');
        let labels = labels.filter(|label| !label.starts_with("environment="));
        let labels = labels.collect::<Vec<_>>().join(",");
        (format!("{name}{{{labels}}}"), value.parse().unwrap())
    };
    lines.map(sample).collect()
}

/// A gateway with a store and the state API, to which something of each kind happened.
async fn busy(directory: &Directory) -> GatewayEnv {
    let store = format!("redb:{}", directory.join("tenants.redb").display());
    let env = GatewayEnv::new(&["--state-api", "on", "--store", &store]).await;
    until!(env.gateway.get("/ready").await.status == StatusCode::OK);
    assert_eq!(env.gateway.get("/Cust1/api/v1/Contact/1").await.status, StatusCode::OK);
    assert_eq!(env.notify(ChangeType::Suspend).await, StatusCode::NO_CONTENT);
    for _ in 0..2 {
        let closed = env.gateway.get("/Cust1/api/v1/Contact/1").await;
        assert_eq!(closed.status, StatusCode::SERVICE_UNAVAILABLE);
    }
    let junk = Request::post(env.gateway.url("/NotifyCustomerStateChange"));
    let junk = env.gateway.send(junk.body(Full::new("{".into())).unwrap()).await;
    assert_eq!(junk.status, StatusCode::BAD_REQUEST);
    env
}

#[tokio::test]
async fn scrape_has_every_documented_name_and_no_other() {
    let directory = Directory::new();
    let text = scrape(&busy(&directory).await).await;
    let types = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let named: BTreeSet<_> = types.map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    assert_eq!(named, documented());
    assert_eq!(text.matches("# HELP ").count(), named.len(), "one is not described");
}

#[tokio::test]
async fn scrape_passes_the_checks_of_prometheus() {
    let directory = Directory::new();
    let text = scrape(&busy(&directory).await).await;
    let Some(checked) = promtool(&["check", "metrics"], text.as_bytes()) else { return };
    let output = String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && output.is_empty(), "{output}");
}

/// The queries of the dashboard, over some seconds, for all environments.
fn queries() -> Vec<String> {
    let dashboard: serde_json::Value =
        serde_json::from_str(include_str!("../../../docs/dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter();
    let targets = panels.flat_map(|panel| panel["targets"].as_array().into_iter().flatten());
    let query = |target: &serde_json::Value| {
        let query = target["expr"].as_str().unwrap().replace("$__rate_interval", "30s");
        query.replace("[1h]", "[30s]").replace("$environment", ".*")
    };
    targets.map(query).collect()
}

/// Has a Prometheus scrape `env` each second, and returns its URL.
fn start_prometheus(directory: &Directory, env: &GatewayEnv) -> Option<(Child, String)> {
    let configuration = directory.join("prometheus.yml");
    let gateway = env.gateway.url("/").authority().unwrap().to_string();
    let scrape = format!(
        "global:\n  scrape_interval: 1s\nscrape_configs:\n  - job_name: gateway\n    \
         static_configs:\n      - targets: [\"{gateway}\"]\n"
    );
    std::fs::write(&configuration, scrape).unwrap();
    let address = format!("127.0.0.1:{}", free_port());
    let started = Command::new("prometheus")
        .arg(format!("--config.file={}", configuration.display()))
        .arg(format!("--storage.tsdb.path={}", directory.join("series").display()))
        .arg(format!("--web.listen-address={address}"))
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    if started.is_err() {
        skip_without("prometheus is missing (Debian: prometheus)");
    }
    Some((started.ok()?, format!("http://{address}")))
}

#[tokio::test]
#[ignore = "slow: needs prometheus"]
async fn each_panel_of_the_dashboard_has_series_in_prometheus() {
    let directory = Directory::new();
    let env = busy(&directory).await;
    let Some((_prometheus, url)) = start_prometheus(&directory, &env) else { return };
    let mut open: Vec<_> = queries();
    assert!(open.len() > 30, "{open:?}");
    let began = Instant::now();
    while !open.is_empty() {
        assert!(began.elapsed() < Duration::from_secs(60), "without series: {open:#?}");
        // A closing that is called and a Resume that is lost, which an ordered pull finds.
        assert_eq!(env.notify(ChangeType::Suspend).await, StatusCode::NO_CONTENT);
        env.gateway.get("/Cust1/api/v1/Contact/1").await;
        env.gateway.get("/Cust2/api/v1/Contact/1").await;
        env.simulator.set_state(&env.tenant, State::Running);
        let junk = Request::post(env.gateway.url("/NotifyCustomerStateChange"));
        env.gateway.send(junk.body(Full::new("{".into())).unwrap()).await;
        let refresh = Request::post(env.gateway.url("/tenants/Cust1/refresh"))
            .header(header::CONTENT_TYPE, "application/json");
        env.gateway.send(refresh.body(Full::new("".into())).unwrap()).await;
        let (asked, now) = (url.clone(), open);
        open = tokio::task::spawn_blocking(move || without_series(&asked, now)).await.unwrap();
    }
}

/// The queries to which Prometheus has no answer yet.
fn without_series(url: &str, queries: Vec<String>) -> Vec<String> {
    let has_none = |query: &String| {
        let output = promtool(&["query", "instant", url, query], b"").unwrap();
        output.stdout.trim_ascii().is_empty()
    };
    queries.into_iter().filter(has_none).collect()
}

#[tokio::test]
async fn numbers_follow_calls_and_notifications() {
    let directory = Directory::new();
    let env = busy(&directory).await;
    let numbers = samples(&scrape(&env).await);
    for (series, value) in [
        ("gateway_calls_total{class=\"2xx\",from=\"tenant\"}", 1.0),
        ("gateway_calls_total{class=\"5xx\",from=\"gateway\"}", 2.0),
        ("gateway_calls_total{class=\"5xx\",from=\"tenant\"}", 0.0),
        ("gateway_calls_in_flight{}", 0.0),
        ("gateway_call_duration_seconds_count{from=\"tenant\"}", 1.0),
        ("gateway_call_duration_seconds_bucket{from=\"gateway\",le=\"+Inf\"}", 2.0),
        ("calls_refused_total{reason=\"suspended\"}", 2.0),
        ("notifications_total{outcome=\"applied\"}", 1.0),
        ("notifications_refused_total{refusal=\"malformed\"}", 1.0),
        ("tenants_closed{reason=\"suspended\"}", 1.0),
        ("store_state{state=\"fresh\"}", 1.0),
        ("store_dirty_tenants{}", 0.0),
        ("keys{}", 1.0),
        ("gateway_ready{}", 1.0),
        ("gateway_degraded{reason=\"pulls_failing\"}", 0.0),
        ("task_down{task=\"pulls\"}", 0.0),
    ] {
        assert_eq!(numbers.get(&format!("superoffice_{series}")), Some(&value), "{series}");
    }
    assert!(numbers["superoffice_store_merge_duration_seconds_count{}"] >= 1.0);
    assert!(numbers["superoffice_pull_duration_seconds_count{}"] >= 1.0);

    env.simulator.tenant_hosts(Fault::Status(StatusCode::NOT_FOUND));
    env.notify(ChangeType::Resume).await;
    assert_eq!(env.gateway.get("/Cust1/x").await.status, StatusCode::NOT_FOUND);
    let numbers = samples(&scrape(&env).await);
    assert_eq!(numbers["superoffice_gateway_calls_total{class=\"4xx\",from=\"tenant\"}"], 1.0);
    assert_eq!(numbers["superoffice_tenants_closed{reason=\"suspended\"}"], 0.0);
}

/// A gateway with an internal listener, and the address of that.
async fn with_internal_listener() -> (GatewayEnv, String) {
    let internal = format!("127.0.0.1:{}", free_port());
    let env = GatewayEnv::new(&["--internal-listen", &internal]).await;
    (env, internal)
}

/// Sends a request without a body and leaves the connection open.
async fn send(address: &str, method: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!("{method} {path} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// The whole answer to such a request, with its head.
async fn answer(address: &str, method: &str, path: &str) -> String {
    let (mut stream, mut answer) = (send(address, method, path).await, String::new());
    let read = tokio::time::timeout(MAX_WAIT, stream.read_to_string(&mut answer)).await;
    read.unwrap().unwrap();
    answer
}

#[tokio::test]
async fn scrape_follows_the_readiness_of_ready() {
    let env = GatewayEnv::new(&[]).await;
    let caller = env.gateway.caller().clone();
    let ready = async || {
        let text = caller.get("/metrics").await.expect("an answer").body;
        samples(std::str::from_utf8(&text).unwrap())["superoffice_gateway_ready{}"]
    };
    until!(env.gateway.get("/ready").await.status == StatusCode::OK);
    assert_eq!(ready().await, 1.0);
    // It still takes connections for a second.
    env.gateway.send_sigterm().await;
    until!(caller.get("/ready").await.is_none_or(|answer| answer.status != StatusCode::OK));
    assert_eq!(ready().await, 0.0);
}

#[tokio::test]
async fn abandoned_call_is_counted_and_no_longer_in_flight() {
    let (env, internal) = with_internal_listener().await;
    env.simulator.tenant_hosts(Fault::Hang);
    let numbers = async || {
        let text = answer(&internal, "GET", "/metrics").await;
        samples(text.split_once("\r\n\r\n").unwrap().1)
    };
    let call = send(&internal, "GET", "/Cust1/x").await;
    let in_flight = "superoffice_gateway_calls_in_flight{}";
    until!(numbers().await[in_flight] == 1.0);
    drop(call);
    let abandoned = "superoffice_gateway_calls_total{class=\"abandoned\",from=\"caller\"}";
    until!(numbers().await[abandoned] == 1.0);
    assert_eq!(numbers().await[in_flight], 0.0);
}

#[tokio::test]
async fn metrics_are_on_the_internal_listener_alone() {
    let (env, internal) = with_internal_listener().await;
    assert_eq!(env.gateway.get("/metrics").await.status, StatusCode::NOT_FOUND);
    let scraped = answer(&internal, "GET", "/metrics").await;
    assert!(scraped.starts_with("HTTP/1.1 200"), "{scraped}");
    assert!(scraped.contains("superoffice_gateway_connections{listener=\"internal\"} 1"));
    assert!(scraped.contains("superoffice_gateway_connections{listener=\"public\"} 1"));
    assert!(answer(&internal, "POST", "/metrics").await.starts_with("HTTP/1.1 405"));
    assert_eq!(env.simulator.all_calls(), 0);
}
