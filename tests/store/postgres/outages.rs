//! A server or network that fails, locks, limits, and data that are lost.

use std::time::{Duration, Instant};

use harness::{Network, PostgresServer, Proxy, suspended, tenant_number as tenant};
use tower_superoffice::store::{Change, Store};

use super::{TENANTS, load, merge_eventually, next, open};

#[tokio::test]
async fn missed_changes_arrive_without_a_resync() {
    let Some(server) = PostgresServer::start() else { return };
    let proxy = Proxy::start(server.port()).await;
    let (cut_off, other) = (open(&server.url_at(proxy.port())), open(&server.url()));
    let mut changes = cut_off.changes();
    assert_eq!(load(&cut_off).await.unwrap(), []);
    let mut at = 0;
    for network in [Network::Cut, Network::Silent, Network::OldSilent] {
        at += 10;
        proxy.set(network);
        other.merge(&tenant(1), &suspended(at)).await.unwrap();
        if network != Network::OldSilent {
            for _ in 0..3 {
                let began = Instant::now();
                let error = cut_off.merge(&tenant(1), &suspended(at + 1)).await.unwrap_err();
                assert!(error.is_unavailable(), "{error:?}");
                assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
            }
            proxy.set(Network::Up);
        }
        assert_eq!(next(&mut changes).await, Change::Disconnected, "{network:?}");
        let missed = Change::Merged(tenant(1), suspended(at));
        assert_eq!(next(&mut changes).await, missed, "{network:?}");
        assert_eq!(next(&mut changes).await, Change::Resumed, "{network:?}");
        other.merge(&tenant(1), &suspended(at + 2)).await.unwrap();
        assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(at + 2)));
        let merged = merge_eventually(&cut_off, &tenant(1), &suspended(at + 3)).await;
        assert_eq!(merged, suspended(at + 3));
    }
}

#[tokio::test]
async fn data_loss_of_a_running_server_is_noticed() {
    let Some(server) = PostgresServer::start() else { return };
    let store = open(&server.url());
    let mut changes = store.changes();
    load(&store).await.unwrap();
    for number in 0..3 {
        store.merge(&tenant(number), &suspended(5)).await.unwrap();
    }
    for loss in [
        format!("TRUNCATE {TENANTS}"),
        format!("DELETE FROM {TENANTS}"),
        "TRUNCATE tower_superoffice_production_meta".to_owned(),
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public".to_owned(),
    ] {
        server.execute(&loss);
        while next(&mut changes).await != Change::Resync {}
        load(&store).await.unwrap();
        assert_eq!(merge_eventually(&store, &tenant(1), &suspended(6)).await, suspended(6));
        let other = open(&server.url());
        other.merge(&tenant(9), &suspended(1)).await.unwrap();
        loop {
            match next(&mut changes).await {
                Change::Merged(id, _) if id == tenant(9) => break,
                Change::Disconnected if !loss.starts_with("DROP") => {
                    panic!("{loss} cost the connection")
                }
                _ => {}
            }
        }
        server.execute(&format!("DELETE FROM {TENANTS} WHERE tenant = 'cust9'"));
    }
}

#[tokio::test]
async fn older_state_that_was_restored_is_noticed() {
    let Some(server) = PostgresServer::start() else { return };
    let store = open(&server.url());
    let mut changes = store.changes();
    load(&store).await.unwrap();
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    // As a backup would have it: the tables without the last write, and others have written since.
    server.execute(&format!(
        "CREATE TABLE old_tenants AS SELECT * FROM {TENANTS}; \
         CREATE TABLE old_changes AS SELECT * FROM tower_superoffice_production_changes"
    ));
    store.merge(&tenant(2), &suspended(1)).await.unwrap();
    server.execute(&format!(
        "BEGIN; TRUNCATE {TENANTS}; INSERT INTO {TENANTS} SELECT * FROM old_tenants; \
         TRUNCATE tower_superoffice_production_changes; \
         INSERT INTO tower_superoffice_production_changes SELECT * FROM old_changes; \
         UPDATE tower_superoffice_production_meta SET position = 1; COMMIT"
    ));
    assert_eq!(next(&mut changes).await, Change::Resync);
    assert_eq!(load(&store).await.unwrap(), [(tenant(1), suspended(1))]);
    assert_eq!(store.merge(&tenant(2), &suspended(1)).await.unwrap(), suspended(1));
}

