//! The HTTP servers: their connections, time-outs and shutdown.

mod activity;
mod connection;
mod content;
mod draining;
pub(crate) mod file_limit;
mod host;
mod linger;
mod listener;
mod middleware;
mod own_address;
mod signals;
mod slots;
mod stalled;

use axum::Router;
use tokio::{sync::watch, time::Instant};

use self::{connection::Server, slots::Slots};
pub(crate) use self::{
    draining::Draining, listener::Listener, own_address::is_own, signals::Signals,
};
use crate::{
    BoxError,
    metrics::{Connections, Metrics},
    served::Served,
    supervisor,
};

/// The largest head of a request, in bytes, on the public listener.
pub(crate) const PUBLIC_HEAD: usize = 32 * 1024;

/// The largest head of a request, in bytes, on the internal listener.
pub(crate) const INTERNAL_HEAD: usize = 64 * 1024;

/// Limits that a listener sets its clients.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ListenerSettings {
    /// Connections at a time.
    pub(crate) max_connections: usize,
    /// Size of a request's head, in bytes.
    pub(crate) max_head: usize,
    /// Whether a client that closes its sending side still gets its response. A client that is gone
    /// looks the same, so its calls go on.
    pub(crate) half_close: bool,
}

/// Serves until a signal arrives, then waits for the requests in flight and ends the gates. The
/// first of `servers` is the public one.
pub(crate) async fn run(
    mut signals: Signals,
    draining: Draining,
    served: Served,
    metrics: &Metrics,
    servers: Vec<(Listener, Router, ListenerSettings)>,
) -> Result<(), BoxError> {
    let (stop, stopped) = watch::channel(());
    let servers: Vec<_> = (servers.into_iter().zip(["public", "internal"]))
        .map(|((listener, app, settings), name)| {
            let connections = metrics.connections(name);
            tokio::spawn(serve(listener, app, settings, connections, stopped.clone()))
        })
        .collect();
    signals.received().await;
    let received = Instant::now();
    tracing::info!("draining");
    supervisor::report_stopping();
    draining.announce().await;
    drop(stop);
    let drained = async {
        for server in servers {
            if let Err(error) = server.await {
                tracing::error!(%error, "listener ended");
            }
        }
    };
    draining::end(served, drained, received).await;
    Ok(())
}

async fn serve(
    listener: Listener,
    app: Router,
    settings: ListenerSettings,
    connections: Connections,
    mut stopped: watch::Receiver<()>,
) {
    let server = Server::new(middleware::middleware(app), &settings);
    let slots = Slots::new(settings.max_connections);
    loop {
        let accepted = async {
            let slot = slots.acquire().await;
            (listener.accept().await, slot.take())
        };
        let ((stream, client), slot) = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped.changed() => break,
        };
        let served = server.clone().serve(stream, client, slot, stopped.clone());
        tokio::spawn(connections.clone().count(served));
    }
    drop(listener);
    slots.all_free().await;
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };

    use super::*;

    /// Longer than any time-out of a connection.
    const QUIET: std::time::Duration = std::time::Duration::from_secs(300);

    #[tokio::test]
    async fn connection_after_a_quiet_time_is_served() {
        let listener = Listener::bind(([127, 0, 0, 1], 0).into()).unwrap();
        let address = listener.address();
        let settings =
            ListenerSettings { max_connections: 8, max_head: PUBLIC_HEAD, half_close: false };
        let app = Router::new().route("/", get("served"));
        let (_stop, stopped) = watch::channel(());
        let connections = Metrics::new(|| {}).connections("public");
        tokio::spawn(serve(listener, app, settings, connections, stopped));
        // Whether a connection is lost may be a matter of luck.
        for _ in 0..20 {
            // The listener begins to wait.
            tokio::task::yield_now().await;
            tokio::time::pause();
            tokio::time::advance(QUIET).await;
            tokio::time::resume();
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream
                .write_all(b"GET / HTTP/1.1\r\nhost: g\r\nconnection: close\r\n\r\n")
                .await
                .unwrap();
            let mut response = String::new();
            stream.read_to_string(&mut response).await.unwrap();
            assert!(response.starts_with("HTTP/1.1 200"), "{response}");
            assert!(response.ends_with("served"), "{response}");
        }
    }
}
