//! `kill -9` under load: what was answered 204 is in force after the restart, and nothing older is.
//!
//! `LIVES=200 cargo test -p superoffice-gateway --test process crash_recovery -- --nocapture` for a long run.

#[allow(dead_code)] // Nobody is asked to end in peace here.
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use futures::future::join_all;
use harness::{Directory, amount};
use http::StatusCode;
use tower_superoffice::simulator::Simulator;

use crate::{
    process::{Caller, Gateway},
    script,
};

/// As many notifications are on their way at once.
const TENANTS: usize = 64;

struct World {
    simulator: Simulator,
    directory: Directory,
    /// Over all lives, the newest turn of each tenant that was answered, or seen in force.
    answered: Vec<AtomicI64>,
    /// The newest turn that was sent at all.
    sent: Vec<AtomicI64>,
    /// How many notifications were answered 204.
    count: AtomicU64,
    /// How many were answered 503.
    unavailable: AtomicU64,
}

impl World {
    async fn new() -> Self {
        let zeros = || (0..TENANTS).map(|_| AtomicI64::new(0)).collect();
        Self {
            simulator: Simulator::start().await.unwrap(),
            directory: Directory::new(),
            answered: zeros(),
            sent: zeros(),
            count: AtomicU64::new(0),
            unavailable: AtomicU64::new(0),
        }
    }

    fn arguments(&self) -> Vec<String> {
        let store = format!("redb:{}", self.directory.join("tenants.redb").display());
        let base = self.simulator.hosts()[0].to_string();
        let audience = self.simulator.application_id();
        ["--listen", "127.0.0.1:0", "--base-url", &base, "--audience", audience, "--store", &store]
            .map(str::to_owned)
            .to_vec()
    }

    /// Tells one tenant turn after turn until the gateway no longer answers.
    async fn tell(&self, gateway: Caller, killed: &AtomicBool, n: usize) {
        let tenant = script::tenant(n);
        let mut turn = self.answered[n].load(SeqCst) + 1;
        loop {
            let body = script::body(&self.simulator, &tenant, turn);
            self.sent[n].store(turn, SeqCst);
            // Now and then it comes twice at once: neither may be answered before it is stored.
            let copies = if turn % 3 == 0 { 2 } else { 1 };
            let answers = join_all((0..copies).map(|_| gateway.notify(body.clone()))).await;
            let answers: Vec<_> = answers.into_iter().flatten().collect();
            if answers.is_empty() {
                return;
            }
            for answer in &answers {
                match *answer {
                    StatusCode::NO_CONTENT => self.count.fetch_add(1, SeqCst),
                    // Nothing is promised: the disk or the key URL took too long.
                    StatusCode::SERVICE_UNAVAILABLE => self.unavailable.fetch_add(1, SeqCst),
                    // Its port may be another program's by now.
                    _ if killed.load(SeqCst) => return,
                    other => panic!("turn {turn} of {tenant} was answered {other}"),
                };
            }
            if answers.contains(&StatusCode::NO_CONTENT) {
                self.answered[n].store(turn, SeqCst);
                turn += 1;
            }
        }
    }

    /// What is wrong after a restart, and how many turns came through that nobody had an answer to.
    async fn broken(&self, gateway: &Caller) -> (Vec<String>, usize) {
        let tenants = gateway.get("/tenants").await.unwrap();
        let found = script::read(&tenants.body);
        let (mut broken, mut came_through) = (Vec::new(), 0);
        for n in 0..TENANTS {
            let tenant = script::tenant(n);
            let found = found.get(tenant.as_str()).cloned().unwrap_or_default();
            let (answered, sent) = (self.answered[n].load(SeqCst), self.sent[n].load(SeqCst));
            let Some(turn) = (answered..=sent).find(|&turn| script::after(turn) == found) else {
                let due = script::after(answered);
                broken.push(format!("{tenant}: {found:?}; turn {answered} was answered: {due:?}"));
                continue;
            };
            came_through += usize::from(turn > answered);
            // What came through unanswered is in force now, and must stay so.
            self.answered[n].store(turn, SeqCst);
        }
        let calls = (0..TENANTS).map(|n| async move {
            let (tenant, turn) = (script::tenant(n), self.answered[n].load(SeqCst));
            let called = gateway.get(&format!("/{tenant}/x")).await.unwrap().status;
            let due = script::answer(&script::after(turn));
            (called != due).then(|| format!("a call to {tenant}: {called} instead of {due}"))
        });
        if broken.is_empty() {
            broken.extend(join_all(calls).await.into_iter().flatten());
        }
        (broken, came_through)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_notification_survives_kill_9() {
    let total = amount("LIVES", 12, 200);
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let world = Arc::new(World::new().await);
    let arguments = world.arguments();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (mut starts, mut unanswered, mut came_through, mut young) = (Vec::new(), 0, 0, 0);
    for life in 0..=total {
        if random.u8(..4) == 0 {
            Gateway::dies_young(&arguments, Duration::from_millis(random.u64(..60))).await;
            young += 1;
        }
        let began = Instant::now();
        let mut gateway = Gateway::start(&arguments).await;
        starts.push(began.elapsed());
        let (broken, through) = world.broken(gateway.caller()).await;
        assert!(broken.is_empty(), "after {life} lives:\n{}", broken.join("\n"));
        came_through += through;
        if life == total {
            break;
        }
        let killed = Arc::new(AtomicBool::new(false));
        let senders: Vec<_> = (0..TENANTS)
            .map(|n| {
                let (world, gateway) = (world.clone(), gateway.caller().clone());
                let killed = killed.clone();
                tokio::spawn(async move { world.tell(gateway, &killed, n).await })
            })
            .collect();
        // The moment is the whole point: nothing is waited for.
        tokio::time::sleep(Duration::from_micros(random.u64(..400_000))).await;
        killed.store(true, SeqCst);
        gateway.kill().await;
        for sender in senders {
            sender.await.unwrap();
        }
        for (sent, answered) in world.sent.iter().zip(&world.answered) {
            unanswered += usize::from(sent.load(SeqCst) > answered.load(SeqCst));
        }
    }
    starts.sort();
    let count = world.count.load(SeqCst);
    println!(
        "{total} lives and {young} that ended while starting; {count} notifications answered, none \
         lost, {} answered 503; {unanswered} had no answer, {came_through} of them came through; \
         listening after {:?} (median), {:?} (worst)",
        world.unavailable.load(SeqCst),
        starts[starts.len() / 2],
        starts[starts.len() - 1],
    );
    assert!(count > total as u64, "too little was going on");
}
