//! An upgrade night in virtual time: replicas that share a store pull the state API while every
//! tenant is upgraded, and some of the Resumes are lost.
//!
//! Gates, scheduler, leases, and the exchange of records are the real ones, and each notification
//! is signed and verified. Tokio's paused clock has hours pass in the time that the processor
//! needs. [`Reckoning`] is the formula of docs/capacity.md, which the [`Figures`] are compared
//! with.

mod figures;
mod reckoning;
mod state_api;
mod store;

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio::time::{Instant, sleep, sleep_until};
use tower_superoffice::{
    ChangeType, TenantEvent, TenantGate,
    pull::Schedule,
    simulator::Simulator,
    store::{MemoryStore, Store},
};

pub use self::{
    figures::{Figures, Spread},
    reckoning::Reckoning,
};
use self::{
    state_api::{StateApi, Tenants},
    store::{CountedStore, StoreCounts},
};
use crate::{Clock, Wrapped, gate_builder_on, simulator_on, tenant_number, tokio_clock};

/// A night to simulate.
#[derive(Debug, Clone)]
pub struct Night {
    /// How many replicas of how many tenants, each at which rate.
    pub reckoning: Reckoning,
    /// One of so many Resumes is lost.
    pub lost_one_in: usize,
    /// Whether the store lends leases. Without, each replica pulls for itself.
    pub leases: bool,
    /// How long a request for a lease takes.
    pub lease_latency: Duration,
    /// Seed of all that is random.
    pub seed: u64,
}

/// Time in which all Upgrades are announced, and in which all are over.
const ANNOUNCEMENT: Duration = Duration::from_secs(600);

/// Shortest upgrade: the [settle time](tower_superoffice::TenantGateBuilder::upgrade_settle) of an
/// Upgrade is over, so that a pull counts which finds the tenant running.
const SHORTEST_UPGRADE: Duration = Duration::from_secs(16 * 60);

/// Time after the last pull that was due, in which those are made which follow a correction: after
/// 1, 5 and 15 minutes.
const REST: Duration = Duration::from_secs(30 * 60);

/// Interval of notifications, which come in groups.
const TICK: Duration = Duration::from_millis(100);

impl Night {
    /// A night with leases that take a millisecond, in which every twentieth Resume is lost.
    pub fn new(reckoning: Reckoning) -> Self {
        let lease_latency = Duration::from_millis(1);
        Self { reckoning, lost_one_in: 20, leases: true, lease_latency, seed: 7 }
    }

    /// Simulates the night. It needs a runtime of one thread whose clock is paused.
    ///
    /// # Panics
    ///
    /// When a gate can't be built, refuses a notification, or drops events.
    pub async fn simulate(&self) -> Figures {
        fastrand::seed(self.seed);
        let clock = tokio_clock();
        let simulator = simulator_on(&clock).await;
        let notifications = self.plan();
        let tenants = Arc::new(Tenants::new(&notifications, Instant::now()));
        let counts = Arc::new(StoreCounts::default());
        let gates = self.start(&simulator, &clock, &tenants, &counts).await;
        tokio::spawn(note_openings(gates[0].clone(), Arc::clone(&tenants)));
        self.notify(&simulator, &gates, &tenants, &notifications).await;
        settle(&gates).await;
        Figures::new(self, &tenants, &counts, &gates)
    }

    /// Plans when each tenant is announced to be upgraded, and when it is running again: those
    /// whose Resume is lost while all others are still closed, so that the queues of pulls are as
    /// full as they get.
    fn plan(&self) -> Vec<Upgrade> {
        let all = self.reckoning.tenants;
        let (round, longest) = (self.reckoning.round(), self.reckoning.longest_closed());
        let lost_over = ANNOUNCEMENT + SHORTEST_UPGRADE.max(round);
        let over = lost_over + round / 2 + longest;
        let upgrade = |number: usize| {
            let announced = ANNOUNCEMENT.mul_f64(number as f64 / all as f64);
            let lost = number.is_multiple_of(self.lost_one_in);
            let (from, within) = if lost { (lost_over, round / 2) } else { (over, ANNOUNCEMENT) };
            Upgrade { announced, over: from + within.mul_f64(fastrand::f64()), lost }
        };
        (0..all).map(upgrade).collect()
    }

