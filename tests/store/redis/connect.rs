//! Connecting: far servers, and Unix sockets.

use std::time::Duration;

#[cfg(unix)]
use harness::RedisServer;
use harness::{Network, Proxy, suspended, tenant_number as tenant};
use tower_superoffice::{
    Environment,
    store::{Change, RedisStore, Store},
};

use super::{access::start_with_tls, load, next};

#[tokio::test]
async fn far_server_with_tls_needs_a_longer_timeout() {
    let Some((server, pem)) = start_with_tls() else { return };
    let proxy = Proxy::start(server.port()).await;
    proxy.set(Network::Far(Duration::from_millis(250)));
    let url = format!("rediss://:hush@127.0.0.1:{}", proxy.port());
    let builder = || RedisStore::builder(url.clone(), &Environment::Production).roots(pem.clone());

    let error = load(&builder().connect().unwrap()).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("in time"), "{error:?}");

    let store = builder().connect_timeout(Duration::from_secs(10)).connect().unwrap();
    let mut changes = store.changes();
    assert_eq!(load(&store).await.unwrap(), []);
    assert_eq!(store.merge(&tenant(1), &suspended(1)).await.unwrap(), suspended(1));
    let other = builder().connect_timeout(Duration::from_secs(10)).connect().unwrap();
    other.merge(&tenant(2), &suspended(2)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(2), suspended(2)));
}

#[cfg(unix)]
#[tokio::test]
async fn unix_socket_carries_commands_and_changes() {
    let Some(mut server) = RedisServer::stopped(&[]) else { return };
    let path = server.file("redis.sock").to_str().unwrap().to_owned();
    server.set_arguments(&["--unixsocket", &path, "--requirepass", "hush"]);
    server.run();
    let url = format!("redis+unix://{path}?db=2&pass=hush");
    let (here, there) = (super::open(&url), super::open(&url));
    assert_eq!(here.name(), format!("redis+unix://{path}?db=2"));
    let mut changes = here.changes();
    load(&here).await.unwrap();
    there.merge(&tenant(1), &suspended(1)).await.unwrap();
    assert_eq!(next(&mut changes).await, Change::Merged(tenant(1), suspended(1)));
    assert_eq!(load(&here).await.unwrap(), [(tenant(1), suspended(1))]);

    let absent = super::open("redis+unix:///nowhere/redis.sock");
    let error = load(&absent).await.unwrap_err();
    assert!(error.is_unavailable() && error.to_string().contains("can't be reached"), "{error:?}");
}
