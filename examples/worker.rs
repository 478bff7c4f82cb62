//! A job worker: it waits for closed tenants, drops its cache when one is restored, erases data
//! after a confirmed deletion, catches up after missed events, and ends without loss.
//!
//! ```sh
//! cargo run --example worker --features reqwest,simulator
//! ```
#![allow(clippy::print_stdout)]

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use futures::StreamExt;
use reqwest::{Client, redirect::Policy};
use tokio::{select, sync::mpsc};
use tower_superoffice::{
    GuardError, TenantEvent, TenantGate, TenantId, UnavailableReason, simulator::Simulator,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A job: a call to a tenant.
type Job = (TenantId, String);

/// The data that the worker keeps of each tenant. In a real service this is in its database.
#[derive(Default)]
struct Kept {
    /// Contacts, as of an [epoch](tower_superoffice::TenantStatus::epoch) of the tenant's data.
    caches: HashMap<TenantId, i64>,
    erased: HashSet<TenantId>,
}

impl Kept {
    /// Drops the cache of a tenant whose data went back in time since it was filled.
    fn compare_epoch(&mut self, tenant: &TenantId, epoch: i64) {
        if self.caches.get(tenant).is_some_and(|cached| *cached != epoch) {
            self.caches.remove(tenant);
            println!("{tenant}: restored, cache dropped");
        }
    }

    /// Erases the data of a deleted tenant, which can't be undone. A notification proves who sent
    /// it, not what happened, so this process pulls the state API first.
    async fn erase_if_deleted(&mut self, gate: &TenantGate, tenant: &TenantId) {
        if !self.caches.contains_key(tenant) {
            return;
        }
        match gate.refresh(tenant).await {
            Ok(status)
                if status.reason() == Some(UnavailableReason::Deleted) && status.is_confirmed() =>
            {
                self.caches.remove(tenant);
                self.erased.insert(tenant.clone());
                println!("{tenant}: deleted, data erased");
            }
            Ok(_) => println!("{tenant}: not deleted after all"),
            // It stays as it is. The next `Confirmed`, or the next start, comes back to it.
            Err(error) => println!("{tenant}: {error}"),
        }
    }

    /// Applies an event.
    async fn follow(&mut self, gate: &TenantGate, event: TenantEvent) {
        match event {
            TenantEvent::Restored { tenant, epoch } => self.compare_epoch(&tenant, epoch),
            TenantEvent::Confirmed { tenant, .. } => self.erase_if_deleted(gate, &tenant).await,
            TenantEvent::Missed(_) => self.catch_up(gate).await,
            _ => {}
        }
    }

    /// Compares everything, at the start and after missed events. Subscribe to events first, and
    /// read the snapshot then, so that nothing falls in between.
    async fn catch_up(&mut self, gate: &TenantGate) {
        for (tenant, status) in gate.snapshot() {
            self.compare_epoch(&tenant, status.epoch());
            if status.reason() == Some(UnavailableReason::Deleted) && status.is_confirmed() {
                self.erase_if_deleted(gate, &tenant).await;
            }
        }
    }
}

/// Does the jobs as they come, until there are no more.
async fn work(gate: TenantGate, client: Client, mut jobs: mpsc::Receiver<Job>) -> Kept {
    let mut kept = Kept::default();
    let mut events = gate.events();
    kept.catch_up(&gate).await;
    let (done, mut results) = mpsc::channel(16);
    let mut done = Some(done);
    loop {
        select! {
            Some(event) = events.next() => kept.follow(&gate, event).await,
            job = jobs.recv(), if done.is_some() => match (job, &done) {
                // Each waits for its own tenant, and none for another.
                (Some(job), Some(done)) => {
                    tokio::spawn(attempt(gate.clone(), client.clone(), job, done.clone()));
                }
                _ => done = None,
            },
            result = results.recv() => match result {
                Some((tenant, epoch)) => _ = kept.caches.insert(tenant, epoch),
                // The last job is done.
                None => return kept,
            },
        }
    }
}

/// Makes the call of a job, and waits as long as its tenant is closed.
async fn attempt(
    gate: TenantGate,
    client: Client,
    (tenant, url): Job,
    done: mpsc::Sender<(TenantId, i64)>,
) {
    loop {
        // Read before the call: what it returns is at least that recent.
        let epoch = gate.status(&tenant).epoch();
        match gate.send(client.get(&url)).await {
            Ok(response) => {
                println!("{tenant}: {}", response.status());
                // Fails when the worker has ended.
                _ = done.send((tenant, epoch)).await;
                return;
            }
            Err(GuardError::Unavailable(closed)) => {
                println!("{tenant}: waits, {}", closed.reason());
                if let Err(deleted) = gate.available(&tenant).await {
                    println!("{tenant}: given up, {}", deleted.reason());
                    return;
                }
            }
            Err(GuardError::Inner(error)) => {
                println!("{tenant}: {error}");
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let simulator = Simulator::start().await?;
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .settle(Duration::from_millis(100))
        .build()
        .await?;
    // In a real service this is the notification route of its server.
    simulator.notify_service(gate.notification_service());

    let client = Client::builder().redirect(Policy::none()).build()?;
    let (jobs, queue) = mpsc::channel(16);
    let worker = tokio::spawn(work(gate.clone(), client, queue));
    let [upgraded, restored, deleted] = ["Cust1", "Cust2", "Cust3"].map(TenantId::new);
    let [upgraded, restored, deleted] = [upgraded?, restored?, deleted?];
    let job = |tenant: &TenantId| (tenant.clone(), simulator.url(tenant, "api/v1/Contact"));
    for tenant in [&upgraded, &restored, &deleted] {
        jobs.send(job(tenant)).await?;
    }
    tokio::time::sleep(Duration::from_millis(500)).await;

    simulator.restore(&restored).await?;
    simulator.upgrade(&upgraded).await?;
    jobs.send(job(&upgraded)).await?;
    simulator.delete(&deleted).await?;
    jobs.send(job(&deleted)).await?;
    tokio::time::sleep(Duration::from_secs(1)).await;
    simulator.resume(&upgraded).await?;
    drop(jobs);

    let kept = worker.await?;
    println!("erased: {}", kept.erased.contains(&deleted));
    println!("calls that reached a tenant while closed: {}", simulator.calls_while_closed());
    // Stops pulls and notifications, and writes what the store still lacks.
    println!("not stored: {}", gate.shutdown(Duration::from_secs(5)).await);
    Ok(())
}
