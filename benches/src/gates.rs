//! Gates with any number of closed tenants, loaded from a store as at a restart.

use futures::{
    FutureExt, StreamExt,
    future::{BoxFuture, ready},
    stream::{self, BoxStream},
};
use tower_superoffice::{
    Environment, TenantGate, TenantId,
    status::Record,
    store::{Store, StoreError},
};

/// Returns the id of a suspended tenant, by number.
pub fn closed(number: usize) -> TenantId {
    TenantId::new(format!("Cust{}", 1_000_000 + number)).expect("a tenant id")
}

/// Returns the id of a tenant that a gate knows nothing of, by number.
#[allow(dead_code, reason = "not every program that uses this module calls it")]
pub fn unknown(number: usize) -> TenantId {
    TenantId::new(format!("Cust{}", 2_000_000 + number)).expect("a tenant id")
}

/// Returns the id of an open tenant with a record, by number.
pub fn resumed(number: usize) -> TenantId {
    TenantId::new(format!("Cust{}", 3_000_000 + number)).expect("a tenant id")
}

/// Returns the id of an open tenant whose host is that of the calls, by number.
pub fn located(number: usize) -> TenantId {
    TenantId::new(format!("Cust{}", 4_000_000 + number)).expect("a tenant id")
}

/// Returns the id of an open tenant whose host is another, by number.
pub fn moved(number: usize) -> TenantId {
    TenantId::new(format!("Cust{}", 5_000_000 + number)).expect("a tenant id")
}

/// Number of open tenants of each kind with a record.
pub const RESUMED: usize = 1024;

/// Builds a gate for SuperOffice's production hosts with `count` suspended tenants.
#[allow(dead_code, reason = "not every program that uses this module needs it")]
pub async fn gate(count: usize) -> TenantGate {
    gate_with_facts(count, SUSPENDED).await
}

/// Builds a gate like [`gate`], with these facts in the record of each suspended tenant.
pub async fn gate_with_facts(count: usize, facts: &'static str) -> TenantGate {
    let gate = TenantGate::builder(Environment::Production)
        .any_audience()
        .store(Suspensions { count, facts })
        .build()
        .await
        .expect("a gate");
    assert_eq!(gate.health().closed(), count);
    gate
}

/// A store that generates the record of each tenant.
struct Suspensions {
    count: usize,
    facts: &'static str,
}

/// A Suspend as stored.
pub const SUSPENDED: &str = r#""suspend":{"at":1790000000,"seen":1790000001000,"version":"Release_10.3.8_2024.08.30-01","file":"10.3.8.1234"}"#;
const RESUME: &str = r#""resume":{"at":1790000100,"seen":1790000101000,"version":"Release_10.3.8_2024.08.30-01","file":"10.3.8.1234"}"#;

fn running(host: &str) -> String {
    let endpoint = format!("https://{host}.superoffice.com");
    format!(
        r#"{RESUME},{SUSPENDED},"settled_running":{{"state":"Running","seq":1,"knew":"resume","knew_at":1790000100,"known":60,"since":1790000200000,"endpoint":"{endpoint}"}}"#
    )
}

fn record(facts: &str) -> Record {
    Record::decode(format!(r#"{{"v":"1.0",{facts}}}"#).as_bytes()).expect("a record")
}

impl Store for Suspensions {
    fn name(&self) -> String {
        "bench".to_owned()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        let suspended = (0..self.count).map(|number| (closed(number), record(self.facts)));
        let both = format!("{RESUME},{SUSPENDED}");
        let resumed = (0..RESUMED).map(move |number| (resumed(number), record(&both)));
        let running = |host, id: fn(usize) -> TenantId| {
            let facts = running(host);
            (0..RESUMED).map(move |number| (id(number), record(&facts)))
        };
        let running = running("online3", located).chain(running("online2", moved));
        let tenants = suspended.chain(resumed).chain(running);
        stream::iter(tenants).chunks(1024).map(Ok).boxed()
    }

    fn merge<'a>(
        &'a self,
        _: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        ready(Ok(record.clone())).boxed()
    }
}
