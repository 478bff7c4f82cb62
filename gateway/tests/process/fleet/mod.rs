//! Three gateways on one redis-server: they agree, and go on working when it is gone.

mod load;
mod world;

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
    load::{Counts, Load},
    world::{REPLICAS, World, shown},
};
use crate::script;

/// The store's time-out is 2 s, Redis's own more: a call that waited for either would take longer.
const A_CALL_THAT_WAITS: Duration = Duration::from_millis(1500);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn notification_at_one_replica_closes_at_all() {
    const TENANTS: usize = 200;
    let Some(world) = World::start().await else { return };
    let (mut since_sent, mut since_answered) = (Vec::new(), Vec::new());
    for n in 0..TENANTS {
        let tenant = TenantId::new(format!("Cust{n}")).unwrap();
        let at = n % REPLICAS;
        let began = Instant::now();
        let notified = async {
            let answer = world.notify(at, ChangeType::Suspend, &tenant).await;
            (answer, began.elapsed())
        };
        let (world, tenant) = (&world, &tenant);
        let others = join_all((0..REPLICAS).filter(|other| *other != at).map(|other| async move {
            until("another replica closes the tenant", async || {
                world.call(other, tenant).await == StatusCode::SERVICE_UNAVAILABLE
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_agrees_after_redis_was_killed() {
    let Some(world) = World::start().await else { return };
    let mut fleet = Fleet::at_work(world).await;
    fleet.world.server.kill();
    fleet.carries_on_without(&[0, 1, 2]).await;
    fleet.world.server.run();
    fleet.agrees("killed").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_agrees_after_redis_returned_empty() {
    let Some(world) = World::start().await else { return };
    let mut fleet = Fleet::at_work(world).await;
    fleet.world.server.kill();
    fleet.carries_on_without(&[0, 1, 2]).await;
    fleet.world.server.restart_without_data();
    fleet.agrees("killed, its data lost").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_agrees_after_redis_lost_its_data_at_once() {
    let Some(world) = World::start().await else { return };
    let mut fleet = Fleet::at_work(world).await;
    fleet.world.server.restart_without_data();
    fleet.agrees("restarted at once, its data lost").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleet_agrees_after_redis_was_paused() {
    let Some(world) = World::start().await else { return };
    let mut fleet = Fleet::at_work(world).await;
    fleet.world.server.pause();
    fleet.carries_on_without(&[0, 1, 2]).await;
    fleet.world.server.resume();
    fleet.agrees("paused").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_agrees_after_it_was_cut_off() {
    one_replica_loses(Network::Cut).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_agrees_after_its_network_was_silent() {
    one_replica_loses(Network::Silent).await;
}

/// Takes replica 0 away from Redis while the others go on.
async fn one_replica_loses(network: Network) {
    let Some(world) = World::behind_proxies().await else { return };
    let mut fleet = Fleet::at_work(world).await;
    fleet.world.proxies[0].set(network);
    fleet.carries_on_without(&[0]).await;

    let world = &fleet.world;
    let (here, there) = (TenantId::new("Here").unwrap(), TenantId::new("There").unwrap());
    let stored = world.notify(1, ChangeType::Suspend, &there).await;
    assert_eq!(stored, StatusCode::NO_CONTENT);
    let not_stored = world.notify(0, ChangeType::Suspend, &here).await;
    assert_eq!(not_stored, StatusCode::SERVICE_UNAVAILABLE);
    until("the others hear of each other", async || {
        world.call(2, &there).await == StatusCode::SERVICE_UNAVAILABLE
    })
    .await;
    assert_eq!(world.call(0, &there).await, StatusCode::OK, "it was not cut off");
    assert_eq!(world.call(0, &here).await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(world.call(2, &here).await, StatusCode::OK, "it was not cut off");

    world.proxies[0].set(Network::Up);
    fleet.agrees(&format!("{network:?} for one replica")).await;
    for tenant in [&here, &there] {
        for n in 0..REPLICAS {
            until("what was told on one side is known on the other", async || {
                fleet.world.call(n, tenant).await == StatusCode::SERVICE_UNAVAILABLE
            })
            .await;
        }
    }
}

/// A fleet under load.
struct Fleet {
    world: World,
    load: Option<Load>,
}

impl Fleet {
    /// Every replica has stored notifications and answered calls.
    async fn at_work(world: World) -> Self {
        let load = Load::start(&world).await;
        let mut fleet = Self { world, load: Some(load) };
        fleet.each_adds(&[0, 1, 2], |counts| counts.stored.load(SeqCst), 20).await;
        fleet
    }

    /// These replicas answer notifications 503, the others 204, and all answer calls.
    async fn carries_on_without(&mut self, lost: &[usize]) {
        let others: Vec<_> = (0..REPLICAS).filter(|n| !lost.contains(n)).collect();
        self.each_adds(lost, |counts| counts.not_stored.load(SeqCst), 10).await;
        self.each_adds(&others, |counts| counts.stored.load(SeqCst), 10).await;
        self.each_adds(&[0, 1, 2], |counts| counts.calls.load(SeqCst), 100).await;
    }

    /// Waits until each of these replicas has counted that many more.
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
            assert!(began.elapsed() < Duration::from_secs(60), "nothing goes on: {all:?}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Redis is back: notifications are stored again, and all replicas come to show the same, which is
    /// all that they were ever told.
    async fn agrees(&mut self, what: &str) {
        let back = Instant::now();
        self.each_adds(&[0, 1, 2], |counts| counts.stored.load(SeqCst), 10).await;
        let stores_again = back.elapsed();

        let load = self.load.take().unwrap();
        let (slowest, (stored, not_stored)) = (load.slowest_call(), load.answered());
        let told: HashMap<_, _> = (load.stop().await.into_iter())
            .map(|(tenant, turn)| (tenant.to_string(), script::after(turn)))
            .collect();
        let stopped = Instant::now();
        // One that starts now knows only what Redis holds.
        let newcomer = self.world.newcomer().await;
        let mut replicas = self.world.replicas();
        replicas.push(newcomer.caller().clone());
        for (n, replica) in replicas.iter().enumerate() {
            until(&format!("replica {n} shows all that was told"), async || {
                let shown = shown(replica).await;
                told.iter().all(|(tenant, due)| shown.get(tenant) == Some(due))
            })
            .await;
        }
        println!(
            "{what}: {stored} notifications stored, {not_stored} not at once; stored again after \
             {stores_again:?}, all agreed {:?} after the last; slowest call {slowest:?}",
            stopped.elapsed(),
        );
        assert!(slowest < A_CALL_THAT_WAITS, "{slowest:?}: a call waited");
    }
}
