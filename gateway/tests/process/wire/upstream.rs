//! A tenant's server as a script over raw connections.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    time::timeout,
};

use super::peer::{STEP, find};
use crate::process::Gateway;

pub(crate) const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// A server whose connections each run `script`, with all requests' heads on record.
pub(crate) struct Upstream {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

/// A connection from the gateway.
pub(crate) struct Conversation {
    stream: TcpStream,
    buffer: Vec<u8>,
    heads: Arc<Mutex<Vec<String>>>,
    /// Number of the connection, from 0.
    pub(crate) number: usize,
}

impl Upstream {
    pub(crate) async fn start<F>(script: impl Fn(Conversation) -> F + Send + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let shared = Arc::clone(&heads);
        tokio::spawn(async move {
            for number in 0.. {
                let (stream, _) = listener.accept().await.unwrap();
                let heads = Arc::clone(&shared);
                tokio::spawn(script(Conversation { stream, buffer: Vec::new(), heads, number }));
            }
        });
        Self { address, heads }
    }

    /// Starts one that sends the same bytes in response to every request without a body.
    pub(crate) async fn responding(response: &'static str) -> Self {
        Self::start(move |mut conversation| async move {
            while conversation.head().await.is_some() {
                conversation.send(response).await;
            }
        })
        .await
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts a gateway that sends all calls here.
    pub(crate) async fn gateway(&self, more: &[&str]) -> Gateway {
        let upstream = self.url();
        let args = ["--listen", "127.0.0.1:0", "--base-url", "http://127.0.0.1:1"];
        let args = [&args[..], &["--any-audience", "--upstream", &upstream], more].concat();
        Gateway::start(&args).await
    }

    /// The heads of all requests that arrived.
    pub(crate) fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// The methods of all requests that arrived.
    pub(crate) fn methods(&self) -> Vec<String> {
        self.heads().iter().map(|head| head.split(' ').next().unwrap().to_owned()).collect()
    }
}

impl Conversation {
    /// Reads the head of the next request; `None` at the end of the connection.
    pub(crate) async fn head(&mut self) -> Option<String> {
        let end = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                break end;
            }
            if self.stream.read_buf(&mut self.buffer).await.unwrap_or(0) == 0 {
                return None;
            }
        };
        let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
        let head = String::from_utf8(head).unwrap();
        self.heads.lock().unwrap().push(head.clone());
        Some(head)
    }

    /// Reads bytes of a body until there are `length`; fewer at the end of the connection.
    pub(crate) async fn body(&mut self, length: usize) -> Vec<u8> {
        while self.buffer.len() < length {
            let read = timeout(STEP, self.stream.read_buf(&mut self.buffer)).await;
            if read.expect("the gateway sends or closes").unwrap_or(0) == 0 {
                break;
            }
        }
        let length = length.min(self.buffer.len());
        self.buffer.drain(..length).collect()
    }

    /// Reads a body, at most this many bytes for each pause.
    pub(crate) async fn slow_body(&mut self, length: usize, step: usize, pause: Duration) {
        let mut left = length - self.buffer.len();
        self.buffer.clear();
        while left > 0 {
            let mut chunk = vec![0; step.min(left)];
            self.stream.read_exact(&mut chunk).await.unwrap();
            left -= chunk.len();
            tokio::time::sleep(pause).await;
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        // The gateway may have given up on the call.
        let _ = self.stream.write_all(bytes.as_ref()).await;
    }

    /// Waits until the gateway closes the connection; what still came before that.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        self.body(usize::MAX).await
    }
}
