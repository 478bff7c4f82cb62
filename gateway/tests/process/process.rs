//! The gateway as a child process, its clients, and a server to forward to.
//!
//! Not in the harness: cargo names the program only to the tests of its own package.

use std::{net::SocketAddr, process::ExitStatus, time::Duration};

use bytes::Bytes;
use harness::{MAX_WAIT, simulator_at_own_host, tenant};
use http::{HeaderMap, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    process::{Child, Command},
    sync::mpsc,
};
use tower_superoffice::{ChangeType, TenantId, simulator::Simulator};

pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_superoffice-gateway");

/// A running gateway, killed on drop.
pub(crate) struct Gateway {
    child: Child,
    caller: Caller,
}

/// A client of a gateway, for any number of tasks. It outlives the gateway.
#[derive(Clone)]
pub(crate) struct Caller {
    address: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// A response whose body has been read.
pub(crate) struct HttpResponse {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

/// A simulated SuperOffice, and a gateway that it notifies.
pub(crate) struct GatewayEnv {
    pub(crate) simulator: Simulator,
    pub(crate) gateway: Gateway,
    /// The tenant `Cust1`.
    pub(crate) tenant: TenantId,
}

impl GatewayEnv {
    /// Starts both, the gateway with `more` arguments.
    pub(crate) async fn new(more: &[&str]) -> Self {
        let simulator = simulator_at_own_host().await;
        let gateway = Gateway::start_for(&simulator, more).await;
        simulator.notify_to(gateway.url("/NotifyCustomerStateChange"));
        Self { simulator, gateway, tenant: tenant("Cust1") }
    }

    pub(crate) async fn notify(&self, change: ChangeType) -> StatusCode {
        self.simulator.notify(change, &self.tenant).await.unwrap()
    }
}

/// The command of a gateway of `simulator`'s environment, with `more` arguments.
pub(crate) fn command_for(simulator: &Simulator, more: &[&str]) -> Command {
    let base = simulator.hosts()[0].to_string();
    let mut command = Command::new(PROGRAM);
    command
        .args(["--listen", "127.0.0.1:0", "--base-url", &base])
        .args(["--audience", simulator.application_id()])
        .args(more)
        .env("RUST_LOG", "warn,tower_http=off");
    command
}

impl Gateway {
    /// Starts a gateway and waits for its "listening on" line.
    pub(crate) async fn start(args: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        // One line for each refused call is too many.
        command.args(args).env("RUST_LOG", "warn,tower_http=off");
        Self::start_command(command).await
    }

    /// Starts a gateway of `simulator`'s environment, with `more` arguments.
    pub(crate) async fn start_for(simulator: &Simulator, more: &[&str]) -> Self {
        Self::start_command(command_for(simulator, more)).await
    }

