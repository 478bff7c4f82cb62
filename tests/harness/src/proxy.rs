//! A network between a client and a server that can fail.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU16, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{mpsc, watch},
    time::Instant,
};

/// The state of the network, which decides what happens to connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Everything is forwarded.
    Up,
    /// Connections break and new ones are refused.
    Cut,
    /// Bytes are dropped, on existing connections and on new ones; none is closed.
    Silent,
    /// Existing connections are silent; new ones work.
    OldSilent,
    /// Existing connections work; new ones do so after half a second.
    NewSlow,
    /// Existing connections work; new ones are silent.
    NewSilent,
    /// The server of new connections is far away: each byte takes this long in each direction, and
    /// so do the two of the handshake of TCP.
    Far(Duration),
}

/// A listener on loopback that forwards to a port, as far as the network lets it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
    target: Arc<AtomicU16>,
}

impl Proxy {
    /// Starts a proxy to `port` on 127.0.0.1, with the network up.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let network = watch::Sender::new(Network::Up);
        let seen = network.subscribe();
        let target = Arc::new(AtomicU16::new(port));
        let current = Arc::clone(&target);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut seen = seen.clone();
                // A connection accepted now is not an existing one.
                let now = *seen.borrow_and_update();
                if now == Network::Cut {
                    continue;
                }
                let port = current.load(Ordering::Relaxed);
                tokio::spawn(async move {
                    if matches!(now, Network::Silent | Network::NewSilent) {
                        // Such a connection stays silent until the network changes.
                        let _ = seen.wait_for(|network| *network != now).await;
                        return;
                    }
                    if now == Network::NewSlow {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                    let delay = match now {
                        Network::Far(delay) => delay,
                        _ => Duration::ZERO,
                    };
                    tokio::time::sleep(delay * 2).await;
                    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    let (to_server, server_line) = delayed(to_server, delay);
                    let (to_client, client_line) = delayed(to_client, delay);
                    let there = forward(from_client, to_server, seen.clone());
                    let back = forward(from_server, to_client, seen);
                    tokio::join!(there, back, server_line, client_line);
                });
            }
        });
        Self { address, network, target }
    }

    /// Forwards new connections to `port`. Existing ones stay.
    pub fn forward_to(&self, port: u16) {
        self.target.store(port, Ordering::Relaxed);
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Changes the network.
    pub fn set(&self, network: Network) {
        self.network.send_replace(network);
    }

    /// The URL of a Redis server behind the proxy.
    pub fn url(&self) -> String {
        format!("redis://{}/0", self.address)
    }
}

/// A line on which bytes travel for `delay`: the end to send on, and its work.
fn delayed(
    mut to: OwnedWriteHalf,
    delay: Duration,
) -> (mpsc::Sender<Vec<u8>>, impl Future<Output = ()>) {
    let (tx, mut rx) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    let (line, mut given) = mpsc::channel::<Vec<u8>>(1);
    let stamp = async move {
        while let Some(bytes) = given.recv().await {
            if tx.send((Instant::now() + delay, bytes)).await.is_err() {
                return;
            }
        }
    };
    let deliver = async move {
        while let Some((due, bytes)) = rx.recv().await {
            tokio::time::sleep_until(due).await;
            if to.write_all(&bytes).await.is_err() {
                return;
            }
        }
    };
    let work = async move {
        tokio::join!(stamp, deliver);
    };
    (line, work)
}

async fn forward(
    mut from: OwnedReadHalf,
    to: mpsc::Sender<Vec<u8>>,
    mut seen: watch::Receiver<Network>,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        tokio::select! {
            changed = seen.changed() => {
                let now = *seen.borrow_and_update();
                if changed.is_err() || now == Network::Cut {
                    return;
                }
                if matches!(now, Network::Silent | Network::OldSilent) {
                    // Nothing sent after the silence may arrive: bytes before it are missing.
                    let _ = seen.wait_for(|network| *network == Network::Cut).await;
                    return;
                }
            }
            read = from.read(&mut buffer) => match read {
                Ok(length) if length > 0 => {
                    if to.send(buffer[..length].to_vec()).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
