//! `/tenants` for readers that do not read.

use std::time::Duration;

use futures::future::{join_all, try_join_all};
use harness::Directory;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpSocket, TcpStream},
    time::{Instant, timeout},
};
use tower_superoffice::{
    Environment, TenantId,
    status::Record,
    store::{RedbStore, Store},
};

use crate::{process::Gateway, wire::peer::find};

/// Enough for a list that no buffer on the way holds.
const TENANTS: usize = 40_000;

/// Asks for the list over a connection with a small buffer, and reads nothing of it.
async fn request_list(gateway: &Gateway) -> TcpStream {
    let address = gateway.url("/").authority().unwrap().as_str().parse().unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(256 * 1024).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream
        .write_all(b"GET /tenants HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    // The response has begun when this returns.
    stream.readable().await.unwrap();
    stream
}

#[tokio::test]
async fn readers_that_do_not_read_are_few_and_are_ended() {
    let suspend =
        br#"{"v":"1.0","suspend":{"at":1700000000,"seen":1700000001000,"version":"","file":""}}"#;
    let suspend = Record::decode(suspend).unwrap();
    let base = "http://127.0.0.1:1";
    let directory = Directory::new();
    let path = directory.join("tenants.redb");
    let store = RedbStore::open(&path, &Environment::custom(base.parse().unwrap())).unwrap();
    let tenants: Vec<_> =
        (0..TENANTS).map(|n| TenantId::new(format!("Cust{n:060}")).unwrap()).collect();
    for tenants in tenants.chunks(1000) {
        try_join_all(tenants.iter().map(|tenant| store.merge(tenant, &suspend))).await.unwrap();
    }
    drop(store);
    let store = format!("redb:{}", path.display());
    let args = ["--listen", "127.0.0.1:0", "--base-url", base, "--any-audience"];
    let gateway = Gateway::start(&[&args[..], &["--store", &store]].concat()).await;
    let start = Instant::now();

    let stuck = join_all((0..8).map(|_| request_list(&gateway))).await;
    let refused = gateway.get("/tenants").await;
    assert_eq!(refused.status, 503);
    assert!(refused.headers.contains_key("retry-after"));
    assert!(start.elapsed() < Duration::from_secs(18), "{:?}", start.elapsed());

    while gateway.get("/tenants").await.status != 200 {
        assert!(start.elapsed() < Duration::from_secs(40), "the stuck readers are not ended");
    }
    let ended = join_all(stuck.into_iter().map(async |mut stream| {
        // The buffers on the way are still full of the list's beginning.
        let mut read = Vec::new();
        let _cut_off =
            timeout(Duration::from_secs(40), stream.read_to_end(&mut read)).await.unwrap();
        read
    }));
    let last = tenants.last().unwrap().as_str();
    let read = ended.await;
    let (whole, cut): (Vec<_>, Vec<_>) =
        read.into_iter().partition(|read| read.ends_with(b"\r\n0\r\n\r\n"));
    // Some may have been read again at the last moment.
    assert!(!cut.is_empty());
    for read in whole {
        assert!(find(&read, last.as_bytes()).is_some(), "a part of the list looks whole");
    }
}
