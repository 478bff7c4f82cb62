//! Malformed records among good ones: a gate on a store that holds them.

use std::time::Duration;

use futures::StreamExt;
use harness::{Directory, RedisServer, gate_builder, post, tenant_number as tenant, until};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use redis::Commands;
use tower_superoffice::{
    ChangeType, Environment, TenantEvent, TenantGate, TenantId, UnavailableReason,
    health::StoreHealth,
    simulator::{Fault, Simulator},
    store::{RedbStore, RedisStore, Store},
};

/// Values that are no records: truncated, not UTF-8, of a year that no calendar has.
const MALFORMED: [(&str, &[u8]); 3] = [
    ("cust1", b"Cust1 {\"v\":\"1.0\""),
    ("cust2", b"\xff\x00\xfe"),
    (
        "cust3",
        br#"Cust3 {"v":"1.1","suspend":{"at":1,"seen":9999999999999999,"version":"","file":""}}"#,
    ),
];

/// A good record, and an entry that is no tenant's.
const OTHERS: [(&str, &[u8]); 2] = [
    ("cust4", br#"Cust4 {"v":"1.0","suspend":{"at":1,"seen":1,"version":"","file":""}}"#),
    ("\u{1b}[2J", b"?"),
];

fn entries() -> impl Iterator<Item = (&'static str, &'static [u8])> {
    MALFORMED.into_iter().chain(OTHERS)
}

fn reason(gate: &TenantGate, number: usize) -> Option<UnavailableReason> {
    gate.status(&tenant(number)).reason()
}

/// A SuperOffice whose state API says nothing yet.
async fn superoffice() -> Simulator {
    let simulator = Simulator::start().await.unwrap();
    simulator.suspend(&tenant(4)).without_notification();
    simulator.state_api(Fault::Unknown);
    simulator
}

async fn gate(simulator: &Simulator, store: impl Store) -> TenantGate {
    gate_builder(simulator).store(store).build().await.unwrap()
}

fn assert_three_unreadable(gate: &TenantGate) {
    for number in 1..=3 {
        assert_eq!(reason(gate, number), Some(UnavailableReason::Unreadable), "Cust{number}");
        let status = gate.status(&tenant(number));
        assert!(status.since().unwrap().elapsed().unwrap() < Duration::from_secs(60));
        assert!(gate.check(&tenant(number)).is_err());
    }
    assert_eq!(reason(gate, 4), Some(UnavailableReason::Suspended));
    assert_eq!(reason(gate, 5), None);
    let health = gate.health();
    assert_eq!((health.unreadable(), health.closed(), health.tenants()), (3, 4, 4));
    assert_eq!((health.store(), health.dirty()), (StoreHealth::Fresh, 0));
}

/// Replaces each malformed record in one of the three ways.
async fn replace_all(gate: &TenantGate, simulator: &Simulator) {
    until!((1..=3).all(|number| simulator.state_requests(&tenant(number)) > 0));
    assert_three_unreadable(gate);
    let resume = simulator.notification(ChangeType::Resume, &tenant(1));
    assert_eq!(post(gate, resume.body()).await.status(), 204);
    assert_eq!(reason(gate, 1), None);
    gate.open(&tenant(2), "checked by hand").await.unwrap();
    assert_eq!(reason(gate, 2), None);
    simulator.state_api(Fault::None);
    assert!(gate.refresh(&tenant(3)).await.unwrap().is_available());
    until!(gate.health().dirty() == 0);
    simulator.state_api(Fault::Unknown);
    assert_all_replaced(gate);
}

fn assert_all_replaced(gate: &TenantGate) {
    let reasons: Vec<_> = (1..=4).map(|number| reason(gate, number)).collect();
    assert_eq!(reasons, [None, None, None, Some(UnavailableReason::Suspended)]);
    assert_eq!((gate.health().unreadable(), gate.health().closed()), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redb_holds_tenants_of_malformed_records_until_replaced() {
    let simulator = superoffice().await;
    let environment = simulator.environment();
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    let open = || RedbStore::open(&path, &environment).unwrap();
    drop(open());
    let [tenants, unreadable] =
        ["tenants", "unreadable"].map(|table| format!("{table}:{environment}"));
    let database = Database::create(&path).unwrap();
    let writing = database.begin_write().unwrap();
    for (key, value) in entries() {
        let table = TableDefinition::<&str, &[u8]>::new(&tenants);
        writing.open_table(table).unwrap().insert(key, value).unwrap();
    }
    writing.commit().unwrap();
    drop(database);

    let first = gate(&simulator, open()).await;
    replace_all(&first, &simulator).await;
    drop(first);
    until!(RedbStore::open(&path, &environment).is_ok());
    let second = gate(&simulator, open()).await;
    assert_all_replaced(&second);
    drop(second);
    until!(RedbStore::open(&path, &environment).is_ok());

    let database = Database::create(&path).unwrap();
    let reading = database.begin_read().unwrap();
    let kept = reading.open_table(TableDefinition::<&str, &[u8]>::new(&unreadable)).unwrap();
    let kept = kept.iter().unwrap().map(|entry| {
        let (key, value) = entry.unwrap();
        (key.value().to_owned(), value.value().to_owned())
    });
    let kept: Vec<_> = kept.collect();
    assert_eq!(kept, MALFORMED.map(|(key, value)| (key.to_owned(), value.to_owned())));
}

struct Redis {
    server: RedisServer,
    simulator: Simulator,
    environment: Environment,
}

impl Redis {
    async fn start() -> Option<Self> {
        let server = RedisServer::start()?;
        let simulator = superoffice().await;
        let environment = simulator.environment();
        Some(Self { server, simulator, environment })
    }

    fn name(&self, what: &str) -> String {
        format!("{{tower-superoffice:{}}}:{what}", self.environment)
    }

    fn set(&self, key: &str, value: &[u8]) {
        let _: () = self.server.connection().hset(self.name("tenants"), key, value).unwrap();
    }

    fn get(&self, hash: &str, key: &str) -> Option<Vec<u8>> {
        self.server.connection().hget(self.name(hash), key).unwrap()
    }

    /// Appends an entry to the change log, as another replica does.
    fn announce(&self, key: &str) {
        let mut entry = redis::cmd("XADD");
        entry.arg(self.name("changes")).arg("*").arg(&["merged", key, "by", "another"]);
        entry.exec(&mut self.server.connection()).unwrap();
    }

    async fn gate(&self) -> TenantGate {
        let store = RedisStore::connect(&self.server.url(), &self.environment).unwrap();
        gate(&self.simulator, store).await
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_holds_tenants_of_malformed_records_until_replaced() {
    let Some(redis) = Redis::start().await else { return };
    for (key, value) in entries() {
        redis.set(key, value);
    }
    let (here, there) = (redis.gate().await, redis.gate().await);
    assert_three_unreadable(&there);
    replace_all(&here, &redis.simulator).await;
    until!(there.health().unreadable() == 0);
    assert_all_replaced(&there);
    drop((here, there));
    assert_all_replaced(&redis.gate().await);
    for (key, value) in MALFORMED {
        assert_eq!(redis.get("unreadable", key).as_deref(), Some(value), "{key}");
        assert_ne!(redis.get("tenants", key).as_deref(), Some(value), "{key}");
    }
    let (key, value) = OTHERS[1];
    assert_eq!(redis.get("tenants", key).as_deref(), Some(value), "it was left as it is");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn malformed_change_closes_its_tenant_until_replaced() {
    let Some(redis) = Redis::start().await else { return };
    let (here, there) = (redis.gate().await, redis.gate().await);
    let mut events = here.events();
    let damaged = b"Cust5 {";
    redis.set("cust5", damaged);
    redis.announce("cust5");
    let unreadable = Some(UnavailableReason::Unreadable);
    until!(reason(&here, 5) == unreadable && reason(&there, 5) == unreadable);
    let event = events.next().await;
    let Some(TenantEvent::Changed { tenant: changed, status }) = event else {
        panic!("{event:?}");
    };
    assert_eq!((changed, status.reason()), (tenant(5), unreadable));

    let resume = redis.simulator.notification(ChangeType::Resume, &tenant(5));
    assert_eq!(post(&there, resume.body()).await.status(), 204);
    until!(reason(&here, 5).is_none() && reason(&there, 5).is_none());
    assert_eq!(redis.get("unreadable", "cust5").as_deref(), Some(&damaged[..]));
}

/// A replica that has the record in memory knows better than the store.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replica_that_knows_the_record_replaces_a_malformed_one() {
    let Some(redis) = Redis::start().await else { return };
    let gate = redis.gate().await;
    let suspend = redis.simulator.notification(ChangeType::Suspend, &tenant(6));
    assert_eq!(post(&gate, suspend.body()).await.status(), 204);
    let stored = redis.get("tenants", "cust6");
    for announced in [true, false] {
        let damaged = format!("Cust6 {{\"v\":\"1.1\",{announced}");
        redis.set("cust6", damaged.as_bytes());
        if announced {
            redis.announce("cust6");
        } else {
            // The log is lost, so the store is loaded again.
            let _: () = redis.server.connection().del(redis.name("changes")).unwrap();
        }
        until!(redis.get("tenants", "cust6") == stored);
        let kept = redis.get("unreadable", "cust6");
        assert_eq!(kept.as_deref(), Some(damaged.as_bytes()));
        assert_eq!(reason(&gate, 6), Some(UnavailableReason::Suspended));
        assert_eq!(gate.health().unreadable(), 0);
    }
}

/// The id of a malformed value may be all that is left of it.
#[tokio::test]
async fn malformed_record_is_loaded_under_its_spelling() {
    let Some(redis) = Redis::start().await else { return };
    redis.set("cust1", b"CuSt1 {");
    redis.set("cust2", b"Cust1 {}");
    let gate = redis.gate().await;
    let spelled: Vec<_> =
        gate.snapshot().iter().map(|(id, _): &(TenantId, _)| id.as_str().to_owned()).collect();
    assert_eq!(spelled, ["CuSt1", "cust2"]);
}
