//! The gateway and its key URL: tokens with a known key are accepted at once, whatever
//! unauthenticated senders post and the key server responds.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use harness::simulator_at_own_host;
use http::{Request, StatusCode};
use http_body_util::Full;
use tower_superoffice::{
    ChangeType, TenantId,
    simulator::{Fault, Simulator},
};

use crate::process::Gateway;

struct Env {
    simulator: Simulator,
    gateway: Gateway,
    tenant: TenantId,
    started: Instant,
}

/// How the gateway is given its environment.
#[derive(Debug, Clone, Copy)]
enum Source {
    /// A base URL for everything.
    BaseUrl,
    /// One of SuperOffice's own, with the simulator's key URL.
    Environment,
}

impl Env {
    /// Starts a gateway and waits until it has fetched its keys.
    async fn new(source: Source) -> Self {
        let simulator = simulator_at_own_host().await;
        let base = simulator.hosts()[0].to_string();
        let keys = simulator.environment().key_url().to_string();
        let issuer = base.trim_end_matches('/');
        let environment = match source {
            Source::BaseUrl => ["--base-url", &base].to_vec(),
            Source::Environment => {
                let keys = ["--key-url", &keys, "--issuer", issuer];
                [&["--environment", "sod", "--state-api", "off"][..], &keys].concat()
            }
        };
        let application = simulator.application_id().to_owned();
        // Both forward calls to the simulator.
        let rest = ["--listen", "127.0.0.1:0", "--audience", &application, "--upstream", &base];
        let started = Instant::now();
        let gateway = Gateway::start(&[&environment[..], &rest[..]].concat()).await;
        let tenant = TenantId::new("Cust1").unwrap();
        let env = Self { simulator, gateway, tenant, started };
        assert_eq!(env.valid().await.0, StatusCode::NO_CONTENT);
        assert_eq!(env.simulator.key_requests(), 1);
        env
    }

    async fn post(&self, body: Bytes) -> StatusCode {
        let url = self.gateway.url("/NotifyCustomerStateChange");
        self.gateway.send(Request::post(url).body(Full::new(body)).unwrap()).await.status
    }

    /// Posts a valid notification; returns the status and the time until it came.
    async fn valid(&self) -> (StatusCode, Duration) {
        let body = self.simulator.notification(ChangeType::BackupRestored, &self.tenant).body();
        let begin = Instant::now();
        (self.post(body).await, begin.elapsed())
    }

    /// Posts a token whose `kid` names no key.
    async fn unknown_key(&self, number: u32) -> StatusCode {
        let unknown_key = self.simulator.notification(ChangeType::Suspend, &self.tenant);
        let kid = format!("{number:040X}");
        self.post(unknown_key.header("kid", kid).without_header("x5t").body()).await
    }
}

/// Bound on the response to a token with a known key; a wait for keys lasts up to 2 s.
const AT_ONCE: Duration = Duration::from_millis(1500);

