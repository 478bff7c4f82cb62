//! The servers: connections, their time-outs, and the end.

use std::{io, net::SocketAddr, time::Duration};

use axum::{
    Router,
    http::{StatusCode, header},
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto, graceful::GracefulShutdown},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
};
use tower::ServiceBuilder;
use tower_http::{
    catch_panic::CatchPanicLayer,
    sensitive_headers::SetSensitiveRequestHeadersLayer,
    trace::{DefaultOnFailure, TraceLayer},
};

use crate::BoxError;

/// How long a connection may take to send a request's head, and how long it may stay idle.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);

/// How long calls under way may take to end after the gateway was told to.
const DRAIN: Duration = Duration::from_secs(25);

pub(crate) struct Listener {
    inner: TcpListener,
    address: SocketAddr,
}

impl Listener {
    pub(crate) async fn bind(address: SocketAddr) -> Result<Self, BoxError> {
        let inner = TcpListener::bind(address)
            .await
            .map_err(|error| format!("can't listen on {address}: {error}"))?;
        Ok(Self { address: inner.local_addr()?, inner })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// What every route is wrapped in.
pub(crate) fn finish(app: Router) -> Router {
    let secrets =
        [header::AUTHORIZATION, header::COOKIE, header::HeaderName::from_static("so-apptoken")];
    app.layer(
        ServiceBuilder::new()
            .layer(SetSensitiveRequestHeadersLayer::new(secrets))
            // A closed tenant is a 503, and no error of this program.
            .layer(
                TraceLayer::new_for_http()
                    .on_failure(DefaultOnFailure::new().level(tracing::Level::DEBUG)),
            )
            .layer(CatchPanicLayer::custom(|_: Box<dyn std::any::Any + Send>| {
                let mut response = axum::response::Response::new(axum::body::Body::empty());
                *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                response
            })),
    )
}

/// SIGTERM and interrupts, from the moment this is made: whoever was told that the gateway is ready may
/// end it at once.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(crate) fn new() -> io::Result<Self> {
        let [terminate, interrupt] = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
        Ok(Self { terminate: terminate?, interrupt: interrupt? })
    }

    /// Waits for one.
    pub(crate) async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Serves until a signal comes, then lets what is under way end.
pub(crate) async fn until_told(
    mut signals: Signals,
    servers: Vec<(Listener, Router)>,
) -> Result<(), BoxError> {
    let (stop, stopped) = watch::channel(());
    let servers: Vec<_> = (servers.into_iter())
        .map(|(listener, app)| tokio::spawn(serve(listener, app, stopped.clone())))
        .collect();
    signals.told().await;
    tracing::info!("draining");
    drop(stop);
    for server in servers {
        server.await?;
    }
    Ok(())
}

async fn serve(listener: Listener, app: Router, mut stopped: watch::Receiver<()>) {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    // The time-out does nothing without the timer.
    builder.http1().timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT);
    builder.http2().timer(TokioTimer::new()).keep_alive_interval(HEAD_TIMEOUT);
    let connections = GracefulShutdown::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.inner.accept() => accepted,
            _ = stopped.changed() => break,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Out of file descriptors, most likely: those that close make room.
                if !is_of_the_connection(&error) {
                    tracing::warn!(%error, "can't accept connections");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                continue;
            }
        };
        let (builder, app, watcher) = (builder.clone(), app.clone(), connections.watcher());
        let mut stopped = stopped.clone();
        tokio::spawn(async move {
            let spoke = tokio::select! {
                spoke = tokio::time::timeout(HEAD_TIMEOUT, speaks(&stream)) => spoke,
                _ = stopped.changed() => return,
            };
            if !matches!(spoke, Ok(Ok(()))) {
                return;
            }
            let service = TowerToHyperService::new(app);
            let connection = builder.serve_connection(TokioIo::new(stream), service).into_owned();
            if let Err(error) = watcher.watch(connection).await {
                tracing::debug!(error, "a connection ended early");
            }
        });
    }
    drop(listener);
    if tokio::time::timeout(DRAIN, connections.shutdown()).await.is_err() {
        tracing::warn!("calls were still under way when the time to drain was over");
    }
}

/// Waits until a connection has said which version of HTTP it speaks, or has ended.
///
/// hyper-util waits for that without any time-out, which starts with the version: whoever connects
/// and says nothing would stay for good. A connection that waits here costs a task and a socket.
async fn speaks(stream: &TcpStream) -> io::Result<()> {
    const HTTP_2: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
    let mut start = [0; HTTP_2.len()];
    let mut pause = Duration::from_millis(5);
    loop {
        let length = stream.peek(&mut start).await?;
        let start = start.get(..length).unwrap_or_default();
        // Nothing at all is the end of the connection.
        if start.is_empty() || start == HTTP_2 || !HTTP_2.starts_with(start) {
            return Ok(());
        }
        // Peeking again shows the same at once. The pauses grow, or those who dribble would cost more
        // than those who send.
        tokio::time::sleep(pause).await;
        pause *= 2;
    }
}

fn is_of_the_connection(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset)
}
