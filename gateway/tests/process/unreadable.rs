//! A malformed record in the store of a gateway.

use harness::RedisServer;
use redis::Commands;

use crate::process::Gateway;

/// A time that no calendar has, and a record that is cut off, leave the list of tenants whole.
#[tokio::test]
async fn malformed_record_stops_no_start_and_blanks_no_list() {
    let Some(server) = RedisServer::start() else { return };
    let base = "127.0.0.1:1";
    let key = format!("{{tower-superoffice:{base}}}:tenants");
    let suspend = |seen: &str| {
        format!(
            r#"{{"v":"1.1","suspend":{{"at":1700000000,"seen":{seen},"version":"","file":""}}}}"#
        )
    };
    for (field, value) in [
        ("cust1", format!("Cust1 {}", suspend("253402300800000"))),
        ("cust2", format!("Cust2 {}", suspend("18446744073709551615"))),
        ("cust3", "Cust3 {".to_owned()),
        ("cust4", format!("Cust4 {}", suspend("1700000000000"))),
    ] {
        let _: () = server.connection().hset(&key, field, value).unwrap();
    }
    let (url, store) = (format!("http://{base}"), server.url());
    let args = ["--listen", "127.0.0.1:0", "--base-url", &url, "--any-audience"];
    let gateway = Gateway::start(&[&args[..], &["--store", &store]].concat()).await;

    let list = gateway.get("/tenants").await;
    assert_eq!(list.status, 200);
    let list = String::from_utf8(list.body.to_vec()).unwrap();
    let count = |text: &str| list.matches(text).count();
    assert_eq!(count("unreadable"), 3, "{list}");
    assert_eq!(count("suspended"), 1, "{list}");
    assert_eq!(count("Cust"), 4, "{list}");
    assert!(list.contains("2023-11-14T22:13:20Z"), "{list}");
    assert_eq!(count(r#""evidence":null"#), 3, "{list}");
    let report = gateway.get("/healthz").await.body;
    let report: serde_json::Value = serde_json::from_slice(&report).unwrap();
    assert_eq!(report["reasons"], serde_json::json!(["no_key"]), "the records are no reason");
    assert_eq!(report["degraded"], serde_json::json!(["records_unreadable"]));
}
