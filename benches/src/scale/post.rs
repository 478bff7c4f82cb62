//! Posts notifications as fast as they are answered.
//!
//! A client library would use as much of the two cores as the gateway. This one writes a prepared
//! request and reads its answer, over connections that stay open.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::BoxError;

/// Requests as they go over the wire.
pub type Requests = Arc<Vec<Box<[u8]>>>;

/// The result of a burst.
pub struct Burst {
    pub took: Duration,
    /// Times from the first byte sent to the end of the answer, sorted.
    answers: Vec<Duration>,
}

impl Burst {
    pub fn per_second(&self) -> f64 {
        self.answers.len() as f64 / self.took.as_secs_f64()
    }

    /// Returns the time within which this fraction of all requests was answered.
    pub fn answered(&self, part: f64) -> Duration {
        let last = self.answers.len() - 1;
        self.answers[(last as f64 * part) as usize]
    }
}

/// Sends each request once; any answer but 204 is an error.
pub async fn post(
    address: SocketAddr,
    requests: &Requests,
    count: usize,
    connections: usize,
) -> Result<Burst, BoxError> {
    let mut sockets = Vec::new();
    for _ in 0..connections.min(count) {
        let socket = TcpStream::connect(address).await?;
        socket.set_nodelay(true)?;
        sockets.push(socket);
    }
    let next = Arc::new(AtomicUsize::new(0));
    let mut senders = JoinSet::new();
    let began = Instant::now();
    for socket in sockets {
        senders.spawn(send(socket, Arc::clone(requests), count, Arc::clone(&next)));
    }
    let mut answers = Vec::with_capacity(count);
    while let Some(sender) = senders.join_next().await {
        answers.extend(sender??);
    }
    let took = began.elapsed();
    answers.sort_unstable();
    Ok(Burst { took, answers })
}

async fn send(
    mut socket: TcpStream,
    requests: Requests,
    count: usize,
    next: Arc<AtomicUsize>,
) -> Result<Vec<Duration>, BoxError> {
    let mut answers = Vec::new();
    let mut head = Vec::with_capacity(1024);
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        let Some(request) = requests.get(number).filter(|_| number < count) else {
            return Ok(answers);
        };
        let sent = Instant::now();
        socket.write_all(request).await?;
        head.clear();
        // An answer to a notification has no body, so its head is all of it.
        while !head.ends_with(b"\r\n\r\n") {
            if socket.read_buf(&mut head).await? == 0 {
                return Err("the gateway closed a connection".into());
            }
        }
        if !head.starts_with(b"HTTP/1.1 204 ") {
            return Err(format!("notification {number}: {}", String::from_utf8_lossy(&head)).into());
        }
        answers.push(sent.elapsed());
    }
}
