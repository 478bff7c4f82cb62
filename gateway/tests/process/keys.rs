//! The gateway and its key URL: whatever strangers send and the key server answers, tokens whose key is
//! known are taken at once.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use tower_superoffice::{
    ChangeType, TenantId,
    simulator::{Fault, Simulator},
};

use crate::process::Gateway;

struct World {
    simulator: Simulator,
    gateway: Gateway,
    tenant: TenantId,
    started: Instant,
}

/// What the gateway is told of where it is.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// The URL under which all is.
    BaseUrl,
    /// SuperOffice's own environment, and where its keys are to be had here.
    Environment,
}

impl World {
    /// A gateway that has fetched its keys.
    async fn new(told: Told) -> Self {
        let simulator = Simulator::start().await.unwrap();
        let base = simulator.hosts()[0].to_string();
        let keys = simulator.environment().key_url().to_string();
        let issuer = base.trim_end_matches('/');
        let environment = match told {
            Told::BaseUrl => ["--base-url", &base].to_vec(),
            Told::Environment => {
                let keys = ["--key-url", &keys, "--issuer", issuer];
                [&["--environment", "sod", "--state-api", "off"][..], &keys].concat()
            }
        };
        let application = simulator.application_id().to_owned();
        // Where calls go is the same for both.
        let rest = ["--listen", "127.0.0.1:0", "--audience", &application, "--upstream", &base];
        let started = Instant::now();
        let gateway = Gateway::start(&[&environment[..], &rest[..]].concat()).await;
        let tenant = TenantId::new("Cust1").unwrap();
        let world = Self { simulator, gateway, tenant, started };
        assert_eq!(world.good().await.0, StatusCode::NO_CONTENT);
        assert_eq!(world.simulator.key_requests(), 1);
        world
    }

    async fn post(&self, body: Bytes) -> StatusCode {
        let url = self.gateway.url("/NotifyCustomerStateChange");
        self.gateway.send(Request::post(url).body(Full::new(body)).unwrap()).await.status
    }

    /// A good notification, and how long its answer took.
    async fn good(&self) -> (StatusCode, Duration) {
        let body = self.simulator.notification(ChangeType::BackupRestored, &self.tenant).body();
        let begin = Instant::now();
        (self.post(body).await, begin.elapsed())
    }

    /// A token under a name that no key has.
    async fn stray(&self, number: u32) -> StatusCode {
        let stray = self.simulator.notification(ChangeType::Suspend, &self.tenant);
        let kid = format!("{number:040X}");
        self.post(stray.header("kid", kid).without_header("x5t").body()).await
    }
}

/// A wait for keys lasts up to 2 s; a token whose key is known must not come near that.
const AT_ONCE: Duration = Duration::from_millis(1500);

async fn flood(world: &Arc<World>, strays: u32) {
    let begin = Instant::now();
    let senders: Vec<_> = (0..8)
        .map(|sender| {
            let world = Arc::clone(world);
            tokio::spawn(async move {
                let mut answers = [0_u32; 2];
                for number in (sender..strays).step_by(8) {
                    match world.stray(number).await {
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
    let good = tokio::spawn({
        let (world, ended) = (Arc::clone(world), Arc::clone(&ended));
        async move {
            let (mut served, mut slowest) = (0, Duration::ZERO);
            while !ended.load(Ordering::Relaxed) {
                let (status, took) = world.good().await;
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
    let (served, slowest) = good.await.unwrap();
    let took = begin.elapsed();
    // The one at the start, and one for every 30 s since.
    let allowed = 1 + world.started.elapsed().as_secs() / 30;
    let fetched = world.simulator.key_requests();
    eprintln!(
        "{strays} strays in {took:.1?}: {answers:?} answered 401 and 503, {fetched} fetches; \
         {served} good ones, the slowest in {slowest:.1?}"
    );
    assert!(fetched <= allowed, "{fetched} fetches in {took:?}");
    assert!(served > 0);
    assert!(slowest < AT_ONCE, "{slowest:?}");
    assert!(world.gateway.get("/Cust1/").await.status.is_success(), "a stray closed the tenant");
}

#[tokio::test(flavor = "multi_thread")]
async fn flood_of_unknown_key_ids_fetches_once_and_delays_nothing() {
    for told in [Told::BaseUrl, Told::Environment] {
        flood(&Arc::new(World::new(told).await), 1_000).await;
    }
}

/// `cargo nextest run -p superoffice-gateway --test process --run-ignored all keys::`: takes up to a minute,
/// most of it the 30 s in which no second fetch is allowed.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits out the 30 s between two fetches"]
async fn rotation_is_seen_during_a_flood_of_unknown_key_ids() {
    let world = Arc::new(World::new(Told::Environment).await);
    flood(&world, 10_000).await;
    world.simulator.rotate_key().await.unwrap();
    let begin = Instant::now();
    let ended = Arc::new(AtomicBool::new(false));
    let strays = tokio::spawn({
        let (world, ended) = (Arc::clone(&world), Arc::clone(&ended));
        async move {
            let mut number = 1 << 20;
            while !ended.load(Ordering::Relaxed) {
                world.stray(number).await;
                number += 1;
            }
            number - (1 << 20)
        }
    });
    while world.good().await.0 != StatusCode::NO_CONTENT {
        assert!(begin.elapsed() < Duration::from_secs(35), "the rotation was not seen");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seen = begin.elapsed();
    ended.store(true, Ordering::Relaxed);
    let strays = strays.await.unwrap();
    let fetched = world.simulator.key_requests();
    eprintln!(
        "the rotation was seen after {seen:.1?}, {strays} strays meanwhile, {fetched} fetches"
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
        let told = if n < 5 { Told::BaseUrl } else { Told::Environment };
        let world = World::new(told).await;
        world.simulator.key_server(fault.clone());
        // Asks for the fetch that will fail, once one is allowed.
        for number in 0..5 {
            assert_eq!(world.stray(number).await, StatusCode::UNAUTHORIZED, "{fault:?}");
            let (status, took) = world.good().await;
            assert_eq!(status, StatusCode::NO_CONTENT, "{fault:?}");
            assert!(took < AT_ONCE, "{fault:?}: {took:?}");
        }
    });
    futures::future::join_all(checks).await;
}

/// The same, past the 30 s after which an unknown name makes the gateway ask the broken server.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "waits out the 30 s between two fetches"]
async fn running_failing_fetch_delays_no_known_key() {
    let faults = [
        Fault::Hang,
        Fault::Status(StatusCode::INTERNAL_SERVER_ERROR),
        Fault::Html,
        Fault::Oversized,
        Fault::Empty,
    ];
    let checks = faults.map(async |fault| {
        let world = World::new(Told::Environment).await;
        world.simulator.key_server(fault.clone());
        let begin = Instant::now();
        let mut number = 0;
        // Until the fetch has been asked for, and then as long as it may last.
        while world.simulator.key_requests() < 2 {
            assert!(begin.elapsed() < Duration::from_secs(40), "{fault:?}: never asked");
            world.stray(number).await;
            number += 1;
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
        let asked = Instant::now();
        while asked.elapsed() < Duration::from_secs(6) {
            let (status, took) = world.good().await;
            assert_eq!(status, StatusCode::NO_CONTENT, "{fault:?}");
            assert!(took < AT_ONCE, "{fault:?}: {took:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    });
    futures::future::join_all(checks).await;
}
