//! Positions in the change log: what a reader goes on with, and what makes it load everything.

use std::time::Duration;

use futures::{FutureExt, StreamExt, stream::BoxStream};
use harness::{Network, Proxy, RedisServer, suspended, tenant_number as tenant, until};
use redis::Commands;
use tower_superoffice::store::{Change, RedisStore, Store};

use super::{load, next, open};

const TENANTS: &str = "{tower-superoffice:production}:tenants";
const CHANGES: &str = "{tower-superoffice:production}:changes";

/// A store with its changes, which has loaded everything.
async fn subscribed(url: &str) -> (RedisStore, BoxStream<'static, Change>) {
    let store = open(url);
    let changes = store.changes();
    load(&store).await.unwrap();
    (store, changes)
}

/// Another replica's change arrives, and nothing else does before it.
async fn assert_next_change_arrives(
    server: &RedisServer,
    changes: &mut BoxStream<'static, Change>,
) {
    open(&server.url()).merge(&tenant(99), &suspended(1)).await.unwrap();
    assert_eq!(next(changes).await, Change::Merged(tenant(99), suspended(1)));
}

#[tokio::test]
async fn data_lost_right_after_a_start_is_noticed() {
    let Some(server) = RedisServer::start() else { return };
    for merged in [false, true] {
        let (store, mut changes) = subscribed(&server.url()).await;
        if merged {
            store.merge(&tenant(1), &suspended(1)).await.unwrap();
        }
        redis::cmd("FLUSHALL").exec(&mut server.connection()).unwrap();
        assert_eq!(next(&mut changes).await, Change::Resync);
        assert_eq!(load(&store).await.unwrap(), []);
        assert_next_change_arrives(&server, &mut changes).await;
        redis::cmd("FLUSHALL").exec(&mut server.connection()).unwrap();
    }
}

#[tokio::test]
async fn loss_of_either_key_is_noticed() {
    let Some(server) = RedisServer::start() else { return };
    for (key, left) in [(TENANTS, vec![]), (CHANGES, vec![(tenant(1), suspended(1))])] {
        let (store, mut changes) = subscribed(&server.url()).await;
        store.merge(&tenant(1), &suspended(1)).await.unwrap();
        let _: () = server.connection().del(key).unwrap();
        assert_eq!(next(&mut changes).await, Change::Resync, "{key}");
        assert_eq!(load(&store).await.unwrap(), left, "{key}");
    }
}

#[tokio::test]
async fn hash_that_others_refilled_is_noticed() {
    let Some(server) = RedisServer::start() else { return };
    let (store, mut changes) = subscribed(&server.url()).await;
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    let _: () = server.connection().del(TENANTS).unwrap();
    for number in 2..5 {
        open(&server.url()).merge(&tenant(number), &suspended(1)).await.unwrap();
    }
    while next(&mut changes).await != Change::Resync {}
    assert_eq!(load(&store).await.unwrap().len(), 3);
}

/// Each is followed by a change of another replica, which arrives over the same connection.
#[tokio::test]
async fn bytes_that_are_no_text_end_no_subscription() {
    const BYTES: &[u8] = b"\xff\xfe";
    let Some(server) = RedisServer::start() else { return };
    let (_store, mut changes) = subscribed(&server.url()).await;
    let mut entry = redis::cmd("XADD");
    entry.arg(CHANGES).arg("*");
    let fields = |kind: &[u8], key: &[u8], writer: &[u8]| {
        let mut entry = entry.clone();
        entry.arg(kind).arg(key).arg(&b"by"[..]).arg(writer);
        entry
    };
    let mut incarnation = redis::cmd("HSET");
    incarnation.arg(TENANTS).arg("").arg(BYTES);
    for (number, damage) in [
        fields(BYTES, b"cust1", b"w"),
        fields(b"merged", BYTES, b"w"),
        fields(b"merged", b"cust1", BYTES),
        incarnation,
    ]
    .iter()
    .enumerate()
    {
        damage.exec(&mut server.connection()).unwrap();
        let at = i64::try_from(number).unwrap();
        open(&server.url()).merge(&tenant(99), &suspended(at)).await.unwrap();
        let mut resync = false;
        loop {
            match next(&mut changes).await {
                Change::Merged(..) => break,
                // Loaded with everything else.
                Change::Resync if number == 3 => break,
                Change::Resync => resync = true,
                other => panic!("{number}: {other:?}"),
            }
        }
        // A kind of entry that is unknown may have done anything.
        assert_eq!(resync, number == 0, "{number}");
    }
}

