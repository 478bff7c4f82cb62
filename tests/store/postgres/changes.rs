//! Merges and the changes that they send.

use std::time::{Duration, Instant};

use futures::{FutureExt, StreamExt, future::join_all};
use harness::{PostgresServer, suspended, tenant_number as tenant, until};
use tower_superoffice::{
    status::Record,
    store::{Change, Lease, Store},
};

use super::{TENANTS, load, next, open};

const POSITION: &str = "SELECT position FROM tower_superoffice_production_meta";

#[tokio::test]
async fn waiting_merges_share_a_transaction() {
    let Some(server) = PostgresServer::start() else { return };
    let store = open(&server.url());
    store.merge(&tenant(0), &suspended(1)).await.unwrap();
    let batches = || {
        let count = "SELECT count(*) FROM tower_superoffice_production_changes";
        server.execute(count).parse::<usize>().unwrap()
    };
    let before = batches();
    let tenants: Vec<_> = (1..=1000).map(tenant).collect();
    let record = suspended(1);
    let merges = join_all(tenants.iter().map(|tenant| store.merge(tenant, &record))).await;
    for merged in merges {
        assert_eq!(merged.unwrap(), record);
    }
    assert_eq!(server.execute(POSITION), "1001");
    let taken = batches() - before;
    assert!(taken <= 20, "1,000 merges took {taken} transactions");
}

#[tokio::test]
async fn change_reaches_the_other_replicas_only() {
    let Some(server) = PostgresServer::start() else { return };
    let stores = [open(&server.url()), open(&server.url()), open(&server.url())];
    let mut changes: Vec<_> = stores.iter().map(Store::changes).collect();
    for store in &stores {
        load(store).await.unwrap();
    }
    let mut took = Vec::new();
    for at in 1..=100 {
        let began = Instant::now();
        stores[0].merge(&tenant(1), &suspended(at)).await.unwrap();
        for changes in &mut changes[1..] {
            assert_eq!(next(changes).await, Change::Merged(tenant(1), suspended(at)));
        }
        took.push(began.elapsed());
    }
    took.sort();
    println!("a change reaches both others in {:?}, at worst {:?}", took[50], took[99]);
    assert_eq!(changes[0].next().now_or_never(), None);
}

#[tokio::test]
async fn fact_that_an_abandoned_merge_found_arrives_as_a_change() {
    let Some(server) = PostgresServer::start() else { return };
    let (here, there) = (open(&server.url()), open(&server.url()));
    here.merge(&tenant(1), &suspended(1)).await.unwrap();
    let mut changes = here.changes();
    load(&here).await.unwrap();
    // Nothing tells of this one but the next write of the tenant.
    server.execute(&format!("UPDATE {TENANTS} SET writer = 0 WHERE tenant = 'cust1'"));
    let resumed =
        Record::decode(br#"{"v":"1.0","resume":{"at":5,"seen":5,"version":"","file":""}}"#)
            .unwrap();
    there.merge(&tenant(1), &resumed).await.unwrap();
    let mut both = suspended(9);
    both.merge(&resumed);
    assert_eq!(here.merge(&tenant(1), &suspended(9)).await.unwrap(), both);
    // It replaced what the other wrote, so its own reader reads it.
    loop {
        match next(&mut changes).await {
            Change::Merged(_, record) if record == both => break,
            Change::Merged(..) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn load_after_changes_needs_no_second_load() {
    let Some(server) = PostgresServer::start() else { return };
    let (here, there) = (open(&server.url()), open(&server.url()));
    for at in 1..20 {
        let mut changes = here.changes();
        load(&here).await.unwrap();
        there.merge(&tenant(1), &suspended(at)).await.unwrap();
        assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(at)));
    }
}

#[tokio::test]
async fn subscription_ends_with_its_stream_and_all_with_the_store() {
    let Some(server) = PostgresServer::start() else { return };
    let connections = || {
        let count =
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'tower-superoffice'";
        server.execute(count)
    };
    let store = open(&server.url());
    let changes = store.changes();
    load(&store).await.unwrap();
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    until!(connections() == "2");
    drop(changes);
    until!(connections() == "1");
    drop(store);
    until!(connections() == "0");
}

#[test]
fn store_outlives_its_runtime() {
    let Some(server) = PostgresServer::start() else { return };
    let store = open(&server.url());
    for at in 1..4 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            assert_eq!(store.merge(&tenant(1), &suspended(at)).await.unwrap(), suspended(at));
        });
    }
}

#[tokio::test]
async fn log_keeps_the_last_positions_only() {
    let Some(server) = PostgresServer::start() else { return };
    let store = open(&server.url());
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    server.execute("UPDATE tower_superoffice_production_meta SET position = position + 500000");
    for at in 2..80 {
        store.merge(&tenant(1), &suspended(at)).await.unwrap();
    }
    let oldest = "SELECT min(position) > 400000 FROM tower_superoffice_production_changes";
    until!(server.execute(oldest) == "t");
}

#[tokio::test]
async fn lease_ends_by_the_clock_of_the_server_and_is_swept() {
    let Some(server) = PostgresServer::start() else { return };
    let (here, there) = (open(&server.url()), open(&server.url()));
    let minute = Duration::from_secs(60);
    assert_eq!(here.try_lease(&tenant(1), u64::MAX, minute).await.unwrap(), Lease::Granted);
    let held = there.try_lease(&tenant(1), u64::MAX, minute).await.unwrap();
    assert!(matches!(held, Lease::Held { remaining } if remaining > minute / 2), "{held:?}");
    server.execute("UPDATE tower_superoffice_production_leases SET until = now()");
    assert_eq!(there.try_lease(&tenant(1), u64::MAX, minute).await.unwrap(), Lease::Granted);
    server.execute("UPDATE tower_superoffice_production_leases SET until = now()");
    for n in 0..300 {
        here.try_lease(&tenant(n + 2), 0, minute).await.unwrap();
    }
    let ended = "SELECT count(*) FROM tower_superoffice_production_leases WHERE until < now()";
    assert_eq!(server.execute(ended), "0");
}

#[tokio::test]
async fn merges_in_a_fresh_database_read_no_other_tenants() {
    // Without statistics the planner guesses how many rows there are.
    let Some(server) = PostgresServer::start_with(&["autovacuum=off"]) else { return };
    let store = open(&server.url());
    load(&store).await.unwrap();
    const OTHERS: usize = 50_000;
    server.execute(&format!(
        "INSERT INTO {TENANTS} SELECT 'other' || n, sha256(n::text::bytea), n, 0 FROM generate_series(1, {OTHERS}) n"
    ));
    let seen = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = ";
    let seen = format!("{seen}'{TENANTS}'");
    let before: usize = server.execute(&seen).parse().unwrap();
    for at in 1..4 {
        let merges: Vec<_> = (0..64).map(tenant).collect();
        let record = suspended(at);
        join_all(merges.iter().map(|tenant| store.merge(tenant, &record))).await;
    }
    drop(store);
    // A session reports what it has done when it ends.
    let updated = seen.replace("seq_tup_read", "n_tup_upd >= 128");
    until!(server.execute(&updated) == "t");
    let read = server.execute(&seen).parse::<usize>().unwrap() - before;
    assert!(read < OTHERS, "{read} rows of other tenants were read");
}
