//! Connections to the gateway's listeners: how many, how long, and what they may cost.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    time::{Duration, Instant},
};

use harness::{MAX_WAIT, free_port, simulator_at_own_host};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower_superoffice::{ChangeType, TenantId, simulator::Fault};

use crate::{
    process::Gateway,
    wire::{
        peer::Peer,
        upstream::{OK, Upstream},
    },
};

const COMMON: [&str; 5] =
    ["--listen", "127.0.0.1:0", "--base-url", "http://127.0.0.1:1", "--any-audience"];

/// Opens a connection, says nothing, and opens another when it is closed.
async fn stay_silent(address: String, opened: Arc<AtomicUsize>) {
    loop {
        if let Ok(mut stream) = TcpStream::connect(&address).await {
            opened.fetch_add(1, SeqCst);
            let _end = stream.read(&mut [0]).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_connections_leave_internal_calls_served() {
    let upstream = Upstream::responding(OK).await;
    let internal = format!("127.0.0.1:{}", free_port());
    let more = ["--upstream", &upstream.url(), "--internal-listen", &internal];
    let args = [&COMMON[..], &more].concat();
    let gateway = Gateway::start_in_shell("ulimit -n 1024", &args).await;
    let public = gateway.url("/").authority().unwrap().to_string();
    let opened = Arc::default();
    let silent: Vec<_> =
        (0..1100).map(|_| tokio::spawn(stay_silent(public.clone(), Arc::clone(&opened)))).collect();
    while opened.load(SeqCst) < 1100 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(5) {
        let call = async {
            let mut peer = Peer::connect_to(&internal).await;
            peer.call("GET", "/Cust1/x", "").await.status()
        };
        let status = tokio::time::timeout(Duration::from_secs(2), call).await;
        assert_eq!(status.expect("served within 2 s"), 200);
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // Not even the public listener is closed to those that have something to say.
    let mut peer = Peer::connect(&gateway).await;
    assert_eq!(peer.call("GET", "/NotifyCustomerStateChange", "").await.status(), 405);
    for silent in silent {
        silent.abort();
    }
}

#[tokio::test]
async fn file_limit_is_raised_at_start() {
    let gateway = Gateway::start_in_shell("ulimit -S -n 100", &COMMON).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", gateway.id())).unwrap();
    let files = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let [soft, hard] = files.split_whitespace().skip(3).take(2).collect::<Vec<_>>()[..] else {
        panic!("{files}");
    };
    assert_eq!(soft, hard);
}

#[tokio::test]
async fn max_connections_holds_for_each_listener() {
    let internal = format!("127.0.0.1:{}", free_port());
    let args = [&COMMON[..], &["--internal-listen", &internal, "--max-connections", "2"]].concat();
    let gateway = Gateway::start(&args).await;
    let mut busy = Vec::new();
    for _ in 0..2 {
        let mut peer = Peer::connect(&gateway).await;
        let path = "/NotifyCustomerStateChange";
        peer.send(format!("POST {path} HTTP/1.1\r\nhost: g\r\ncontent-length: 5\r\n\r\n")).await;
        busy.push(peer);
    }
    // The two are in the middle of their requests.
    let mut third = Peer::connect(&gateway).await;
    let waiting = third.call("GET", "/NotifyCustomerStateChange", "");
    assert!(tokio::time::timeout(Duration::from_secs(2), waiting).await.is_err());
    let mut inside = Peer::connect_to(&internal).await;
    assert_eq!(inside.call("GET", "/live", "").await.status(), 200);
    busy.clear();
    assert_eq!(third.receive("GET").await.status(), 405);
}

/// A client that is not let into the queue tries again ever more seldom.
#[tokio::test]
async fn thousand_connections_wait_for_their_turn() {
    let gateway = Gateway::start(&[&COMMON[..], &["--max-connections", "1"]].concat()).await;
    let mut busy = Peer::connect(&gateway).await;
    let path = "/NotifyCustomerStateChange";
    busy.send(format!("POST {path} HTTP/1.1\r\nhost: g\r\ncontent-length: 5\r\n\r\n")).await;
    let address = gateway.url("/").authority().unwrap().to_string();
    let mut waiting = Vec::new();
    for number in 0..1000 {
        let connected = tokio::time::timeout(MAX_WAIT, TcpStream::connect(&address)).await;
        waiting.push(connected.unwrap_or_else(|_| panic!("{number} connected")).unwrap());
    }
    drop(waiting);
    drop(busy);
    let mut last = Peer::connect(&gateway).await;
    assert_eq!(last.call("GET", path, "").await.status(), 405);
}

#[tokio::test]
async fn public_head_is_bounded_at_32_kib() {
    let internal = format!("127.0.0.1:{}", free_port());
    let args = [&COMMON[..], &["--internal-listen", &internal]].concat();
    let gateway = Gateway::start(&args).await;
    let public = gateway.url("/").authority().unwrap().to_string();
    for (address, kib, status) in [
        (&public, 31, 404),
        (&public, 33, 431),
        (&public, 500, 431),
        (&internal, 31, 200),
        (&internal, 60, 200),
        (&internal, 500, 431),
    ] {
        let mut peer = Peer::connect_to(address).await;
        let line = format!("x-filler: {}\r\n", "x".repeat(1024 - 12));
        // It may be refused before it is sent.
        let head = format!("GET /live HTTP/1.1\r\nhost: g\r\n{}\r\n", line.repeat(kib));
        let _refused = peer.try_send(head).await;
        assert_eq!(peer.receive("GET").await.status(), status, "{address} {kib} KiB");
    }
}

/// Waits for the end of a connection.
async fn closed(mut stream: TcpStream, what: &str) {
    let end = async {
        let mut buffer = [0; 1024];
        while let Ok(1..) = stream.read(&mut buffer).await {}
    };
    tokio::time::timeout(Duration::from_secs(40), end).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn connection_that_asks_nothing_ends() {
    let gateway = Gateway::start(&COMMON).await;
    let open = async || Peer::connect(&gateway).await.into_stream();
    // This client answers pings.
    let http2 = async {
        let (_sender, connection) = h2::client::handshake(open().await).await.unwrap();
        let end = tokio::time::timeout(Duration::from_secs(40), connection).await;
        let _graceful_or_not = end.expect("HTTP/2");
    };
    let starting_with = async |bytes: &'static [u8]| {
        let mut stream = open().await;
        stream.write_all(bytes).await.unwrap();
        closed(stream, &String::from_utf8_lossy(bytes)).await;
    };
    let dribbling = async {
        let (mut read, mut write) = open().await.into_split();
        let dribble = tokio::spawn(async move {
            for byte in b"GET /healthz HTTP/1.1\r\nx: ".iter().chain(std::iter::repeat(&b'x')) {
                if write.write_all(&[*byte]).await.is_err() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(500)).await;
            }
        });
        let mut received = Vec::new();
        let end = read.read_to_end(&mut received);
        let end = tokio::time::timeout(Duration::from_secs(40), end).await;
        let _reset_or_closed = end.expect("dribbling");
        dribble.abort();
    };
    tokio::join!(
        http2,
        dribbling,
        starting_with(b""),
        starting_with(b"PRI * HTTP/2.0\r\n"),
        starting_with(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
        starting_with(b"GET /healthz HTTP/1.1\r\n"),
        starting_with(b"GET /healthz HTTP/1.1\r\nhost: g\r\n\r\n"),
    );
}

#[tokio::test]
async fn notification_from_a_half_closed_connection_is_answered() {
    let simulator = simulator_at_own_host().await;
    // The end of the connection arrives while the token waits for its key.
    simulator.key_server(Fault::Slow(Duration::from_secs(1)));
    let base = simulator.hosts()[0].to_string();
    let args = ["--listen", "127.0.0.1:0", "--base-url", &base, "--any-audience"];
    let gateway = Gateway::start(&args).await;
    let tenant = TenantId::new("Cust1").unwrap();
    let body = simulator.notification(ChangeType::Suspend, &tenant).body();
    let mut peer = Peer::connect(&gateway).await;
    let head = format!("host: g\r\ncontent-length: {}\r\n\r\n", body.len());
    peer.send(format!("POST /NotifyCustomerStateChange HTTP/1.1\r\n{head}")).await;
    peer.send(body).await;
    peer.finish().await;
    assert_eq!(peer.receive("POST").await.status(), 204);
    peer.closed().await;
    assert_eq!(gateway.get("/Cust1/x").await.status, 503);
}

#[tokio::test]
async fn half_closed_call_is_answered_but_not_inside() {
    let internal = format!("127.0.0.1:{}", free_port());
    // Whether the gateway gives the call up, after the head has arrived.
    let (tx, mut rx) = tokio::sync::mpsc::unbounded_channel();
    let upstream = Upstream::start(move |mut conversation| {
        let tx = tx.clone();
        async move {
            conversation.head().await.unwrap();
            tx.send(None).unwrap();
            let given_up = tokio::time::timeout(Duration::from_secs(1), conversation.closed());
            tx.send(Some(given_up.await.is_ok())).unwrap();
            conversation.send(OK).await;
        }
    })
    .await;
    for (more, is_given_up) in [(&[][..], false), (&["--internal-listen", &internal], true)] {
        let gateway = upstream.gateway(more).await;
        let mut peer = match more {
            [] => Peer::connect(&gateway).await,
            _ => Peer::connect_to(&internal).await,
        };
        peer.send("GET /Cust1/x HTTP/1.1\r\nhost: g\r\n\r\n").await;
        assert_eq!(rx.recv().await, Some(None));
        peer.finish().await;
        assert_eq!(rx.recv().await, Some(Some(is_given_up)), "{more:?}");
        if is_given_up {
            assert_eq!(peer.closed().await, b"");
        } else {
            assert_eq!(peer.receive("GET").await.status(), 200);
        }
    }
}
