//! The hosts: one listener each, on loopback.

use std::{io, sync::Arc, time::Duration};

use http::Uri;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
};

use super::{routes, state::SimulatorState};

/// Time-out of the head of a request.
const HEADER_TIMEOUT: Duration = Duration::from_secs(30);

/// Pause after the system could not accept a connection, usually for want of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A listener and the origin it serves.
#[derive(Debug)]
pub(super) struct Host {
    listener: TcpListener,
    pub(super) origin: Uri,
}

impl Host {
    /// Listens on a port of 127.0.0.1; 0 is a free one.
    pub(super) async fn bind(port: u16) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await?;
        let origin = format!("http://{}", listener.local_addr()?);
        let origin = origin.parse().map_err(io::Error::other)?;
        Ok(Self { listener, origin })
    }
}

/// The tasks that serve the hosts. They end, with every connection, when this is dropped.
#[derive(Debug, Default)]
pub(super) struct Servers(Vec<AbortHandle>);

impl Servers {
    pub(super) fn serve(hosts: Vec<Host>, simulator: &Arc<SimulatorState>) -> Self {
        let serve = |(index, host): (usize, Host)| {
            tokio::spawn(accept(host.listener, index, Arc::clone(simulator))).abort_handle()
        };
        Self(hosts.into_iter().enumerate().map(serve).collect())
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for server in &self.0 {
            server.abort();
        }
    }
}

/// Serves connections until it is aborted; the set of connections goes with it.
async fn accept(listener: TcpListener, host: usize, simulator: Arc<SimulatorState>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => _ = connections.spawn(serve(stream, host, Arc::clone(&simulator))),
                Err(error) => {
                    tracing::debug!(%error, "simulator accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, host: usize, simulator: Arc<SimulatorState>) {
    // Small answers are sent at once; where this can't be set they are slower, and still right.
    _ = stream.set_nodelay(true);
    let service = service_fn(|request| routes::answer(&simulator, host, request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "simulator connection failed");
    }
}
