//! Log lines: their format, and what the first of them say.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::Path,
};

use bytes::Bytes;
use harness::{Directory, RedisServer, until};
use http::{Request, header};
use http_body_util::Full;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::process::{Gateway, PROGRAM};

/// Starts a gateway that logs into `file`.
async fn start(file: &Path, more: &[&str]) -> Gateway {
    let mut command = Command::new(PROGRAM);
    command.args(["--listen", "127.0.0.1:0", "--base-url", "http://127.0.0.1:1"]).args(more);
    command.env_remove("RUST_LOG").stderr(File::create(file).unwrap());
    Gateway::start_command(command).await
}

/// Gives an order with a note that a log could take for lines of its own; returns the log with it.
async fn log_with_an_order(gateway: &Gateway, file: &Path) -> String {
    let note = "\u{1b}[2J\nERROR forged\u{9b}31m";
    let terms = json!({ "note": note, "until": "2099-01-01T00:00:00Z" }).to_string();
    assert_eq!(give(gateway, "close", terms).await, 200);
    log_with(file, "order carried out").await
}

/// Gives an order for `Cust1`; returns the status of its answer.
async fn give(gateway: &Gateway, order: &str, terms: String) -> u16 {
    let request = Request::post(gateway.url(&format!("/tenants/Cust1/{order}")))
        .header(header::CONTENT_TYPE, "application/json")
        .body(Full::new(Bytes::from(terms)));
    gateway.send(request.unwrap()).await.status.as_u16()
}

/// Waits until the log has `text`, and returns the log.
async fn log_with(file: &Path, text: &str) -> String {
    let mut log = String::new();
    until("the event is logged", async || {
        log = fs::read_to_string(file).unwrap();
        log.contains(text) && log.ends_with('\n')
    })
    .await;
    log
}

fn lines_of(log: &str) -> Vec<Value> {
    log.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn with_message<'l>(lines: &'l [Value], message: &str) -> &'l Value {
    lines.iter().find(|line| line["message"] == message).expect(message)
}

#[tokio::test]
async fn text_has_a_line_an_event_and_no_escapes() {
    let directory = Directory::new();
    let file = directory.join("log");
    let gateway = start(&file, &["--any-audience"]).await;
    let log = log_with_an_order(&gateway, &file).await;
    assert!(!log.contains(|character: char| character.is_control() && character != '\n'), "{log}");
    assert!(!log.lines().any(|line| line.starts_with("ERROR")), "{log}");
}

#[tokio::test]
async fn json_has_an_object_an_event() {
    let directory = Directory::new();
    let file = directory.join("log");
    let gateway = start(&file, &["--any-audience", "--log-format", "json"]).await;
    let lines = lines_of(&log_with_an_order(&gateway, &file).await);
    let order = with_message(&lines, "operator's order received");
    assert_eq!((&order["level"], &order["tenant"]), (&json!("INFO"), &json!("Cust1")));
    assert!(order["note"].as_str().unwrap().ends_with("forged\u{9b}31m"), "{order}");
    let client: SocketAddr = order["client"].as_str().unwrap().parse().unwrap();
    assert!(client.ip().is_loopback(), "{order}");
    assert_eq!(order["until"], "2099-01-01T00:00:00Z", "{order}");
    let done = with_message(&lines, "operator's order carried out");
    assert_eq!((&done["order"], &done["client"]), (&json!("close"), &order["client"]), "{done}");

    for (order, terms, status, reason) in [
        ("close", r#"{"until":"2020-01-01T00:00:00Z"}"#, 400, "until has passed."),
        ("refresh", "", 409, "--state-api on"),
    ] {
        assert_eq!(give(&gateway, order, terms.to_owned()).await, status);
        let is_there =
            |line: &&Value| line["message"] == "operator's order refused" && line["order"] == order;
        let mut found = Value::Null;
        until("the refusal is logged", async || {
            let lines = lines_of(&log_with(&file, "order refused").await);
            found = lines.iter().find(is_there).cloned().unwrap_or_default();
            !found.is_null()
        })
        .await;
        assert_eq!((&found["tenant"], &found["status"]), (&json!("Cust1"), &json!(status)));
        assert_eq!(found["level"], "WARN", "{found}");
        assert!(found["reason"].as_str().unwrap().contains(reason), "{found}");
    }
}

#[tokio::test]
async fn failed_start_is_logged_as_json_too() {
    let args = ["--listen", "127.0.0.1:0", "--base-url", "http://127.0.0.1:1", "--any-audience"];
    let args = [&args[..], &["--log-format", "json", "--store", "none"]].concat();
    let (code, stderr) = Gateway::fails(&args).await;
    assert_eq!(code, Some(1));
    let lines = lines_of(&stderr);
    let failure = with_message(&lines, "gateway failed");
    assert!(failure["error"].as_str().unwrap().contains("--store takes"), "{failure}");
}

#[tokio::test]
async fn start_line_names_what_the_gateway_serves() {
    let Some(mut redis) = RedisServer::start_with(&["--requirepass", "hunter2"]) else { return };
    let store = format!("redis://:hunter2@127.0.0.1:{}/3", redis.port());
    let directory = Directory::new();
    let file = directory.join("log");
    let more = ["--log-format", "json", "--audience", "one", "--audience", "two"];
    let more = [&more[..], &["--notification-path", "/hook", "--store", &store]].concat();
    let gateway = start(&file, &more).await;
    let log = log_with(&file, "gate started").await;
    assert!(!log.contains("hunter2"), "{log}");
    let lines = lines_of(&log);
    let start = with_message(&lines, "gate started");
    for (field, value) in [
        ("environment", json!("127.0.0.1:1")),
        ("audiences", json!("one, two")),
        ("store", json!(format!("redis://127.0.0.1:{}/3", redis.port()))),
        ("state_api", json!(false)),
        ("state_change_url", json!("https://YOUR-PUBLIC-HOST/hook")),
    ] {
        assert_eq!(start[field], value, "{start}");
    }

    // An order that the store lacks is in force all the same, and no refusal.
    redis.kill();
    assert_eq!(give(&gateway, "close", "{}".to_owned()).await, 503);
    let lines = lines_of(&log_with(&file, "operator's order in force, but not stored").await);
    let order = with_message(&lines, "operator's order in force, but not stored");
    assert_eq!((&order["tenant"], &order["status"]), (&json!("Cust1"), &json!(503)), "{order}");
    assert!(!lines.iter().any(|line| line["message"] == "operator's order refused"));
}
