//! A client that writes and reads bytes, because a library would repair or refuse what is tested.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

use crate::process::Gateway;

/// Bound on any single step; none should come near it.
pub(crate) const STEP: Duration = Duration::from_secs(20);

pub(crate) struct Peer {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A response as it arrived.
#[derive(Debug)]
pub(crate) struct Received {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
    /// Whether the body ended where its framing said.
    pub(crate) complete: bool,
}

impl Received {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).expect("a status line").parse().unwrap()
    }

    /// The value of the one header with this lower-case name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// The value of the one header of `head` with this lower-case name.
pub(crate) fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let mut values = head.lines().filter_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    });
    let value = values.next();
    assert_eq!(values.next(), None, "{name} comes twice: {head}");
    value
}

impl Peer {
    pub(crate) async fn connect(gateway: &Gateway) -> Self {
        let address = gateway.url("/").authority().unwrap().to_string();
        Self::connect_to(&address).await
    }

    pub(crate) async fn connect_to(address: &str) -> Self {
        Self { stream: TcpStream::connect(address).await.unwrap(), buffer: Vec::new() }
    }

    pub(crate) fn into_stream(self) -> TcpStream {
        self.stream
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).await.unwrap();
    }

    /// Sends as `send` does, to a peer that may be gone.
    pub(crate) async fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        timeout(STEP, self.stream.write_all(bytes.as_ref())).await.expect("it reads")
    }

    /// Closes the sending side.
    pub(crate) async fn finish(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// Reads more bytes; 0 at the end of the connection.
    async fn fill(&mut self) -> usize {
        let read = timeout(STEP, self.stream.read_buf(&mut self.buffer)).await;
        // A reset is an end as well.
        read.expect("it sends or closes").unwrap_or(0)
    }

    /// Reads one response to a request with `method`.
    pub(crate) async fn receive(&mut self, method: &str) -> Received {
        let head = loop {
            if let Some(end) = find(&self.buffer, b"\r\n\r\n") {
                let head: Vec<u8> = self.buffer.drain(..end + 4).collect();
                break String::from_utf8(head).unwrap();
            }
            assert_ne!(self.fill().await, 0, "closed within a head: {:?}", self.buffer);
        };
        let status: u16 = head.split(' ').nth(1).unwrap().parse().unwrap();
        if (100..200).contains(&status) {
            return Box::pin(self.receive(method)).await;
        }
        let length = header(&head, "content-length").map(|length| length.parse().unwrap());
        let chunked = header(&head, "transfer-encoding").is_some();
        let (body, complete) = if method == "HEAD" || status == 204 || status == 304 {
            (Vec::new(), true)
        } else if chunked {
            self.chunks().await
        } else {
            self.exactly(length.unwrap_or(usize::MAX)).await
        };
        Received { head, body, complete }
    }

    /// Reads one line, without its end.
    pub(crate) async fn line(&mut self) -> String {
        loop {
            if let Some(end) = find(&self.buffer, b"\r\n") {
                let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
                return String::from_utf8(line).unwrap().trim_end().to_owned();
            }
            assert_ne!(self.fill().await, 0, "closed within a line: {:?}", self.buffer);
        }
    }

    /// Reads what is left of a response to a GET or POST whose status line was 200.
    pub(crate) async fn receive_rest(&mut self) -> Received {
        self.buffer.splice(..0, *b"HTTP/1.1 200 OK\r\n");
        self.receive("GET").await
    }

    async fn exactly(&mut self, length: usize) -> (Vec<u8>, bool) {
        while self.buffer.len() < length {
            if self.fill().await == 0 {
                return (std::mem::take(&mut self.buffer), length == usize::MAX);
            }
        }
        (self.buffer.drain(..length).collect(), true)
    }

    async fn chunks(&mut self) -> (Vec<u8>, bool) {
        let mut body = Vec::new();
        loop {
            let end = loop {
                if let Some(end) = find(&self.buffer, b"\r\n") {
                    break end;
                }
                if self.fill().await == 0 {
                    return (body, false);
                }
            };
            let line: Vec<u8> = self.buffer.drain(..end + 2).collect();
            let size = String::from_utf8(line).unwrap();
            let size = usize::from_str_radix(size.trim(), 16).unwrap();
            let (mut chunk, whole) = self.exactly(size + 2).await;
            chunk.truncate(size);
            body.extend(chunk);
            if size == 0 || !whole {
                return (body, whole);
            }
        }
    }

    /// Waits for the end of the connection; what still came before it.
    pub(crate) async fn closed(&mut self) -> Vec<u8> {
        while self.fill().await != 0 {}
        std::mem::take(&mut self.buffer)
    }

    /// Sends a request and reads its response.
    pub(crate) async fn call(&mut self, method: &str, path: &str, rest: &str) -> Received {
        self.send(format!("{method} {path} HTTP/1.1\r\nhost: gateway\r\n{rest}\r\n")).await;
        self.receive(method).await
    }
}

pub(crate) fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}
