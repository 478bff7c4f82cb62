//! A listening socket and the connections that it accepts.

use std::{io, net::SocketAddr, time::Duration};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use crate::{BoxError, log::Limit};

/// Pause after a failure to accept, for connections to end and free their file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Connections that may wait to be accepted, as far as the system allows. The system drops others,
/// whose clients try again after 1 s, 3 s, 7 s: many silent connections would keep a notification
/// out for longer than its sender waits.
const BACKLOG: u32 = 4096;

static FAILURES: Limit = Limit::per_minute(6);

/// A bound socket.
pub(crate) struct Listener {
    inner: TcpListener,
    address: SocketAddr,
}

impl Listener {
    pub(crate) fn bind(address: SocketAddr) -> Result<Self, BoxError> {
        let inner =
            listen(address).map_err(|error| format!("can't listen on {address}: {error}"))?;
        Ok(Self { address: inner.local_addr()?, inner })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the next connection and the address of its client. Safe to cancel.
    pub(super) async fn accept(&self) -> (TcpStream, SocketAddr) {
        loop {
            match self.inner.accept().await {
                Ok(accepted) => return accepted,
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    if let Some(suppressed) = FAILURES.pass() {
                        tracing::warn!(%error, suppressed, "accept failed");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // For a restart while connections of the last process linger. Elsewhere it would let another
    // process take the port.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Whether `error` ended the connection that was about to be accepted, and no other.
fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
