//! Calls that come back to a gateway: RFC 9110, section 7.6.3.

use std::net::UdpSocket;

use harness::free_port;

use super::{
    peer::{Peer, header},
    upstream::{OK, Upstream},
};
use crate::process::Gateway;

const COMMON: [&str; 3] = ["--any-audience", "--base-url", "http://127.0.0.1:1"];

/// The name that the gateway in front of `upstream` has in `Via`.
async fn name(upstream: &Upstream, gateway: &Gateway) -> String {
    let mut peer = Peer::connect(gateway).await;
    assert_eq!(peer.call("GET", "/Cust1/x", "").await.status(), 200);
    let heads = upstream.heads();
    let via = header(heads.last().unwrap(), "via").expect("a Via");
    via.strip_prefix("1.1 ").expect("the version that was received").to_owned()
}

#[tokio::test]
async fn via_has_a_name_of_each_process() {
    let upstream = Upstream::responding(OK).await;
    let (one, other) = (upstream.gateway(&[]).await, upstream.gateway(&[]).await);
    let first = name(&upstream, &one).await;
    assert_eq!(first, name(&upstream, &one).await);
    assert_ne!(first, name(&upstream, &other).await);
}

#[tokio::test]
async fn via_is_added_behind_those_of_others() {
    let upstream = Upstream::start(async |mut conversation| {
        while conversation.head().await.is_some() {
            let ok = "HTTP/1.1 200 OK\r\nvia: 1.1 cache\r\ncontent-length: 0\r\n\r\n";
            conversation.send(ok).await;
        }
    })
    .await;
    let gateway = upstream.gateway(&[]).await;
    let mut peer = Peer::connect(&gateway).await;
    peer.send("GET /Cust1/x HTTP/1.0\r\nvia: 1.1 edge, 2.0 inner\r\n\r\n").await;
    let received = peer.receive("GET").await;
    assert_eq!(received.status(), 200);
    let heads = upstream.heads();
    for (head, fields) in [
        (&heads[0], ["1.1 edge, 2.0 inner", "1.0 superoffice-gateway-"]),
        (&received.head, ["1.1 cache", "1.1 superoffice-gateway-"]),
    ] {
        let via: Vec<_> = head
            .lines()
            .filter_map(|line| line.to_lowercase().strip_prefix("via: ").map(str::to_owned))
            .collect();
        assert_eq!(via.len(), 2, "{head}");
        assert_eq!(via[0], fields[0]);
        assert!(via[1].starts_with(fields[1]), "{head}");
    }
}

#[tokio::test]
async fn call_that_comes_back_is_508() {
    let upstream = Upstream::responding(OK).await;
    let gateway = upstream.gateway(&[]).await;
    let name = name(&upstream, &gateway).await;
    for via in [
        format!("via: 1.1 {name}\r\n"),
        format!(
            "via: 1.1 edge\r\nvia: 1.0 other, HTTP/2.0 {}\t(a, b), 1.1 x\r\n",
            name.to_uppercase()
        ),
        format!("via: 1.1 {name}\r\nconnection: via\r\n"),
    ] {
        let mut peer = Peer::connect(&gateway).await;
        let received = peer.call("GET", "/Cust1/x", &via).await;
        assert_eq!(received.status(), 508, "{via}");
        assert_eq!(received.header("content-type"), Some("application/problem+json"));
    }
    let mut peer = Peer::connect(&gateway).await;
    let others = format!("via: 1.1 {name}0, 1.1 edge\r\n");
    assert_eq!(peer.call("GET", "/Cust1/x", &others).await.status(), 200);
    assert_eq!(upstream.heads().len(), 2);
}

