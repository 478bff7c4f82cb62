//! Subcommands, each a request to a running gateway.

use std::{fs, process::Stdio};

use harness::{Directory, MAX_WAIT, free_port, until};
use http::StatusCode;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Command,
    time::timeout,
};
use tower_superoffice::ChangeType;

use crate::process::{Gateway, GatewayEnv, PROGRAM};

/// The output of a command, and whether it succeeded.
pub(crate) struct Run {
    pub(crate) succeeded: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    fn json(&self) -> Value {
        assert!(self.succeeded, "{}", self.stderr);
        assert!(self.stdout.ends_with('\n'), "{}", self.stdout);
        serde_json::from_str(&self.stdout).unwrap()
    }
}

pub(crate) async fn run(args: &[&str], variables: &[(&str, &str)]) -> Run {
    let mut command = Command::new(PROGRAM);
    command.args(args).kill_on_drop(true);
    for (name, value) in variables {
        command.env(format!("SUPEROFFICE_GATEWAY_{name}"), value);
    }
    let output = timeout(MAX_WAIT, command.output()).await.expect("an exit").unwrap();
    Run {
        succeeded: output.status.success(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

#[tokio::test]
async fn commands_give_orders_and_list_tenants() {
    let env = GatewayEnv::new(&["--state-api", "off"]).await;
    let url = env.gateway.url("/").to_string();
    let run = async |args: &[&str]| run(&[args, &["--url", &url]].concat(), &[]).await;
    let closed =
        run(&["close", "Cust1", "--note", "a \"note\"", "--until", "2099-01-01T00:00:00Z"]);
    let closed = closed.await.json();
    assert_eq!((&closed["reason"], &closed["note"]), (&json!("operator"), &json!("a \"note\"")));
    run(&["close", "Cust2"]).await.json();
    let open = run(&["open", "cust2"]).await.json();
    assert_eq!(open["available"], true);

    assert_eq!(run(&["tenants"]).await.json().as_array().unwrap().len(), 2);
    let listed = run(&["tenants", "--closed", "--prefix", "Cust"]).await.json();
    assert_eq!(listed, json!([closed]));
    assert_eq!(run(&["tenants", "--prefix", "&closed"]).await.json(), json!([]));
    assert_eq!(
        run(&["tenants", "--limit", "1", "--after", "Cust1"]).await.json()[0]["tenant"],
        "Cust2"
    );
    assert_eq!(run(&["tenants", "Cust1"]).await.json(), closed);

    let table = run(&["tenants", "--output", "text"]).await.stdout;
    let lines: Vec<Vec<_>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines.len(), 3, "{table}");
    assert_eq!(lines[1][..2], ["Cust1", "operator"]);
    assert_eq!(lines[1][3], "2099-01-01T00:00:00Z");
    assert_eq!(lines[2][..2], ["Cust2", "open"]);
    let one = run(&["tenants", "Cust1", "--output", "text"]).await.stdout;
    assert!(one.starts_with("tenant: Cust1\navailable: false\nreason: operator\n"), "{one}");
    let health = run(&["health", "--output", "text"]).await.stdout;
    assert!(health.contains("  store:\n    state: fresh\n"), "{health}");

    let released = run(&["release", "Cust1"]).await.json();
    assert_eq!((&released["available"], &released["evidence"]), (&json!(true), &Value::Null));
    assert_eq!(env.notify(ChangeType::Resume).await, StatusCode::NO_CONTENT);
    let unknown = run(&["tenants", "Cust99999"]).await.json();
    assert_eq!((&unknown["available"], &unknown["evidence"]), (&json!(true), &Value::Null));
    let text = run(&["tenants", "Cust99999", "--output", "text"]).await.stdout;
    assert!(text.contains("\nevidence: none, nothing is known of it\n"), "{text}");
    let resumed = run(&["tenants", "Cust1"]).await.json();
    assert_eq!(
        (&resumed["available"], &resumed["evidence"]),
        (&json!(true), &json!("notification"))
    );
    for (args, said) in [
        (&["refresh", "Cust1"][..], "409"),
        (&["forget", "Cust1"], "409"),
        (&["close", "Cust1", "--until", "tomorrow"], "until is a time"),
        (&["close", "a.b"], "a.b"),
        (
            &["tenants", "--reason", "none"],
            "upgrading, suspended, deleted, not_ready, operator, unreadable",
        ),
    ] {
        let refused = run(args).await;
        assert!(!refused.succeeded && refused.stdout.is_empty(), "{args:?}");
        assert!(refused.stderr.contains(said), "{args:?}: {}", refused.stderr);
    }
}

#[tokio::test]
async fn probes_have_exit_codes_and_find_the_gateway_of_the_variables() {
    let port = free_port();
    let listen = format!("0.0.0.0:{port}");
    // As in a container, where the gateway's own variables are set for the probe too.
    let variables = [("LISTEN", &*listen), ("BASE_URL", "http://127.0.0.1:1"), ("AUDIENCE", "a")];
    for probe in ["health", "ready"] {
        let failed = run(&[probe], &variables).await;
        assert!(!failed.succeeded && failed.stdout.is_empty(), "{probe}");
        assert!(failed.stderr.contains(&format!("http://127.0.0.1:{port}")), "{}", failed.stderr);
    }
    let base = ["--base-url", "http://127.0.0.1:1", "--any-audience", "--listen", &listen];
    let _without_keys = Gateway::start(&base).await;
    assert!(run(&["health"], &variables).await.json()["health"].is_object());
    let unready = run(&["ready"], &variables).await;
    assert!(!unready.succeeded);
    assert!(unready.stdout.contains("no_key"), "{}", unready.stdout);

    let env = GatewayEnv::new(&[]).await;
    until("keys are fetched", async || env.gateway.get("/ready").await.status == StatusCode::OK)
        .await;
    let url = env.gateway.url("/").to_string();
    assert_eq!(run(&["ready", "--url", &url], &variables).await.json()["ready"], true);
}

#[tokio::test]
async fn commands_to_the_public_listener_name_the_internal_one() {
    let internal = format!("127.0.0.1:{}", free_port());
    let env = GatewayEnv::new(&["--internal-listen", &internal]).await;
    let url = env.gateway.url("/").to_string();
    for command in [&["tenants", "--closed"][..], &["close", "Cust1"], &["health"], &["ready"]] {
        let failed = run(&[command, &["--url", &url]].concat(), &[]).await;
        assert!(!failed.succeeded && failed.stdout.is_empty(), "{command:?}");
        assert!(failed.stderr.contains("404 Not Found"), "{command:?}: {}", failed.stderr);
        assert!(failed.stderr.contains("--internal-listen"), "{command:?}: {}", failed.stderr);
    }
    let tenants = ["tenants", "--closed", "--url", &format!("http://{internal}")];
    assert_eq!(run(&tenants, &[]).await.json(), json!([]));
    assert_eq!(run(&tenants[..2], &[("INTERNAL_LISTEN", &internal)]).await.json(), json!([]));
}

#[tokio::test]
async fn orders_show_the_token_of_a_file_or_a_variable() {
    let directory = Directory::new();
    let file = directory.join("token");
    fs::write(&file, "hunter2\n").unwrap();
    let file = file.to_str().unwrap();
    let base = ["--base-url", "http://127.0.0.1:1", "--any-audience", "--listen", "127.0.0.1:0"];
    let gateway = Gateway::start(&[&base[..], &["--operator-token-file", file]].concat()).await;
    let url = gateway.url("/").to_string();
    let close = ["close", "Cust1", "--url", &url];
    run(&[&close[..], &["--operator-token-file", file]].concat(), &[]).await.json();
    run(&close, &[("OPERATOR_TOKEN_FILE", file)]).await.json();
    run(&close, &[("OPERATOR_TOKEN", "hunter2")]).await.json();
    for variables in [&[][..], &[("OPERATOR_TOKEN", "hunter3")]] {
        let refused = run(&close, variables).await;
        assert!(!refused.succeeded && refused.stderr.contains("401"), "{}", refused.stderr);
        assert!(!refused.stderr.contains("hunter"), "{}", refused.stderr);
    }
}

#[tokio::test]
async fn events_are_printed_a_line_each_until_the_gateway_stops() {
    let mut env = GatewayEnv::new(&[]).await;
    let mut command = Command::new(PROGRAM);
    command.args(["events", "--url", &env.gateway.url("/").to_string()]);
    let mut child = command.stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = timeout(MAX_WAIT, lines.next_line()).await.expect("a line").unwrap();
        line.map(|line| serde_json::from_str::<Value>(&line).unwrap())
    };
    assert_eq!(next().await.unwrap()["complete"], true);
    env.notify(ChangeType::Suspend).await;
    for name in ["notified", "changed"] {
        let event = next().await.unwrap();
        assert_eq!((&event["event"], &event["tenant"]), (&json!(name), &json!("Cust1")));
    }
    env.gateway.send_sigterm().await;
    assert_eq!(next().await, None);
    assert!(timeout(MAX_WAIT, child.wait()).await.unwrap().unwrap().success());
    env.gateway.exit().await;
}

#[tokio::test]
async fn flags_of_the_gateway_are_none_of_a_command() {
    for args in [&["--any-audience", "health"][..], &["health", "--listen", "127.0.0.1:1"]] {
        let refused = run(args, &[]).await;
        assert!(!refused.succeeded && refused.stdout.is_empty(), "{args:?}");
    }
    let help = run(&["--help"], &[]).await;
    for command in
        ["health", "ready", "tenants", "open", "close", "release", "refresh", "forget", "events"]
    {
        assert!(help.stdout.contains(&format!("\n  {command} ")), "{command}: {}", help.stdout);
    }
}

#[tokio::test]
async fn store_script_has_the_tables_of_each_environment() {
    let base = ["--any-audience", "--print-store-script", "--environment", "production"];
    let one = run(&base, &[]).await;
    assert!(one.succeeded, "{}", one.stderr);
    assert!(one.stdout.contains(r#""tower_superoffice_production_tenants""#), "{}", one.stdout);
    let args = ["--environment", "sod", "--environment", "production", "--print-store-script"];
    let variables = [
        ("ANY_AUDIENCE", "sod=true,production=true"),
        ("STORE", "postgres://gate@127.0.0.1:9/gate"),
    ];
    let two = run(&args, &variables).await;
    assert!(two.succeeded, "{}", two.stderr);
    assert!(two.stdout.ends_with(&one.stdout), "{}", two.stdout);
    assert!(two.stdout.contains(r#""tower_superoffice_sod_tenants""#), "{}", two.stdout);
}
