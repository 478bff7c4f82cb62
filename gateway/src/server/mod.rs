//! The HTTP servers: their connections, time-outs and shutdown.

mod activity;
mod connection;
mod draining;
pub(crate) mod file_limit;
mod listener;
mod middleware;
mod signals;
mod slots;
mod stalled;

use axum::Router;
use tokio::{sync::watch, time::Instant};
use tower_superoffice::TenantGate;

use self::{connection::Server, slots::Slots};
pub(crate) use self::{
    draining::Draining, listener::Listener, middleware::middleware, signals::Signals,
};
use crate::BoxError;

/// The largest head of a request, in bytes, on a listener that anyone may reach.
pub(crate) const PUBLIC_HEAD: usize = 32 * 1024;

/// The largest head of a request, in bytes, on a listener that only services reach.
pub(crate) const INTERNAL_HEAD: usize = 64 * 1024;

/// What a listener allows its clients.
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

/// Serves until a signal arrives, then waits for the requests in flight and ends `gate`.
pub(crate) async fn run(
    mut signals: Signals,
    draining: Draining,
    gate: TenantGate,
    servers: Vec<(Listener, Router, ListenerSettings)>,
) -> Result<(), BoxError> {
    let (stop, stopped) = watch::channel(());
    let servers: Vec<_> = (servers.into_iter())
        .map(|(listener, app, settings)| {
            tokio::spawn(serve(listener, app, settings, stopped.clone()))
        })
        .collect();
    signals.received().await;
    let received = Instant::now();
    tracing::info!("draining");
    draining.announce().await;
    drop(stop);
    let drained = async {
        for server in servers {
            if let Err(error) = server.await {
                tracing::error!(%error, "listener ended");
            }
        }
    };
    draining::end(gate, drained, received).await;
    Ok(())
}

async fn serve(
    listener: Listener,
    app: Router,
    settings: ListenerSettings,
    mut stopped: watch::Receiver<()>,
) {
    let server = Server::new(app, &settings);
    let slots = Slots::new(settings.max_connections);
    loop {
        let accepted = async {
            let slot = slots.acquire().await;
            (listener.accept().await, slot)
        };
        let (stream, slot) = tokio::select! {
            accepted = accepted => accepted,
            _ = stopped.changed() => break,
        };
        tokio::spawn(server.clone().serve(stream, slot, stopped.clone()));
    }
    drop(listener);
    slots.all_free().await;
}
