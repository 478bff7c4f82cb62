//! Commands to a server that is no gateway, or lies.

use std::process::Stdio;

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};

use crate::{
    commands::{Run, run},
    process::PROGRAM,
    wire::{peer::STEP, upstream::Upstream},
};

/// A response with this content.
fn response(status: &str, kind: &str, content: &str) -> String {
    let length = content.len();
    format!(
        "HTTP/1.1 {status}\r\ncontent-type: {kind}\r\ncontent-length: {length}\r\n\r\n{content}"
    )
}

/// Runs a command against a server that answers everything with `response`.
async fn run_against(response: &str, args: &[&str]) -> Run {
    let response: &'static str = response.to_owned().leak();
    let upstream = Upstream::responding(response).await;
    run(&[args, &["--url", &upstream.url()]].concat(), &[]).await
}

#[tokio::test]
async fn problem_of_a_lying_server_reaches_no_terminal_raw() {
    let detail = "\u{1b}]0;owned\u{7}two\nlines\u{202e}";
    let problem = json!({ "detail": detail }).to_string();
    let problem = response("400 Bad Request", "application/problem+json", &problem);
    let refused = run_against(&problem, &["close", "Cust1"]).await;
    let expected = "gateway: 400 Bad Request: \\u001b]0;owned\\u0007two\\u000alines\\u202e\n";
    assert!(!refused.succeeded);
    assert_eq!(refused.stderr, expected);
}

#[tokio::test]
async fn answer_that_is_none_of_a_gateway_is_an_error() {
    for (command, kind, content) in [
        (&["tenants"][..], "application/json", "{}"),
        (&["tenants"], "application/json", "\"\\u001b[2J\""),
        (&["tenants"], "text/html", "<html>"),
        (&["tenants"], "application/json", ""),
        (&["tenants", "Cust1"], "application/json", "[]"),
        (&["close", "Cust1"], "application/json", "null"),
        (&["health"], "application/json", "null"),
        (&["ready"], "text/html", "<html>"),
        (&["ready"], "application/json", "{}"),
        (&["ready"], "application/json", "{\"ready\":false}"),
        (&["ready"], "application/json", "[true]"),
        (&["events"], "application/json", "[]"),
        (&["events"], "text/html", "data: {}\n\n"),
    ] {
        let response = response("200 OK", kind, content);
        for output in ["json", "text"] {
            let run = run_against(&response, &[command, &["--output", output]].concat()).await;
            assert!(!run.succeeded, "{command:?} {output} {content}: {}", run.stdout);
            assert_eq!(run.stdout, "", "{command:?} {output} {content}");
            assert!(run.stderr.contains("answer"), "{command:?} {output}: {}", run.stderr);
        }
    }
    let not_ready = response("503 Service Unavailable", "application/json", "{\"ready\":false}");
    let run = run_against(&not_ready, &["ready", "--output", "text"]).await;
    assert_eq!((run.succeeded, &*run.stdout), (false, "ready: false\n"));
}

#[tokio::test]
async fn answer_without_end_is_an_error() {
    let long = " ".repeat(1024 * 1024 + 1);
    for command in [&["ready"][..], &["health"], &["tenants", "--output", "json"]] {
        let run = run_against(&response("200 OK", "application/json", &long), command).await;
        assert!(!run.succeeded && run.stdout.is_empty(), "{command:?}");
        assert!(run.stderr.contains("the answer "), "{}", run.stderr);
    }
    let run = run_against(&response("200 OK", "text/event-stream", &long), &["events"]).await;
    assert!(!run.succeeded);
    assert_eq!(run.stderr, "gateway: an event has more than 1024 KiB\n");
}

#[tokio::test]
async fn events_end_soon_after_their_reader() {
    let upstream = Upstream::start(async |mut conversation| {
        conversation.head().await;
        let event = "data: {\"event\":\"snapshot\",\"complete\":true}\n\n";
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n";
        conversation.send([head, event].concat()).await;
        // Nothing more happens.
        conversation.closed().await;
    })
    .await;
    let mut command = Command::new(PROGRAM);
    command.args(["events", "--output", "text", "--url", &upstream.url()]);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let line = timeout(STEP, lines.next_line()).await.expect("an event").unwrap();
    assert_eq!(line.as_deref(), Some("snapshot complete=true"));
    drop(lines);
    let status = timeout(STEP, child.wait()).await.expect("an exit").unwrap();
    assert!(status.success());
}
