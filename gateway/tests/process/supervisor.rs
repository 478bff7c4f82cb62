//! The supervisor: what the gateway reports to it, and the files that describe it there.

use std::{fs, path::Path};

use harness::{Directory, MAX_WAIT, installed};
use http::StatusCode;
use tokio::{net::UnixDatagram, process::Command, time::timeout};

use crate::process::{Gateway, PROGRAM};

const ARGUMENTS: [&str; 5] =
    ["--listen", "127.0.0.1:0", "--base-url", "http://127.0.0.1:1", "--any-audience"];

fn command() -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(ARGUMENTS).env("RUST_LOG", "warn");
    command
}

async fn receive(socket: &UnixDatagram) -> String {
    let mut message = [0; 100];
    let length = timeout(MAX_WAIT, socket.recv(&mut message)).await.expect("a message").unwrap();
    String::from_utf8(message[..length].to_vec()).unwrap()
}

#[tokio::test]
async fn supervisor_learns_of_the_start_and_of_the_end() {
    let directory = Directory::new();
    let path = directory.join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = command();
    command.env("NOTIFY_SOCKET", &path);
    let mut gateway = Gateway::start_command(command).await;
    assert_eq!(receive(&socket).await, "READY=1");
    assert_eq!(gateway.get("/live").await.status, StatusCode::OK);

    gateway.send_sigterm().await;
    assert_eq!(receive(&socket).await, "STOPPING=1");
    // While it still takes calls.
    assert_eq!(gateway.get("/ready").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(gateway.exit().await.code(), Some(0));
    assert!(socket.try_recv(&mut [0; 100]).is_err(), "more messages");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn supervisor_at_an_abstract_address_is_notified() {
    use std::os::{linux::net::SocketAddrExt, unix::net};

    let name = format!("superoffice-gateway-test-{}", std::process::id());
    let address = net::SocketAddr::from_abstract_name(&name).unwrap();
    let socket = net::UnixDatagram::bind_addr(&address).unwrap();
    socket.set_nonblocking(true).unwrap();
    let socket = UnixDatagram::from_std(socket).unwrap();
    let mut command = command();
    command.env("NOTIFY_SOCKET", format!("@{name}"));
    let _gateway = Gateway::start_command(command).await;
    assert_eq!(receive(&socket).await, "READY=1");
}

#[tokio::test]
async fn supervisor_that_is_gone_stops_nothing() {
    let directory = Directory::new();
    let mut command = command();
    command.env("NOTIFY_SOCKET", directory.join("nothing"));
    let mut gateway = Gateway::start_command(command).await;
    assert_eq!(gateway.get("/live").await.status, StatusCode::OK);
    assert!(gateway.terminate().await.success());
}

#[test]
fn systemd_finds_no_fault_in_the_unit() {
    if !installed("systemd-analyze") {
        return;
    }
    let unit = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/superoffice-gateway.service");
    let unit = fs::read_to_string(unit).unwrap();
    // It looks for the program.
    let start = "ExecStart=/usr/local/bin/superoffice-gateway";
    assert!(unit.contains("Type=notify") && unit.contains(start));
    let verify = |unit: &str| {
        let directory = Directory::new();
        let file = directory.join("superoffice-gateway.service");
        fs::write(&file, unit).unwrap();
        let mut command = std::process::Command::new("systemd-analyze");
        command.args(["verify", "--man=no"]).arg(file).output().unwrap()
    };
    let here = unit.replace(start, &format!("ExecStart={PROGRAM}"));
    let output = verify(&here);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let about_it: Vec<_> = text.lines().filter(|line| line.contains("superoffice")).collect();
    assert!(output.status.success() && about_it.is_empty(), "{text}");

    // It would say so.
    let output = verify(&here.replace("Type=notify", "Type=notified"));
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.contains("notified"), "{text}");
}
