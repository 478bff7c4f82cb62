//! Senders that close their connection behind a whole notification: it is recorded all the same.

use std::{convert::Infallible, net::SocketAddr, sync::Arc};

use bytes::Bytes;
use harness::{MAX_WAIT, tenant, until};
use http::Response;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinHandle,
    time::timeout,
};
use tower::service_fn;
use tower_superoffice::{ChangeType, TenantGate, TenantId, simulator::Simulator};

/// A gate whose key is not there before the test says so, behind a server for one connection.
struct Slow {
    simulator: Simulator,
    gate: TenantGate,
    tenant: TenantId,
    address: SocketAddr,
    /// Ends with the connection: by then the server has dropped the future of the answer.
    connection: JoinHandle<()>,
    /// Lets the answer with the keys pass.
    key: Arc<Semaphore>,
}

impl Slow {
    async fn new(half_close: bool) -> Self {
        let simulator = Simulator::start().await.unwrap();
        let key = Arc::new(Semaphore::new(0));
        let gate = TenantGate::builder(simulator.environment())
            .audience(simulator.application_id())
            .client(key_server(simulator.key_set(), Arc::clone(&key)))
            .state_api(false)
            .build()
            .await
            .unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = TowerToHyperService::new(gate.notification_service());
        let connection = tokio::spawn(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let served = http1::Builder::new()
                .half_close(half_close)
                .serve_connection(TokioIo::new(stream), service);
            drop(served.await);
        });
        Self { simulator, gate, tenant: tenant("Cust1"), address, connection, key }
    }

    /// Sends a whole Suspend.
    async fn send(&self) -> TcpStream {
        let body = self.simulator.notification(ChangeType::Suspend, &self.tenant).body();
        let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", body.len());
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
        stream
    }

    fn is_closed(&self) -> bool {
        self.gate.check(&self.tenant).is_err()
    }
}

fn key_server(
    key_set: String,
    key: Arc<Semaphore>,
) -> impl tower::Service<
    http::Request<tower_superoffice::notification::EmptyBody>,
    Response = Response<Full<Bytes>>,
    Error = Infallible,
    Future: Send,
> + Clone
+ Send
+ Sync
+ 'static {
    service_fn(move |_| {
        let (answer, key) = (Full::new(Bytes::from(key_set.clone())), Arc::clone(&key));
        async move {
            key.acquire().await.unwrap().forget();
            Ok(Response::new(answer))
        }
    })
}

#[tokio::test]
async fn notification_of_a_sender_that_hangs_up_is_recorded() {
    let slow = Slow::new(false).await;
    drop(slow.send().await);
    timeout(MAX_WAIT, slow.connection).await.unwrap().unwrap();
    assert!(slow.gate.check(&slow.tenant).is_ok(), "there is no key yet");
    slow.key.add_permits(1);
    until("the notification is applied", async || slow.gate.check(&slow.tenant).is_err()).await;
    assert_eq!(slow.gate.health().notifications().applied(), 1);
}

#[tokio::test]
async fn sender_that_half_closes_gets_its_answer() {
    let slow = Slow::new(true).await;
    let mut stream = slow.send().await;
    stream.shutdown().await.unwrap();
    // The server has read the end of the request by now, or will before the key.
    tokio::task::yield_now().await;
    assert!(!slow.is_closed());
    slow.key.add_permits(1);
    let mut answer = String::new();
    timeout(MAX_WAIT, stream.read_to_string(&mut answer)).await.unwrap().unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("HTTP/1.1 204"), "{answer}");
    assert_eq!(body, "");
    assert!(slow.is_closed());
}
