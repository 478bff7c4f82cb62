//! The speed of each store. Prints figures and asserts little:
//!
//! `cargo test --release --test store figures -- --ignored --nocapture --test-threads 1`
//!
//! `TENANTS=1000000` for another size than 100,000.

use std::{fs, time::Instant};

use futures::{StreamExt, TryStreamExt, stream};
use harness::{Directory, PostgresServer, RedisServer, amount};
use tower_superoffice::{
    Environment, TenantId,
    status::Record,
    store::{MemoryStore, PostgresStore, RedbStore, RedisStore, Store},
};

const PRODUCTION: Environment = Environment::Production;

fn tenants() -> usize {
    amount("TENANTS", 100_000, 100_000)
}

/// A record as an upgrade night leaves it.
fn upgraded(at: i64, resumed: bool) -> Record {
    let seen = at * 1000;
    let fact = format!(
        r#"{{"at":{at},"seen":{seen},"version":"Release_10.3.8_2024.08.30-01","file":"10.3.8.1234"}}"#
    );
    let resume = if resumed { format!(r#","resume":{fact}"#) } else { String::new() };
    Record::decode(format!(r#"{{"v":"1.0","upgrade":{fact}{resume}}}"#).as_bytes()).unwrap()
}

fn tenant(n: usize) -> TenantId {
    TenantId::new(format!("Cust{}", 2_000_000 + n)).unwrap()
}

async fn single(store: &dyn Store, count: usize) {
    let began = Instant::now();
    for n in 0..count {
        store.merge(&tenant(n), &upgraded(1, false)).await.unwrap();
    }
    let per_second = count as f64 / began.elapsed().as_secs_f64();
    println!("{per_second:>12.0} merges/s, one at a time");
}

async fn many(store: &dyn Store, what: &str, in_flight: usize, record: &Record) {
    let count = tenants();
    let (began, used) = (Instant::now(), processor());
    stream::iter(0..count)
        .map(|n| async move { store.merge(&tenant(n), record).await.map(drop) })
        .buffer_unordered(in_flight)
        .try_for_each(|()| std::future::ready(Ok(())))
        .await
        .unwrap();
    let per_second = count as f64 / began.elapsed().as_secs_f64();
    let used = (processor() - used) / count as f64 * 1e6;
    println!(
        "{per_second:>12.0} merges/s, {in_flight} in flight, {what}, {used:.1} us of processor time each"
    );
}

/// The processor's time that this process took, s: on a busy machine it says more than the clock.
fn processor() -> f64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after_name.split_whitespace().skip(11).take(2);
    ticks.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

async fn load(store: &dyn Store) {
    let (began, used) = (Instant::now(), processor());
    let mut count = 0;
    let mut pages = store.load();
    while let Some(page) = pages.next().await {
        count += page.unwrap().len();
    }
    let (took, used) = (began.elapsed().as_secs_f64(), processor() - used);
    println!("{took:>12.3} s to load {count} tenants, {used:.2} s of processor time");
}

async fn measure(store: &dyn Store, one_at_a_time: usize) {
    single(store, one_at_a_time).await;
    many(store, "new tenants", 256, &upgraded(1_700_000_000, false)).await;
    many(store, "known tenants", 256, &upgraded(1_700_000_001, true)).await;
    many(store, "known tenants", 1024, &upgraded(1_700_000_002, true)).await;
    many(store, "nothing new", 256, &upgraded(1_700_000_002, true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long, and figures of a debug build mean nothing"]
async fn memory() {
    println!("\nmemory");
    let store = MemoryStore::new();
    measure(&store, 10_000).await;
    load(&store).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long, and figures of a debug build mean nothing"]
async fn redb() {
    println!("\nredb");
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    let store = RedbStore::open(&path, &PRODUCTION).unwrap();
    measure(&store, 500).await;
    let crashed = directory.join("crashed.redb");
    fs::copy(&path, &crashed).unwrap();
    drop(store);
    for (path, what) in [(&path, "closed"), (&crashed, "crashed")] {
        println!(
            "{:>12} bytes a tenant, {what}",
            fs::metadata(path).unwrap().len() as usize / tenants()
        );
        let (began, used) = (Instant::now(), processor());
        let store = RedbStore::open(path, &PRODUCTION).unwrap();
        let (took, used) = (began.elapsed().as_secs_f64(), processor() - used);
        println!("{took:>12.3} s to open, {used:.2} s of processor time");
        load(&store).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long, and figures of a debug build mean nothing"]
async fn redis() {
    for (what, arguments) in [
        ("appendfsync always", &["--appendfsync", "always"][..]),
        ("appendfsync everysec", &["--appendfsync", "everysec"]),
    ] {
        println!("\nredis, {what}");
        let Some(server) = RedisServer::start_with(arguments) else { return };
        let memory = || -> i64 {
            let info: String =
                redis::cmd("INFO").arg("memory").query(&mut server.connection()).unwrap();
            let line = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
            line.unwrap().parse().unwrap()
        };
        let empty = memory();
        let store = RedisStore::connect(&server.url(), &PRODUCTION).unwrap();
        measure(&store, 5000).await;
        println!("{:>12} bytes a tenant in the server", (memory() - empty) / tenants() as i64);
        load(&store).await;
        load(&RedisStore::connect(&server.url(), &PRODUCTION).unwrap()).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes long, and figures of a debug build mean nothing"]
async fn postgres() {
    println!("\npostgres");
    let Some(server) = PostgresServer::start() else { return };
    let store = PostgresStore::connect(&server.url(), &PRODUCTION).unwrap();
    measure(&store, 1000).await;
    let size = "SELECT sum(pg_total_relation_size(oid)) FROM pg_class \
        WHERE relkind = 'r' AND relname LIKE 'tower_superoffice%'";
    let size: usize = server.execute(size).parse().unwrap();
    println!("{:>12} bytes a tenant in the server", size / tenants());
    load(&store).await;
    load(&PostgresStore::connect(&server.url(), &PRODUCTION).unwrap()).await;
}
