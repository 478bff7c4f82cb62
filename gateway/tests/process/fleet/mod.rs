//! Three gateways on one server: they agree, and keep working while it is unavailable.

mod env;
mod load;
mod postgres;
mod redis;

use std::{
    collections::HashMap,
    sync::atomic::Ordering::SeqCst,
    time::{Duration, Instant},
};

use futures::future::join_all;
use harness::{Network, until};
use http::StatusCode;
use tower_superoffice::{ChangeType, TenantId};

use self::{
    env::{Env, REPLICAS, shown},
    load::{Counts, Load},
};
use crate::{script, shared_server::Kind};

/// Bound on a call. One that waited for the store would take its time-out, 2 s, or the server's
/// own, more.
const CALL_BOUND: Duration = Duration::from_millis(1500);

/// A notification at one replica closes the tenant at all.
async fn all_close(kind: Kind) {
    const TENANTS: usize = 200;
    let Some(env) = Env::start(kind).await else { return };
    let (mut since_sent, mut since_answered) = (Vec::new(), Vec::new());
    for n in 0..TENANTS {
        let tenant = TenantId::new(format!("Cust{n}")).unwrap();
        let at = n % REPLICAS;
        let began = Instant::now();
        let notified = async {
            let answer = env.notify(at, ChangeType::Suspend, &tenant).await;
            (answer, began.elapsed())
        };
        let (env, tenant) = (&env, &tenant);
        let others = join_all((0..REPLICAS).filter(|other| *other != at).map(|other| async move {
            until("another replica closes the tenant", async || {
                env.call(other, tenant).await == StatusCode::SERVICE_UNAVAILABLE
            })
            .await;
            began.elapsed()
        }));
        let ((answer, answered), closed) = tokio::join!(notified, others);
        assert_eq!(answer, StatusCode::NO_CONTENT);
        since_sent.extend(closed.iter().copied());
        since_answered.extend(closed.iter().map(|closed| closed.saturating_sub(answered)));
    }
    for (what, mut took) in [("sent", since_sent), ("answered", since_answered)] {
        took.sort();
        let (median, worst) = (took[took.len() / 2], took[took.len() - 1]);
        println!(
            "closed at another replica {median:?} (median), {worst:?} (worst) after it was {what}"
        );
        assert!(median < Duration::from_secs(1), "{median:?}");
    }
}

async fn server_is_killed(kind: Kind) {
    let Some(env) = Env::start(kind).await else { return };
    let mut fleet = Fleet::at_work(env).await;
    fleet.env.server.kill();
    fleet.carries_on_without(&[0, 1, 2]).await;
    fleet.env.server.run();
    fleet.agrees("killed").await;
}

async fn server_returns_empty(kind: Kind) {
    let Some(env) = Env::start(kind).await else { return };
    let mut fleet = Fleet::at_work(env).await;
    fleet.env.server.kill();
    fleet.carries_on_without(&[0, 1, 2]).await;
    fleet.env.server.restart_without_data();
    fleet.agrees("killed, its data lost").await;
}

async fn server_loses_its_data_at_once(kind: Kind) {
    let Some(env) = Env::start(kind).await else { return };
    let mut fleet = Fleet::at_work(env).await;
    fleet.env.server.restart_without_data();
    fleet.agrees("restarted at once, its data lost").await;
}

async fn server_is_paused(kind: Kind) {
    let Some(env) = Env::start(kind).await else { return };
    let mut fleet = Fleet::at_work(env).await;
    fleet.env.server.pause();
    fleet.carries_on_without(&[0, 1, 2]).await;
    fleet.env.server.resume();
    fleet.agrees("paused").await;
}

