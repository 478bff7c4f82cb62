//! Removals and the changes that they send.

use harness::{Network, Proxy, RedisServer, suspended, tenant_number as tenant};
use tower_superoffice::{
    status::Record,
    store::{Change, Store},
};

use super::{load, next, open, round_trips};

#[tokio::test]
async fn removal_reaches_the_other_replicas_with_its_record() {
    let Some(server) = RedisServer::start() else { return };
    let (here, there) = (open(&server.url()), open(&server.url()));
    let mut changes = here.changes();
    assert_eq!(load(&here).await.unwrap(), []);
    for at in 1..=20 {
        there.merge(&tenant(1), &suspended(at)).await.unwrap();
        assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(at)));
        let before = round_trips(&server);
        assert_eq!(there.remove(&tenant(1), &suspended(at)).await.unwrap(), Record::default());
        // The subscriber may read the log in between.
        assert!((2..=8).contains(&(round_trips(&server) - before)));
        assert_eq!(next(&mut changes).await, Change::Removed(tenant(1), suspended(at)));
        assert_eq!(load(&here).await.unwrap(), []);
    }
}

#[tokio::test]
async fn missed_removal_arrives_before_what_followed_it() {
    let Some(server) = RedisServer::start() else { return };
    let proxy = Proxy::start(server.port()).await;
    let (cut_off, other) = (open(&proxy.url()), open(&server.url()));
    for number in 1..=3 {
        other.merge(&tenant(number), &suspended(9)).await.unwrap();
    }
    let mut changes = cut_off.changes();
    assert_eq!(load(&cut_off).await.unwrap().len(), 3);
    proxy.set(Network::Cut);
    // Forgotten, known again and forgotten again; forgotten and known again.
    for (number, forgotten) in [(1, 9), (1, 2), (2, 9)] {
        other.merge(&tenant(number), &suspended(forgotten)).await.unwrap();
        let left = other.remove(&tenant(number), &suspended(forgotten)).await.unwrap();
        assert_eq!(left, Record::default());
    }
    other.merge(&tenant(2), &suspended(3)).await.unwrap();
    other.merge(&tenant(3), &suspended(10)).await.unwrap();
    proxy.set(Network::Up);
    for expected in [
        Change::Disconnected,
        Change::Removed(tenant(1), suspended(9)),
        Change::Removed(tenant(1), suspended(2)),
        Change::Removed(tenant(2), suspended(9)),
        Change::Merged(tenant(2), suspended(3)),
        Change::Merged(tenant(3), suspended(10)),
        Change::Resumed,
    ] {
        assert_eq!(next(&mut changes).await, expected);
    }
    // What it has cached is outdated.
    let merged = cut_off.merge(&tenant(1), &suspended(1)).await.unwrap();
    assert_eq!(merged, suspended(1));
}

#[tokio::test]
async fn removal_without_the_right_changes_nothing() {
    let Some(server) = RedisServer::start() else { return };
    let mut acl = redis::cmd("ACL");
    acl.arg("SETUSER").arg("gate").arg("on").arg(">word").arg("~*").arg("+@all").arg("-hdel");
    acl.exec(&mut server.connection()).unwrap();
    let store = open(&format!("redis://gate:word@127.0.0.1:{}", server.port()));
    let other = open(&server.url());
    let mut changes = other.changes();
    load(&other).await.unwrap();
    store.merge(&tenant(1), &suspended(1)).await.unwrap();
    let error = store.remove(&tenant(1), &suspended(1)).await.unwrap_err();
    assert!(!error.to_string().contains("word"), "{error}");
    store.merge(&tenant(2), &suspended(1)).await.unwrap();
    for number in [1, 2] {
        assert_eq!(next(&mut changes).await, Change::Merged(tenant(number), suspended(1)));
    }
    assert_eq!(load(&other).await.unwrap().len(), 2);
}