#[tokio::test]
async fn two_gateways_that_forward_to_each_other_are_508() {
    let addresses = [(); 2].map(|()| format!("127.0.0.1:{}", free_port()));
    let [one, other] = &addresses;
    let mut gateways = Vec::new();
    for (listen, upstream) in [(one, other), (other, one)] {
        let upstream = format!("http://{upstream}");
        let args = ["--listen", listen, "--upstream", &upstream];
        gateways.push(Gateway::start(&[&args[..], &COMMON].concat()).await);
    }
    for address in &addresses {
        let mut peer = Peer::connect_to(address).await;
        assert_eq!(peer.call("GET", "/Cust1/x", "").await.status(), 508);
        assert_eq!(peer.call("POST", "/Cust1/x", "").await.status(), 508);
    }
}

/// An address of this machine that is no loopback address, if it has one.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    // Sends nothing: the system chooses the address that it would send from.
    socket.connect("198.51.100.1:9").ok()?;
    Some(socket.local_addr().ok()?.ip().to_string())
}

#[tokio::test]
async fn target_that_is_the_gateway_itself_is_refused_at_start() {
    let port = free_port();
    let at = |host: &str| format!("{host}:{port}");
    let mut cases = vec![
        (at("127.0.0.1"), at("127.0.0.1")),
        (at("127.0.0.1"), at("localhost")),
        (at("127.0.0.1"), at("LocalHost")),
        (at("127.0.0.1"), at("0.0.0.0")),
        (at("127.0.0.1"), at("[::ffff:127.0.0.1]")),
        (at("0.0.0.0"), at("127.0.0.1")),
        (at("0.0.0.0"), at("127.0.0.2")),
        (at("0.0.0.0"), at("0.0.0.0")),
    ];
    if UdpSocket::bind("[::1]:0").is_ok() {
        cases.extend([
            (at("[::1]"), at("[::1]")),
            (at("[::]"), at("127.0.0.1")),
            (at("[::1]"), at("[::]")),
        ]);
    }
    if let Some(own) = own_address() {
        cases.extend([(at("0.0.0.0"), at(&own)), (at(&own), at(&own))]);
    }
    for (listen, target) in &cases {
        let target = format!("http://{target}");
        let args = ["--listen", listen, "--upstream", &target];
        let (code, stderr) = Gateway::fails(&[&args[..], &COMMON].concat()).await;
        assert_eq!(code, Some(1), "{listen} {target}: {stderr}");
        assert!(stderr.contains(&format!("--upstream {target}")), "{stderr}");
    }
}

#[tokio::test]
async fn each_target_is_compared_with_each_listener() {
    let (public, internal) =
        (format!("127.0.0.1:{}", free_port()), format!("127.0.0.1:{}", free_port()));
    let listeners = ["--any-audience", "--listen", &public, "--internal-listen", &internal];
    for own in [&public, &internal] {
        let url = format!("http://{own}");
        for (flag, args) in [
            ("--upstream", vec!["--base-url", "http://127.0.0.1:1", "--upstream", &url]),
            ("--base-url", vec!["--base-url", &url]),
            ("--base-url", vec!["--base-url", &url, "--upstream", "http://127.0.0.1:1"]),
            ("--key-url", vec!["--base-url", "http://127.0.0.1:1", "--key-url", &url]),
            ("--tenant-host", vec!["--base-url", "http://127.0.0.1:1", "--tenant-host", own]),
        ] {
            let (code, stderr) = Gateway::fails(&[&listeners[..], &args].concat()).await;
            assert_eq!(code, Some(1), "{args:?}: {stderr}");
            assert!(stderr.contains(flag), "{args:?}: {stderr}");
        }
    }
}

#[tokio::test]
async fn neighbour_of_a_listener_is_a_good_target() {
    for target in ["127.0.0.2", "name.invalid"] {
        let listen = format!("127.0.0.1:{}", free_port());
        let upstream = listen.replace("127.0.0.1", target);
        let upstream = format!("http://{upstream}");
        let args = ["--listen", &listen, "--upstream", &upstream];
        let gateway = Gateway::start(&[&args[..], &COMMON].concat()).await;
        assert_eq!(gateway.get("/Cust1/x").await.status, 502, "{target}");
    }
}
