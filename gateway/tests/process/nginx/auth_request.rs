//! The configuration in `docs/nginx.md`, as it stands there.

use harness::free_port;
use tower_superoffice::ChangeType;

use super::Nginx;
use crate::{process::GatewayEnv, wire::peer::Peer};

const DOCUMENT: &str = include_str!("../../../../docs/nginx.md");

/// The configuration, with these addresses instead of those in the document.
fn configuration(listen: &str, gateway: &str, superoffice: &str) -> String {
    let (_, rest) = DOCUMENT.split_once("```nginx\n").expect("a block");
    let (block, _) = rest.split_once("```").expect("its end");
    let replaced = [
        ("127.0.0.1:8000", listen),
        ("127.0.0.1:8080", gateway),
        ("https://online.superoffice.com", superoffice),
    ];
    replaced.into_iter().fold(block.to_owned(), |block, (documented, own)| {
        assert_eq!(block.matches(documented).count(), 1, "{documented}");
        block.replace(documented, own)
    })
}

#[tokio::test]
async fn documented_nginx_asks_the_gateway_about_each_call() {
    let env = GatewayEnv::new(&[]).await;
    let listen = format!("127.0.0.1:{}", free_port());
    let gateway = env.gateway.url("/").authority().unwrap().to_string();
    let superoffice = env.simulator.hosts()[0].to_string();
    let superoffice = superoffice.trim_end_matches('/');
    let servers = configuration(&listen, &gateway, superoffice);
    let Some(_nginx) = Nginx::start(&servers, &listen).await else { return };
    let get = async |path: &str| {
        let mut peer = Peer::connect_to(&listen).await;
        peer.call("GET", path, "so-apptoken: secret\r\n").await
    };

    assert_eq!(get("/Cust1/api/v1/Contact/1").await.status(), 200);
    assert_eq!(env.simulator.calls(&env.tenant), 1);

    env.notify(ChangeType::Suspend).await;
    for path in ["/Cust1/api/v1/Contact/1", "/cust1", "/Cust1/", "/Cust1?x"] {
        let closed = get(path).await;
        assert_eq!(closed.status(), 503, "{path}");
        assert_eq!(closed.header("x-tenant-reason"), Some("suspended"));
    }
    // Each of these could reach the closed tenant by the name of another, or of none.
    for path in ["/Cust2/../Cust1/x", "/%43ust1/x", "/Cust2/..%2fCust1/x", "//Cust1/x", "/./Cust1"]
    {
        assert_eq!(get(path).await.status(), 400, "{path}");
    }
    assert_eq!(get("/").await.status(), 404);
    assert_eq!(get("/.check").await.status(), 404);
    let mut peer = Peer::connect_to(&listen).await;
    let upload = "content-length: 5\r\n\r\nhello";
    peer.send(format!("POST /Cust1/x HTTP/1.1\r\nhost: g\r\n{upload}")).await;
    assert_eq!(peer.receive("POST").await.status(), 503);
    assert_eq!(env.simulator.all_calls(), 1, "a call bypassed the check");

    env.notify(ChangeType::Resume).await;
    assert_eq!(get("/Cust1/api/v1/Contact/1").await.status(), 200);
    peer.send(format!("POST /Cust1/x HTTP/1.1\r\nhost: g\r\n{upload}")).await;
    assert_eq!(peer.receive("POST").await.status(), 200);
    assert_eq!(env.simulator.calls(&env.tenant), 3);

    let mut gateway = env.gateway;
    gateway.kill().await;
    assert_eq!(get("/Cust1/x").await.status(), 500);
    assert_eq!(env.simulator.all_calls(), 3, "a call that was not checked");
}
