//! A network between a client and a server that can fail.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
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
}

/// A listener on loopback that forwards to a port, as far as the network lets it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    network: watch::Sender<Network>,
}

impl Proxy {
    /// Starts a proxy to `port` on 127.0.0.1, with the network up.
    pub async fn start(port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has a free port");
        let address = listener.local_addr().expect("a listener has an address");
        let network = watch::Sender::new(Network::Up);
        let seen = network.subscribe();
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let mut seen = seen.clone();
                // A connection accepted now is not an existing one.
                let now = *seen.borrow_and_update();
                if now == Network::Cut {
                    continue;
                }
                tokio::spawn(async move {
                    if matches!(now, Network::Silent | Network::NewSilent) {
                        // Such a connection stays silent until the network changes.
                        let _ = seen.wait_for(|network| *network != now).await;
                        return;
                    }
                    if now == Network::NewSlow {
                        tokio::time::sleep(Duration::from_millis(500)).await;
                    }
                    let Ok(server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
                    let (from_client, to_client) = client.into_split();
                    let (from_server, to_server) = server.into_split();
                    let there = forward(from_client, to_server, seen.clone());
                    let back = forward(from_server, to_client, seen);
                    tokio::join!(there, back);
                });
            }
        });
        Self { address, network }
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

async fn forward(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
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
                    if to.write_all(&buffer[..length]).await.is_err() {
                        return;
                    }
                }
                _ => return,
            },
        }
    }
}
