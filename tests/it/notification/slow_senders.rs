//! Senders that take their time: over real connections, while good notifications are answered.

use std::{net::SocketAddr, time::Duration};

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
use tower_superoffice::{
    ChangeType, TenantGate, TenantId, simulator::Simulator, token::SigningKeys,
};

const DEADLINE: Duration = Duration::from_millis(500);
/// Far more than anything may take, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(20);
const HEAD: &str = "POST /NotifyCustomerStateChange HTTP/1.1\r\nHost: a\r\n";

struct World {
    simulator: Simulator,
    gate: TenantGate,
    address: SocketAddr,
}

impl World {
    async fn new() -> Self {
        let simulator = Simulator::start().await.unwrap();
        let gate = TenantGate::builder(simulator.environment())
            .audience(simulator.application_id())
            .signing_keys(SigningKeys::from_pem(simulator.certificate_pem()).unwrap())
            .body_deadline(DEADLINE)
            .build()
            .await
            .unwrap();
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

    /// Good notifications are taken, one after the other, until `slow` has ended.
    async fn serves_during<T>(&self, slow: impl Future<Output = T>) -> T {
        let tenant = TenantId::new("Good").unwrap();
        let good = async {
            while self.simulator.notify(ChangeType::BackupRestored, &tenant).await.unwrap() == 204 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            done = timeout(PATIENCE, slow) => done.expect("it ends by itself"),
            () = good => panic!("a good notification was not taken"),
        }
    }
}

/// The whole answer: ends when the server closes the connection.
async fn answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn trickling_body_is_408_at_the_deadline() {
    let world = World::new().await;
    let begin = Instant::now();
    let slow = async {
        let mut all = Vec::new();
        for _ in 0..50 {
            let (mut read, mut write) =
                world.connect("Content-Length: 1000\r\n").await.into_split();
            // Each byte arrives well within the deadline; all of them never would.
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
    for answer in world.serves_during(slow).await {
        assert_eq!(answer.unwrap(), "HTTP/1.1 408");
    }
    assert!(begin.elapsed() >= DEADLINE);
    assert_eq!(world.gate.snapshot().len(), 1, "the good one's tenant alone");
}

#[tokio::test]
async fn missing_body_is_408_and_closes_the_connection() {
    let world = World::new().await;
    let mut stream = world.connect("Content-Length: 10\r\n").await;
    let answer = world.serves_during(answer(&mut stream)).await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(answer.to_ascii_lowercase().contains("connection: close"), "{answer}");
}

#[tokio::test]
async fn endless_chunked_body_is_413_before_its_end() {
    let world = World::new().await;
    let (mut read, mut write) = world.connect("Transfer-Encoding: chunked\r\n").await.into_split();
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
    let (start, sent) = world.serves_during(slow).await;
    assert_eq!(start, "HTTP/1.1 413");
    // The kernel's buffers take some megabytes before anybody notices.
    assert!(sent < 64 << 20, "{sent} bytes were taken");
}

#[tokio::test]
async fn half_closed_connection_is_released() {
    let world = World::new().await;
    for (head, body) in [
        ("Content-Length: 100\r\n", "{\"ChangeType\":"),
        ("Transfer-Encoding: chunked\r\n", "4\r\n{   \r\n"),
        ("Content-Length: 100\r\n", ""),
    ] {
        let mut stream = world.connect(head).await;
        stream.write_all(body.as_bytes()).await.unwrap();
        stream.shutdown().await.unwrap();
        let answer = world.serves_during(answer(&mut stream)).await;
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    // Half closed after a whole notification: it counts, and it is answered.
    let tenant = TenantId::new("Half").unwrap();
    let body = world.simulator.notification(ChangeType::Suspend, &tenant).body();
    let mut stream = world.connect(&format!("Content-Length: {}\r\n", body.len())).await;
    stream.write_all(&body).await.unwrap();
    stream.shutdown().await.unwrap();
    let _ = world.serves_during(answer(&mut stream)).await;
    assert!(world.gate.check(&tenant).is_err());
}

#[tokio::test]
async fn unfinished_head_is_closed() {
    let world = World::new().await;
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(HEAD.as_bytes()).await.unwrap();
    let answer = world.serves_during(answer(&mut stream)).await;
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
}