/// Disconnects replica 0 from the server; the others stay connected.
async fn one_replica_loses(kind: Kind, network: Network) {
    let Some(env) = Env::behind_proxies(kind).await else { return };
    let mut fleet = Fleet::at_work(env).await;
    fleet.env.proxies[0].set(network);
    fleet.carries_on_without(&[0]).await;

    let env = &fleet.env;
    let (here, there) = (TenantId::new("Here").unwrap(), TenantId::new("There").unwrap());
    let stored = env.notify(1, ChangeType::Suspend, &there).await;
    assert_eq!(stored, StatusCode::NO_CONTENT);
    let not_stored = env.notify(0, ChangeType::Suspend, &here).await;
    assert_eq!(not_stored, StatusCode::SERVICE_UNAVAILABLE);
    until("the other replicas receive the change", async || {
        env.call(2, &there).await == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    assert_eq!(env.call(0, &there).await, StatusCode::OK, "replica 0 is still connected");
    assert_eq!(env.call(0, &here).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(env.call(2, &here).await, StatusCode::OK, "replica 0 is still connected");

    env.proxies[0].set(Network::Up);
    fleet.agrees(&format!("{network:?} for one replica")).await;
    for tenant in [&here, &there] {
        for n in 0..REPLICAS {
            until("changes from one side arrive at the other", async || {
                fleet.env.call(n, tenant).await == StatusCode::SERVICE_UNAVAILABLE
            })
            .await;
        }
    }
}

/// A fleet under load.
struct Fleet {
    env: Env,
    load: Option<Load>,
}

impl Fleet {
    /// Starts the load and waits until every replica has stored notifications.
    async fn at_work(env: Env) -> Self {
        let load = Load::start(&env).await;
        let mut fleet = Self { env, load: Some(load) };
        fleet.each_adds(&[0, 1, 2], |counts| counts.stored.load(SeqCst), 20).await;
        fleet
    }

    /// Waits until the replicas in `lost` answer notifications with 503, the others with 204, and
    /// all respond to calls.
    async fn carries_on_without(&mut self, lost: &[usize]) {
        let others: Vec<_> = (0..REPLICAS).filter(|n| !lost.contains(n)).collect();
        self.each_adds(lost, |counts| counts.not_stored.load(SeqCst), 10).await;
        self.each_adds(&others, |counts| counts.stored.load(SeqCst), 10).await;
        self.each_adds(&[0, 1, 2], |counts| counts.calls.load(SeqCst), 100).await;
    }

    /// Waits until `count` has grown by `more` at each of `replicas`.
    async fn each_adds(&mut self, replicas: &[usize], count: fn(&Counts) -> u64, more: u64) {
        let load = self.load.as_mut().unwrap();
        let before: Vec<_> = replicas.iter().map(|n| count(load.counts(*n))).collect();
        let began = Instant::now();
        loop {
            let now = replicas.iter().map(|n| count(load.counts(*n)));
            if now.zip(&before).all(|(now, before)| now >= before + more) {
                return;
            }
            load.check();
            let all: Vec<_> = (0..REPLICAS).map(|n| load.counts(n)).collect();
            assert!(began.elapsed() < Duration::from_secs(60), "no progress: {all:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Waits until notifications are stored again and all replicas show the newest step of every
    /// tenant.
    async fn agrees(&mut self, what: &str) {
        let back = Instant::now();
        self.each_adds(&[0, 1, 2], |counts| counts.stored.load(SeqCst), 10).await;
        let stores_again = back.elapsed();

        let load = self.load.take().unwrap();
        let (slowest, (stored, not_stored)) = (load.slowest_call(), load.answered());
        let sent: HashMap<_, _> = (load.stop().await.into_iter())
            .map(|(tenant, step)| (tenant.to_string(), script::after(step)))
            .collect();
        let stopped = Instant::now();
        // A new replica knows only what the store holds.
        let newcomer = self.env.newcomer().await;
        let mut replicas = self.env.replicas();
        replicas.push(newcomer.caller().clone());
        for (n, replica) in replicas.iter().enumerate() {
            until(&format!("replica {n} shows the newest steps"), async || {
                let shown = shown(replica).await;
                sent.iter().all(|(tenant, due)| shown.get(tenant) == Some(due))
            })
            .await;
        }
        println!(
            "{what}: {stored} notifications stored, {not_stored} not at once; stored again after \
             {stores_again:?}, all agreed {:?} after the last; slowest call {slowest:?}",
            stopped.elapsed(),
        );
        assert!(slowest < CALL_BOUND, "{slowest:?}: a call waited for the store");
    }
}