async fn flood(env: &Arc<Env>, unknown: u32) {
    let begin = Instant::now();
    let senders: Vec<_> = (0..8)
        .map(|sender| {
            let env = Arc::clone(env);
            tokio::spawn(async move {
                let mut answers = [0_u32; 2];
                for number in (sender..unknown).step_by(8) {
                    match env.unknown_key(number).await {
                        StatusCode::UNAUTHORIZED => answers[0] += 1,
                        StatusCode::SERVICE_UNAVAILABLE => answers[1] += 1,
                        other => panic!("{other}"),
                    }
                }
                answers
            })
        })
        .collect();
    let ended = Arc::new(AtomicBool::new(false));
    let valid = tokio::spawn({
        let (env, ended) = (Arc::clone(env), Arc::clone(&ended));
        async move {
            let (mut served, mut slowest) = (0, Duration::ZERO);
            while !ended.load(Ordering::Relaxed) {
                let (status, took) = env.valid().await;
                assert_eq!(status, StatusCode::NO_CONTENT);
                (served, slowest) = (served + 1, slowest.max(took));
            }
            (served, slowest)
        }
    });
    let mut answers = [0, 0];
    for sender in senders {
        let [unauthorized, unavailable] = sender.await.unwrap();
        answers = [answers[0] + unauthorized, answers[1] + unavailable];
    }
    ended.store(true, Ordering::Relaxed);
    let (served, slowest) = valid.await.unwrap();
    let took = begin.elapsed();
    // One at the start, and one for every 30 s since.
    let allowed = 1 + env.started.elapsed().as_secs() / 30;
    let fetched = env.simulator.key_requests();
    eprintln!(
        "{unknown} unknown in {took:.1?}: {answers:?} answered 401 and 503, {fetched} fetches; \
         {served} valid ones, the slowest in {slowest:.1?}"
    );
    assert!(fetched <= allowed, "{fetched} fetches in {took:?}");
    assert!(served > 0);
    assert!(slowest < AT_ONCE, "{slowest:?}");
    assert!(
        env.gateway.get("/Cust1/").await.status.is_success(),
        "an unknown key closed the tenant"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_of_unknown_key_ids_fetches_once_and_delays_nothing() {
    for source in [Source::BaseUrl, Source::Environment] {
        flood(&Arc::new(Env::new(source).await), 1_000).await;
    }
}

/// `cargo nextest run -p superoffice-gateway --test process --run-ignored all keys::`: takes up to
/// a minute, most of it the 30 s in which no second fetch is allowed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: waits out the 30 s between two fetches"]
async fn rotation_is_seen_during_a_flood_of_unknown_key_ids() {
    let env = Arc::new(Env::new(Source::Environment).await);
    flood(&env, 10_000).await;
    env.simulator.rotate_key().await.unwrap();
    let begin = Instant::now();
    let ended = Arc::new(AtomicBool::new(false));
    let unknown = tokio::spawn({
        let (env, ended) = (Arc::clone(&env), Arc::clone(&ended));
        async move {
            let mut number = 1 << 20;
            while !ended.load(Ordering::Relaxed) {
                env.unknown_key(number).await;
                number += 1;
            }
            number - (1 << 20)
        }
    });
    while env.valid().await.0 != StatusCode::NO_CONTENT {
        assert!(begin.elapsed() < Duration::from_secs(35), "the new key is not fetched");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seen = begin.elapsed();
    ended.store(true, Ordering::Relaxed);
    let unknown = unknown.await.unwrap();
    let fetched = env.simulator.key_requests();
    eprintln!(
        "new key fetched after {seen:.1?}, {unknown} unknown keys until then, {fetched} fetches"
    );
    assert!(seen < Duration::from_secs(35), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn failing_key_server_delays_no_known_key() {
    let faults = [
        Fault::Hang,
        Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
        Fault::Html,
        Fault::Oversized,
        Fault::Empty,
    ];
    let checks = faults.into_iter().cycle().take(10).enumerate().map(async |(n, fault)| {
        let source = if n < 5 { Source::BaseUrl } else { Source::Environment };
        let env = Env::new(source).await;
        env.simulator.key_server(fault.clone());
        // Requests the fetch that fails, once one is allowed.
        for number in 0..5 {
            assert_eq!(env.unknown_key(number).await, StatusCode::UNAUTHORIZED, "{fault:?}");
            let (status, took) = env.valid().await;
            assert_eq!(status, StatusCode::NO_CONTENT, "{fault:?}");
            assert!(took < AT_ONCE, "{fault:?}: {took:?}");
        }
    });
    futures::future::join_all(checks).await;
}

/// Checks the same past the 30 s after which an unknown key causes a fetch from the broken server.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "slow: waits out the 30 s between two fetches"]
async fn running_failing_fetch_delays_no_known_key() {
    let faults = [
        Fault::Hang,
        Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
        Fault::Html,
        Fault::Oversized,
        Fault::Empty,
    ];
    let checks = faults.map(async |fault| {
        let env = Env::new(Source::Environment).await;
        env.simulator.key_server(fault.clone());
        let begin = Instant::now();
        let mut number = 0;
        // Until the fetch has begun, and then for as long as it may take.
        while env.simulator.key_requests() < 2 {
            assert!(begin.elapsed() < Duration::from_secs(40), "{fault:?}: not fetched");
            env.unknown_key(number).await;
            number += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(6) {
            let (status, took) = env.valid().await;
            assert_eq!(status, StatusCode::NO_CONTENT, "{fault:?}");
            assert!(took < AT_ONCE, "{fault:?}: {took:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    futures::future::join_all(checks).await;
}
