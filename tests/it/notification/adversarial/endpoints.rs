//! The host of a Move is not signed: whatever it says, calls and their bearer tokens go to
//! SuperOffice.

use bytes::Bytes;
use harness::gate_builder_of;
use http::{Request, StatusCode};
use http_body_util::Full;
use tower::ServiceExt;
use tower_superoffice::{ChangeType, Environment, TenantId, simulator::Simulator};

pub(crate) const CASES: usize = HOSTS.len();

const HOSTS: [&str; 36] = [
    "evil.example",
    "superoffice.com.evil.example",
    "evilsuperoffice.com",
    "sod3-superoffice.com",
    "superoffice.co",
    "superoffice.comm",
    "online.superoffice.com@evil.example",
    "evil.example@online.superoffice.com",
    "user:password@online.superoffice.com",
    "online.superoffice.com:8443",
    "online.superoffice.com:0",
    "online.superoffice.com:",
    "online.superoffice.com:443@evil.example",
    "online.superoffice.com/",
    "evil.example/online.superoffice.com",
    "evil.example/.superoffice.com",
    "evil.example?.superoffice.com",
    "evil.example#.superoffice.com",
    "evil.example\\.superoffice.com",
    "https://online.superoffice.com",
    "//online.superoffice.com",
    "127.0.0.1",
    "[::1]",
    "169.254.169.254",
    "0x7f000001",
    "localhost",
    "online.superoffice.com.",
    ".superoffice.com",
    "online..superoffice.com",
    "online%2esuperoffice.com",
    "evil.example%00.superoffice.com",
    "evil.example\0.superoffice.com",
    "evil.example\r\nHost: a.superoffice.com",
    "evil.example .superoffice.com",
    "\u{43e}nline.superoffice.com",
    "evil\u{3002}superoffice.com",
];

#[tokio::test]
async fn crafted_endpoint_is_accepted_and_never_used() {
    let simulator = Simulator::start().await.unwrap();
    let gate = gate_builder_of(Environment::Production, &simulator)
        .state_api(false)
        .build()
        .await
        .unwrap();
    let moved = async |tenant: &TenantId, host: &str| {
        let body: Bytes = simulator
            .notification(ChangeType::Move, tenant)
            .issuer("SuperOffice AS")
            .public_endpoint(host)
            .body();
        let request = Request::post("/").body(Full::new(body)).unwrap();
        gate.notification_service().oneshot(request).await.unwrap().status()
    };
    for (index, host) in HOSTS.iter().enumerate() {
        let tenant = TenantId::new(format!("Cust{index}")).unwrap();
        assert_eq!(moved(&tenant, host).await, StatusCode::NO_CONTENT, "{host:?}");
        let status = gate.status(&tenant);
        assert_eq!(status.endpoint(), None, "{host:?}");
        assert_eq!(gate.endpoint(&tenant), None, "{host:?}");
        assert!(gate.check(&tenant).is_ok(), "{host:?}");
    }
    // And the good ones are used, or this would prove nothing.
    for (host, used) in [
        ("sod3.superoffice.com", "sod3.superoffice.com"),
        ("ONLINE3.SuperOffice.com", "online3.superoffice.com"),
        ("online3.superoffice.com:443", "online3.superoffice.com"),
    ] {
        let tenant = TenantId::new(format!("Good{}", host.len())).unwrap();
        assert_eq!(moved(&tenant, host).await, StatusCode::NO_CONTENT, "{host}");
        assert_eq!(gate.status(&tenant).endpoint(), Some(used), "{host}");
    }
}