    /// Builds the replicas, each with a handle of its own on the store.
    async fn start(
        &self,
        simulator: &Simulator,
        clock: &Clock,
        tenants: &Arc<Tenants>,
        counts: &Arc<StoreCounts>,
    ) -> Vec<TenantGate> {
        let shared = MemoryStore::new();
        let mut gates = Vec::new();
        for replica in 0..self.reckoning.replicas {
            let latency = self.leases.then_some(self.lease_latency);
            let store = CountedStore::new(shared.clone(), replica, latency, Arc::clone(counts));
            let api = StateApi::new(Arc::clone(tenants), replica, Arc::clone(clock));
            let schedule = Schedule::new().pulls_per_second(self.reckoning.pulls_per_second);
            let builder = gate_builder_on(simulator, clock).client(api).schedule(schedule);
            let builder =
                builder.event_capacity(65_536).store(Arc::new(Wrapped(store)) as Arc<dyn Store>);
            gates.push(builder.build().await.expect("a valid configuration"));
        }
        gates
    }

    /// Posts the notifications of the night, each to one replica as a load balancer would, but for
    /// the Resumes that are lost.
    async fn notify(
        &self,
        simulator: &Simulator,
        gates: &[TenantGate],
        tenants: &Tenants,
        upgrades: &[Upgrade],
    ) {
        let announced = upgrades.iter().enumerate();
        let announced =
            announced.map(|(number, upgrade)| (upgrade.announced, ChangeType::Upgrade, number));
        let over = upgrades.iter().enumerate().filter(|(_, upgrade)| !upgrade.lost);
        let over = over.map(|(number, upgrade)| (upgrade.over, ChangeType::Resume, number));
        let mut all: Vec<_> = announced.chain(over).collect();
        all.sort_by_key(|(at, _, number)| (*at, *number));
        let started = tenants.started();
        for (at, change, number) in all {
            if started.elapsed() + TICK < at {
                sleep_until(started + at).await;
            }
            let gate = &gates[fastrand::usize(..gates.len())];
            tenants.notified(number);
            let body = simulator.notification(change, &tenant_number(number)).body();
            gate.receive(body).await.expect("a genuine notification");
        }
        let last = upgrades.iter().map(|upgrade| upgrade.over).max().unwrap_or_default();
        sleep_until(started + last).await;
    }
}

/// The upgrade of a tenant. Times are those since the start of the night.
#[derive(Debug, Clone, Copy)]
struct Upgrade {
    announced: Duration,
    over: Duration,
    /// Its Resume is lost.
    lost: bool,
}

/// Notes when tenants open at `gate`, which all changes reach.
async fn note_openings(gate: TenantGate, tenants: Arc<Tenants>) {
    let mut events = gate.events();
    drop(gate);
    while let Some(event) = events.next().await {
        match event {
            TenantEvent::Missed(missed) => panic!("{missed} events were dropped"),
            TenantEvent::Changed { tenant, status } if status.is_available() => {
                tenants.opened(state_api::number(tenant.as_str()));
            }
            _ => {}
        }
    }
}

/// Waits until every replica has all tenants open and no pull to make.
async fn settle(gates: &[TenantGate]) {
    let is_settled = |gate: &TenantGate| {
        let health = gate.health();
        let pulls = health.pulls().expect("the state API is on");
        health.closed() == 0 && pulls.waiting() == 0 && pulls.in_flight() == 0
    };
    while !gates.iter().all(is_settled) {
        sleep(Duration::from_secs(10)).await;
    }
    sleep(REST).await;
    while !gates.iter().all(is_settled) {
        sleep(Duration::from_secs(1)).await;
    }
}
