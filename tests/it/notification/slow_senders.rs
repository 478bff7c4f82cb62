//! Slow senders on real connections, while other notifications are accepted.

use std::{net::SocketAddr, time::Duration};

use harness::{MAX_WAIT, TestEnv, tenant};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::{Instant, timeout},
};
use tower_superoffice::{ChangeType, TenantGate, simulator::Simulator};

const DEADLINE: Duration = Duration::from_millis(500);
const HEAD: &str = "POST /NotifyCustomerStateChange HTTP/1.1\r\nHost: a\r\n";

/// A gate behind a server on loopback.
struct Server {
    simulator: Simulator,
    gate: TenantGate,
    address: SocketAddr,
}

impl Server {
    async fn start() -> Self {
        let env = TestEnv::with(|builder| builder.body_deadline(DEADLINE)).await;
        let TestEnv { simulator, gate, .. } = env;
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let service = TowerToHyperService::new(gate.notification_service());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(DEADLINE)
                    .serve_connection(TokioIo::new(stream), service.clone());
                tokio::spawn(connection);
            }
        });
        simulator.notify_to(format!("http://{address}/").parse().unwrap());
        Self { simulator, gate, address }
    }

    async fn connect(&self, head: &str) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(format!("{HEAD}{head}\r\n").as_bytes()).await.unwrap();
        stream
    }

    /// Waits for `slow`, while one notification after the other is accepted.
    async fn serves_during<T>(&self, slow: impl Future<Output = T>) -> T {
        let tenant = tenant("Good");
        let good = async {
            while self.simulator.notify(ChangeType::BackupRestored, &tenant).await.unwrap() == 204 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            done = timeout(MAX_WAIT, slow) => done.expect("a slow sender was not ended"),
            () = good => panic!("a genuine notification was refused"),
        }
    }
}

/// Reads until the server closes the connection.
async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn trickling_body_is_408_at_the_deadline() {
    let server = Server::start().await;
    let begin = Instant::now();
    let slow = async {
        let mut all = Vec::new();
        for _ in 0..50 {
            let (mut read, mut write) =
                server.connect("Content-Length: 1000\r\n").await.into_split();
            // Each byte arrives within the deadline, the whole body never would.
            let trickle = tokio::spawn(async move {
                while write.write_all(b" ").await.is_ok() {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            });
            all.push(tokio::spawn(async move {
                let mut answer = [0; 12];
                read.read_exact(&mut answer).await.unwrap();
                trickle.abort();
                String::from_utf8(answer.to_vec()).unwrap()
            }));
        }
        futures::future::join_all(all).await
    };
    for answer in server.serves_during(slow).await {
        assert_eq!(answer.unwrap(), "HTTP/1.1 408");
    }
    assert!(begin.elapsed() >= DEADLINE);
    assert_eq!(server.gate.snapshot().len(), 1, "a slow sender changed a tenant");
}

#[tokio::test]
async fn missing_body_is_408_and_closes_the_connection() {
    let server = Server::start().await;
    let mut stream = server.connect("Content-Length: 10\r\n").await;
    let answer = server.serves_during(answer(&mut stream)).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn endless_chunked_body_is_413_before_its_end() {
    let server = Server::start().await;
    let (mut read, mut write) = server.connect("Transfer-Encoding: chunked\r\n").await.into_split();
    let sent = tokio::spawn(async move {
        let mut sent = 0_u64;
        let chunk = format!("400\r\n{}\r\n", " ".repeat(1024));
        while write.write_all(chunk.as_bytes()).await.is_ok() {
            sent += 1024;
        }
        sent
    });
    let slow = async {
        let mut start = [0; 12];
        read.read_exact(&mut start).await.unwrap();
        let sent = sent.await.unwrap();
        (String::from_utf8(start.to_vec()).unwrap(), sent)
    };
    let (start, sent) = server.serves_during(slow).await;
    assert_eq!(start, "HTTP/1.1 413");
    // The kernel's buffers hold some megabytes.
    assert!(sent < 64 << 20, "{sent} bytes were sent");
}

#[tokio::test]
async fn half_closed_connection_is_released() {
    let server = Server::start().await;
    for (head, body) in [
        ("Content-Length: 100\r\n", "{\"ChangeType\":"),
        ("Transfer-Encoding: chunked\r\n", "4\r\n{   \r\n"),
        ("Content-Length: 100\r\n", ""),
    ] {
        let mut stream = server.connect(head).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = server.serves_during(answer(&mut stream)).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    // Half closed behind a whole notification: it is recorded.
    let tenant = tenant("Half");
    let body = server.simulator.notification(ChangeType::Suspend, &tenant).body();
    let mut stream = server.connect(&format!("Content-Length: {}\r\n", body.len())).await;
    stream.write_all(&body).await.unwrap();
    stream.shutdown().await.unwrap();
    let _ = server.serves_during(answer(&mut stream)).await;
    assert!(server.gate.check(&tenant).is_err());
}

#[tokio::test]
async fn unfinished_head_is_closed() {
    let server = Server::start().await;
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(HEAD.as_bytes()).await.unwrap();
    let answer = server.serves_during(answer(&mut stream)).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}