    /// Starts a gateway after a shell has run `preparation`, as `start` does.
    pub(crate) async fn start_in_shell(preparation: &str, args: &[&str]) -> Self {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{preparation}; exec \"$0\" \"$@\""), PROGRAM]).args(args);
        Self::start_command(command).await
    }

    /// Starts a gateway by `command`, as `start` does.
    pub(crate) async fn start_command(mut command: Command) -> Self {
        command.stdout(std::process::Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(MAX_WAIT, lines.next_line()).await;
        let line = line.expect("a line with its address").unwrap().expect("a running gateway");
        let address = line.strip_prefix("listening on ").unwrap().to_owned();
        let client = Client::builder(TokioExecutor::new()).build_http();
        Self { child, caller: Caller { address, client } }
    }

    /// Starts a gateway and kills it after so short a time that it may not listen yet.
    pub(crate) async fn start_and_kill(simulator: &Simulator, more: &[&str], after: Duration) {
        let mut command = command_for(simulator, more);
        command.stdout(std::process::Stdio::null()).kill_on_drop(true);
        let mut child = command.spawn().unwrap();
        tokio::time::sleep(after).await;
        child.kill().await.unwrap();
    }

    /// Runs a gateway that fails to start; returns its exit code and its stderr.
    pub(crate) async fn fails(args: &[&str]) -> (Option<i32>, String) {
        let mut command = Command::new(PROGRAM);
        // The default port may be another program's, which would be the reason then.
        command.env("SUPEROFFICE_GATEWAY_LISTEN", "127.0.0.1:0");
        let run = command.args(args).kill_on_drop(true).output();
        let output = tokio::time::timeout(MAX_WAIT, run).await.expect("an exit").unwrap();
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    pub(crate) fn caller(&self) -> &Caller {
        &self.caller
    }

    pub(crate) fn url(&self, path: &str) -> Uri {
        self.caller.url(path)
    }

    pub(crate) async fn get(&self, path: &str) -> HttpResponse {
        self.caller.get(path).await.expect("a response")
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> HttpResponse {
        self.caller.send(request).await.expect("a response")
    }

    /// Closes a tenant by an operator's order.
    pub(crate) async fn close(&self, tenant: &str) {
        self.order(tenant, "close").await;
    }

    /// Ends an operator's order.
    pub(crate) async fn release(&self, tenant: &str) {
        self.order(tenant, "release").await;
    }

    async fn order(&self, tenant: &str, order: &str) {
        let request = Request::post(self.url(&format!("/tenants/{tenant}/{order}")))
            .header("content-type", "application/json");
        let taken = self.send(request.body(Full::default()).unwrap()).await;
        assert_eq!(taken.status, StatusCode::OK);
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap()
    }

    /// Sends SIGKILL and waits for the exit.
    pub(crate) async fn kill(&mut self) {
        self.child.kill().await.unwrap();
    }

    /// Sends SIGTERM and waits for the exit.
    pub(crate) async fn terminate(&mut self) -> ExitStatus {
        self.send_sigterm().await;
        self.exit().await
    }

    pub(crate) async fn send_sigterm(&self) {
        let id = self.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().await.unwrap().success());
    }

    /// Waits for the exit.
    pub(crate) async fn exit(&mut self) -> ExitStatus {
        tokio::time::timeout(MAX_WAIT, self.child.wait()).await.expect("an exit").unwrap()
    }
}

impl Caller {
    pub(crate) fn url(&self, path: &str) -> Uri {
        format!("{}{path}", self.address).parse().unwrap()
    }

    /// Sends a GET; `None` when no response came, as from all methods here.
    pub(crate) async fn get(&self, path: &str) -> Option<HttpResponse> {
        self.send(Request::get(self.url(path)).body(Full::default()).unwrap()).await
    }

    pub(crate) async fn send(&self, request: Request<Full<Bytes>>) -> Option<HttpResponse> {
        let answer = async {
            let (parts, body) = self.client.request(request).await.ok()?.into_parts();
            let body = body.collect().await.ok()?.to_bytes();
            Some(HttpResponse { status: parts.status, headers: parts.headers, body })
        };
        // hyper-util has been seen to wait for ever when the connection breaks at the wrong moment.
        tokio::time::timeout(MAX_WAIT, answer).await.ok()?
    }

    /// Posts the body of a notification.
    pub(crate) async fn notify(&self, body: Bytes) -> Option<StatusCode> {
        let url = self.url("/NotifyCustomerStateChange");
        let answer = self.send(Request::post(url).body(Full::new(body)).unwrap()).await?;
        Some(answer.status)
    }
}

/// Starts a server that responds 200 to everything; returns its address and the raw request
/// targets.
pub(crate) async fn targets() -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (sender, receiver) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let sender = sender.clone();
            tokio::spawn(async move {
                // Read byte by byte: a server library would parse the target first.
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let Ok(byte) = stream.read_u8().await else { return };
                    head.push(byte);
                }
                let head = String::from_utf8(head).unwrap();
                let target = head.split(' ').nth(1).unwrap().to_owned();
                let _ = sender.send(target);
                let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";
                let _ = stream.write_all(answer).await;
            });
        }
    });
    (address, receiver)
}