#[tokio::test]
async fn lock_of_another_holds_no_call_for_long() {
    let Some(server) = PostgresServer::start() else { return };
    let store = open(&server.url());
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    let lock = server.session(&format!("BEGIN; LOCK TABLE {TENANTS}; SELECT pg_sleep(600)"));
    let waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'";
    let locked = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation IS NOT NULL";
    harness::until!(server.execute(locked) != "0");
    let began = Instant::now();
    let error = store.merge(&tenant(1), &suspended(2)).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("lock"), "{error:?}");
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    // The statement does not go on waiting for it.
    harness::until!(server.execute(waiting) == "0");
    drop(lock);
    server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()");
    assert_eq!(merge_eventually(&store, &tenant(1), &suspended(2)).await, suspended(2));
}

#[tokio::test]
async fn terminated_connections_are_replaced_without_an_error() {
    let Some(server) = PostgresServer::start() else { return };
    let store = open(&server.url());
    for at in 1..6 {
        assert_eq!(store.merge(&tenant(1), &suspended(at)).await.unwrap(), suspended(at));
        server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tower-superoffice'",
        );
    }
}

#[tokio::test]
async fn too_many_connections_are_named() {
    let Some(server) =
        PostgresServer::start_with(&["max_connections=4", "superuser_reserved_connections=2"])
    else {
        return;
    };
    server.execute("CREATE ROLE app LOGIN; GRANT CREATE ON SCHEMA public TO app");
    let url = server.url().replace("gate@", "app@");
    let (one, two) = (open(&url), open(&url));
    one.merge(&tenant(1), &suspended(1)).await.unwrap();
    two.merge(&tenant(1), &suspended(1)).await.unwrap();
    let error = open(&url).merge(&tenant(1), &suspended(1)).await.unwrap_err();
    assert!(error.is_unavailable(), "{error:?}");
    assert!(error.to_string().contains("max_connections"), "{error}");
}

#[tokio::test]
async fn statement_time_out_of_the_server_is_named() {
    let Some(server) = PostgresServer::start() else { return };
    load(&open(&server.url())).await.unwrap();
    server.execute("ALTER DATABASE postgres SET statement_timeout = '50ms'");
    let store = open(&server.url());
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    let _lock = server.session(&format!(
        "SET statement_timeout = 0; BEGIN; LOCK TABLE {TENANTS}; SELECT pg_sleep(600)"
    ));
    let locked = "SELECT count(*) FROM pg_locks WHERE granted AND mode = 'AccessExclusiveLock' AND relation IS NOT NULL";
    harness::until!(server.execute(locked) != "0");
    let error = store.merge(&tenant(1), &suspended(2)).await.unwrap_err();
    assert!(error.to_string().contains("statement_timeout"), "{error}");
}

#[tokio::test]
async fn serializable_as_the_default_changes_nothing() {
    let Some(server) = PostgresServer::start() else { return };
    server.execute("ALTER DATABASE postgres SET default_transaction_isolation = 'serializable'");
    let stores = [open(&server.url()), open(&server.url())];
    for at in 1..100 {
        let (tenant, here, there) = (tenant(1), suspended(at), suspended(at + 1));
        let (one, two) =
            tokio::join!(stores[0].merge(&tenant, &here), stores[1].merge(&tenant, &there));
        one.unwrap();
        assert_eq!(two.unwrap(), suspended(at + 1));
    }
}
