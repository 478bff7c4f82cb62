//! `kill -9` under load: after the restart the newest notification that was answered 204 is in
//! force.
//!
//! `LIVES=200 cargo test -p superoffice-gateway --test process crash_recovery -- --nocapture` for a
//! long run. Repeat it for more: the script of a tenant ends after some 1,800 steps, or half an
//! hour.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use harness::{Directory, amount, simulator_at_own_host};
use http::StatusCode;
use tower_superoffice::simulator::Simulator;

use crate::{
    process::{Caller, Gateway},
    script,
    shared_server::{Kind, SharedServer},
};

/// Number of notifications in flight.
const TENANTS: usize = 64;

/// Where the gateway keeps its records.
enum Durable {
    Redb(Directory),
    /// Half of the lives it is killed with the gateway. It has synced whatever it acknowledged.
    Server(SharedServer),
}

impl Durable {
    fn argument(&self) -> String {
        match self {
            Self::Redb(directory) => format!("redb:{}", directory.join("tenants.redb").display()),
            Self::Server(server) => server.url(),
        }
    }
}

struct Env {
    simulator: Simulator,
    /// The newest step of each tenant, over all restarts, that was answered or found in force.
    answered: Vec<AtomicI64>,
    /// The newest step of each tenant that was sent.
    sent: Vec<AtomicI64>,
    /// Number of notifications answered 204.
    count: AtomicU64,
    /// Number of notifications answered 503.
    unavailable: AtomicU64,
}

impl Env {
    async fn new() -> Self {
        let zeros = || (0..TENANTS).map(|_| AtomicI64::new(0)).collect();
        Self {
            simulator: simulator_at_own_host().await,
            answered: zeros(),
            sent: zeros(),
            count: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
        }
    }

    /// Sends the steps of one tenant until the gateway no longer answers.
    async fn send_steps(&self, gateway: Caller, killed: &AtomicBool, n: usize) {
        let tenant = script::tenant(n);
        let mut step = self.answered[n].load(SeqCst) + 1;
        loop {
            let body = script::body(&self.simulator, &tenant, step);
            self.sent[n].store(step, SeqCst);
            // Some are sent twice at once: neither may be answered before the change is stored.
            let copies = if step % 3 == 0 { 2 } else { 1 };
            let answers = join_all((0..copies).map(|_| gateway.notify(body.clone()))).await;
            let answers: Vec<_> = answers.into_iter().flatten().collect();
            if answers.is_empty() {
                return;
            }
            for answer in &answers {
                match *answer {
                    StatusCode::NO_CONTENT => self.count.fetch_add(1, SeqCst),
                    // The disk or the key URL took too long; nothing is promised.
                    StatusCode::SERVICE_UNAVAILABLE => self.unavailable.fetch_add(1, SeqCst),
                    // Another program may have the port by now.
                    _ if killed.load(SeqCst) => return,
                    other => panic!("step {step} of {tenant} was answered {other}"),
                };
            }
            if answers.contains(&StatusCode::NO_CONTENT) {
                self.answered[n].store(step, SeqCst);
                step += 1;
            }
        }
    }

    /// Returns what is wrong after a restart, and the number of unanswered steps found in force.
    async fn broken(&self, gateway: &Caller) -> (Vec<String>, usize) {
        let tenants = gateway.get("/tenants").await.unwrap();
        let found = script::parse_tenants(&tenants.body);
        let (mut broken, mut came_through) = (Vec::new(), 0);
        for n in 0..TENANTS {
            let tenant = script::tenant(n);
            let found = found.get(tenant.as_str()).cloned().unwrap_or_default();
            let (answered, sent) = (self.answered[n].load(SeqCst), self.sent[n].load(SeqCst));
            let Some(step) = (answered..=sent).find(|&step| script::after(step) == found) else {
                let due = script::after(answered);
                broken.push(format!("{tenant}: {found:?}; step {answered} was answered: {due:?}"));
                continue;
            };
            came_through += usize::from(step > answered);
            // An unanswered step that is in force must stay in force.
            self.answered[n].store(step, SeqCst);
        }
        let calls = (0..TENANTS).map(|n| async move {
            let (tenant, step) = (script::tenant(n), self.answered[n].load(SeqCst));
            let called = gateway.get(&format!("/{tenant}/x")).await.unwrap().status;
            let due = script::answer(&script::after(step));
            (called != due).then(|| format!("a call to {tenant}: {called} instead of {due}"))
        });
        if broken.is_empty() {
            broken.extend(join_all(calls).await.into_iter().flatten());
        }
        (broken, came_through)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notification_stored_in_redb_survives_kill_9() {
    no_answered_notification_is_lost(Durable::Redb(Directory::new())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notification_stored_in_redis_survives_kill_9() {
    on_a_server(Kind::Redis).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notification_stored_in_postgres_survives_kill_9() {
    on_a_server(Kind::Postgres).await;
}

async fn on_a_server(kind: Kind) {
    let Some(server) = SharedServer::start(kind) else { return };
    no_answered_notification_is_lost(Durable::Server(server)).await;
}

async fn no_answered_notification_is_lost(mut durable: Durable) {
    let total = amount("LIVES", 12, 200);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let env = Arc::new(Env::new().await);
    let argument = durable.argument();
    let store = ["--store", &argument];
    let (mut starts, mut unanswered, mut came_through, mut young) = (Vec::new(), 0, 0, 0);
    let mut of_the_server = 0;
    for life in 0..=total {
        if random.u8(..4) == 0 {
            let after = Duration::from_millis(random.u64(..60));
            Gateway::start_and_kill(&env.simulator, &store, after).await;
            young += 1;
        }
        let began = Instant::now();
        let mut gateway = Gateway::start_for(&env.simulator, &store).await;
        starts.push(began.elapsed());
        let (broken, through) = env.broken(gateway.caller()).await;
        assert!(broken.is_empty(), "after {life} lives:\n{}", broken.join("\n"));
        came_through += through;
        if life == total {
            break;
        }
        let killed = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..TENANTS)
            .map(|n| {
                let (env, gateway) = (env.clone(), gateway.caller().clone());
                let killed = killed.clone();
                tokio::spawn(async move { env.send_steps(gateway, &killed, n).await })
            })
            .collect();
        // The moment of the kill is random: there is no condition to wait for.
        tokio::time::sleep(Duration::from_micros(random.u64(..400_000))).await;
        killed.store(true, SeqCst);
        match &mut durable {
            Durable::Server(server) if random.bool() => {
                // The server goes first, so that the gateway has a moment to answer without it.
                server.kill();
                gateway.kill().await;
                server.run();
                of_the_server += 1;
            }
            _ => gateway.kill().await,
        }
        for sender in senders {
            sender.await.unwrap();
        }
        for (sent, answered) in env.sent.iter().zip(&env.answered) {
            unanswered += usize::from(sent.load(SeqCst) > answered.load(SeqCst));
        }
    }
    starts.sort();
    let count = env.count.load(SeqCst);
    println!(
        "{total} lives, {of_the_server} of them of the server too, and {young} that ended while \
         starting; {count} notifications answered, none lost, {} answered 503; {unanswered} had no answer, {came_through} of them came through; \
         listening after {:?} (median), {:?} (worst)",
        env.unavailable.load(SeqCst),
        starts[starts.len() / 2],
        starts[starts.len() - 1],
    );
    assert!(count > total as u64, "too few notifications");
    // A short run may be lucky.
    let shared = matches!(durable, Durable::Server(_));
    assert!(!shared || total < 50 || of_the_server > total / 4, "too few kills of the server");
}
