//! The HTTP servers: their connections, time-outs and shutdown.

mod listener;
mod middleware;
mod preface;
mod signals;

use std::time::Duration;

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::sync::watch;

pub(crate) use self::{listener::Listener, middleware::middleware, signals::Signals};
use crate::BoxError;

/// Time for a connection to send a request's head, and to stay idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// Time for requests in flight to end at shutdown.
const DRAIN: Duration = Duration::from_secs(25);

/// Serves until a signal arrives, then waits for the requests in flight.
pub(crate) async fn run(
    mut signals: Signals,
    servers: Vec<(Listener, Router)>,
) -> Result<(), BoxError> {
    let (stop, stopped) = watch::channel(());
    let servers: Vec<_> = (servers.into_iter())
        .map(|(listener, app)| tokio::spawn(serve(listener, app, stopped.clone())))
        .collect();
    signals.received().await;
    tracing::info!("draining");
    drop(stop);
    for server in servers {
        server.await?;
    }
    Ok(())
}

async fn serve(listener: Listener, app: Router, mut stopped: watch::Receiver<()>) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The time-out does nothing without a timer.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD_TIMEOUT);
    let connections = GracefulShutdown::new();
    loop {
        let stream = tokio::select! {
            stream = listener.accept() => stream,
            _ = stopped.changed() => break,
        };
        let (builder, app, watcher) = (builder.clone(), app.clone(), connections.watcher());
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            let known = tokio::select! {
                known = tokio::time::timeout(HEAD_TIMEOUT, preface::version_is_known(&stream)) => known,
                _ = stopped.changed() => return,
            };
            if !matches!(known, Ok(Ok(()))) {
                return;
            }
            let service = TowerToHyperService::new(app);
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(error, "connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::warn!("requests in flight cut off at shutdown");
    }
}