#[tokio::test]
async fn restored_snapshot_is_noticed() {
    let Some(server) = RedisServer::start() else { return };
    let (store, mut changes) = subscribed(&server.url()).await;
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    let mut connection = server.connection();
    let mut dump =
        |key: &str| -> Vec<u8> { redis::cmd("DUMP").arg(key).query(&mut connection).unwrap() };
    let snapshot = [TENANTS, CHANGES].map(|key| (key, dump(key)));
    store.merge(&tenant(1), &suspended(2)).await.unwrap();
    open(&server.url()).merge(&tenant(2), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(2), suspended(1)));

    let mut restore = redis::pipe();
    for (key, data) in snapshot {
        restore.atomic().cmd("RESTORE").arg(key).arg(0).arg(data).arg("REPLACE");
    }
    restore.exec(&mut connection).unwrap();
    assert_eq!(next(&mut changes).await, Change::Resync);
    assert_eq!(load(&store).await.unwrap(), [(tenant(1), suspended(1))]);
    assert_next_change_arrives(&server, &mut changes).await;
}

#[tokio::test]
async fn trimmed_log_leads_to_one_resync() {
    let Some(server) = RedisServer::start() else { return };
    let proxy = Proxy::start(server.port()).await;
    let (cut_off, mut changes) = subscribed(&proxy.url()).await;
    proxy.set(Network::Cut);
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    let other = open(&server.url());
    for number in 1..=3 {
        other.merge(&tenant(number), &suspended(1)).await.unwrap();
    }
    redis::cmd("XTRIM").arg(CHANGES).arg("MAXLEN").arg(1).exec(&mut server.connection()).unwrap();
    proxy.set(Network::Up);
    assert_eq!(next(&mut changes).await, Change::Resync);
    assert_eq!(load(&cut_off).await.unwrap().len(), 3);
    assert_next_change_arrives(&server, &mut changes).await;
}

#[tokio::test]
async fn tenant_that_changed_often_is_read_once() {
    let Some(server) = RedisServer::start() else { return };
    let proxy = Proxy::start(server.port()).await;
    let (_cut_off, mut changes) = subscribed(&proxy.url()).await;
    proxy.set(Network::Cut);
    assert_eq!(next(&mut changes).await, Change::Disconnected);
    let other = open(&server.url());
    for at in 1..=100 {
        other.merge(&tenant(1), &suspended(at)).await.unwrap();
    }
    proxy.set(Network::Up);
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(100)));
    assert_eq!(next(&mut changes).await, Change::Resumed);
}

#[tokio::test]
async fn reader_that_lags_gets_every_change() {
    let Some(server) = RedisServer::start() else { return };
    let (_lagging, mut changes) = subscribed(&server.url()).await;
    let other = open(&server.url());
    let numbers: Vec<_> = (0..5000).map(tenant).collect();
    let record = suspended(1);
    let merges = numbers.iter().map(|tenant| other.merge(tenant, &record));
    futures::future::try_join_all(merges).await.unwrap();
    for _ in &numbers {
        assert!(matches!(next(&mut changes).await, Change::Merged(..)));
    }
    assert_eq!(changes.next().now_or_never(), None);
}

#[tokio::test]
async fn log_holds_as_many_entries_as_tenants() {
    let Some(server) = RedisServer::start() else { return };
    let store = open(&server.url());
    let length =
        || -> usize { redis::cmd("XLEN").arg(CHANGES).query(&mut server.connection()).unwrap() };
    // Many changes of few tenants.
    for at in 1..=120 {
        let tenants: Vec<_> = (0..100).map(tenant).collect();
        let record = suspended(at);
        futures::future::try_join_all(tenants.iter().map(|tenant| store.merge(tenant, &record)))
            .await
            .unwrap();
    }
    // Whole nodes of the stream are trimmed, of at most 100 entries.
    assert!((10_000..=10_100).contains(&length()), "{}", length());
}

#[tokio::test]
async fn flapping_connection_is_retried_ever_more_seldom() {
    let Some(server) = RedisServer::start() else { return };
    let (_store, _changes) = subscribed(&server.url()).await;
    let readers = || -> Vec<String> {
        let clients: String =
            redis::cmd("CLIENT").arg("LIST").query(&mut server.connection()).unwrap();
        let id = |line: &str| line.split([' ', '=']).nth(1).unwrap_or_default().to_owned();
        clients.lines().filter(|line| line.contains("cmd=xread")).map(id).collect()
    };
    let mut pauses = Vec::new();
    for _ in 0..5 {
        until!(readers().len() == 1);
        let id = readers().remove(0);
        redis::cmd("CLIENT").arg("KILL").arg("ID").arg(&id).exec(&mut server.connection()).unwrap();
        let began = std::time::Instant::now();
        until!(readers().iter().any(|reader| *reader != id));
        pauses.push(began.elapsed());
    }
    // The fifth delay is 800 ms, less up to a half of jitter.
    assert!(pauses[4] > Duration::from_millis(390), "{pauses:?}");
}
