//! Log output that fails or blocks: on a full disk, to a pipe or a terminal that is closed, to a
//! pipe that is not read.

use std::{process::Stdio, time::Duration};

use harness::{free_port, simulator_at_own_host};
use http::StatusCode;
use tokio::process::Command;
use tower_superoffice::{ChangeType, TenantId, status::State};

use crate::process::{Gateway, PROGRAM};

/// Makes stderr a terminal whose other side is closed: the one end is not inherited.
const CLOSED_TERMINAL: &str = "import os, sys
master, terminal = os.openpty()
os.dup2(terminal, 2)
os.execv(sys.argv[1], sys.argv[1:])";

/// A gateway whose stderr is broken in the way that `stderr` makes it.
async fn start(stderr: &str, args: &[&str]) -> Gateway {
    let mut command = match stderr {
        "closed terminal" => {
            let mut command = Command::new("python3");
            command.args(["-c", CLOSED_TERMINAL, PROGRAM]);
            command
        }
        _ => Command::new(PROGRAM),
    };
    match stderr {
        "full disk" => {
            command.stderr(std::fs::File::options().write(true).open("/dev/full").unwrap());
        }
        "closed pipe" => {
            let (reader, writer) = std::io::pipe().unwrap();
            drop(reader);
            command.stderr(writer);
        }
        "unread pipe" => {
            command.stderr(Stdio::piped());
        }
        _ => {}
    }
    // Much more than a pipe holds.
    command.args(args).env("RUST_LOG", "trace");
    Gateway::start_command(command).await
}

async fn works_without_logs(stderr: &str) {
    let simulator = simulator_at_own_host().await;
    let base = simulator.hosts()[0].to_string();
    let common = ["--listen", "127.0.0.1:0", "--base-url", &base, "--any-audience"];
    let pulls = ["--state-api", "on", "--settle", "1", "--upgrade-settle", "1"];
    let mut gateway = start(stderr, &[&common[..], &pulls].concat()).await;
    simulator.notify_to(gateway.url("/NotifyCustomerStateChange"));
    let tenant = TenantId::new("Cust1").unwrap();

    for _ in 0..50 {
        let forged = simulator.notification(ChangeType::Delete, &tenant).forged();
        let refused = gateway.caller().notify(forged.body()).await;
        assert_eq!(refused, Some(StatusCode::UNAUTHORIZED), "{stderr}");
        let unreadable = gateway.caller().notify("{".into()).await;
        assert_eq!(unreadable, Some(StatusCode::BAD_REQUEST), "{stderr}");
    }
    simulator.suspend(&tenant).await.unwrap();
    assert_eq!(gateway.get("/Cust1/x").await.status, 503, "{stderr}");
    assert_eq!(simulator.calls(&tenant), 0, "{stderr}: not refused by the gateway");
    // The task that pulls is alive: it finds out that the notification is no longer true.
    simulator.set_state(&tenant, State::Running);
    let healed = async {
        while gateway.get("/Cust1/x").await.status != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), healed).await.expect(stderr);
    assert_eq!(gateway.terminate().await.code(), Some(0), "{stderr}");
}

#[tokio::test]
async fn gateway_works_with_stderr_on_a_full_disk() {
    works_without_logs("full disk").await;
}

#[tokio::test]
async fn gateway_works_with_stderr_to_a_closed_pipe() {
    works_without_logs("closed pipe").await;
}

#[tokio::test]
async fn gateway_works_with_stderr_to_a_closed_terminal() {
    if harness::installed("python3") {
        works_without_logs("closed terminal").await;
    }
}

#[tokio::test]
async fn gateway_works_with_stderr_to_an_unread_pipe() {
    works_without_logs("unread pipe").await;
}

#[tokio::test]
async fn gateway_works_with_nowhere_to_say_where_it_listens() {
    let listen = format!("127.0.0.1:{}", free_port());
    let full = || std::fs::File::options().write(true).open("/dev/full").unwrap();
    let args = ["--listen", &listen, "--base-url", "http://127.0.0.1:1", "--any-audience"];
    let mut child = Command::new(PROGRAM)
        .args(args)
        .stdout(full())
        .stderr(full())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let listens = async {
        while tokio::net::TcpStream::connect(&listen).await.is_err() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), listens).await.expect("it listens");
    let id = child.id().unwrap().to_string();
    assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn failure_to_start_is_an_exit_code_with_stderr_on_a_full_disk() {
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let args = ["--base-url", "http://127.0.0.1:1", "--any-audience", "--store", "disk"];
    let status = Command::new(PROGRAM).args(args).stderr(full).status().await.unwrap();
    assert_eq!(status.code(), Some(1));
}
