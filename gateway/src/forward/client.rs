//! The HTTP client for tenants.

use std::{
    error::Error,
    fmt, io,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, HttpBody},
    http::{Extensions, Method, Request, Response},
};
use futures::{FutureExt, future::BoxFuture};
use hyper::body::Incoming;
use hyper_util::{
    client::legacy::{
        self, Client,
        connect::{CaptureConnection, capture_connection},
    },
    rt::{TokioExecutor, TokioTimer},
};
use tower::Service;

use super::{
    connector::{Connector, Used, connector},
    framing::{self, InvalidFraming},
};
use crate::BoxError;

/// Bound on the bytes of a message that wait for the connection; a response's head must fit in it.
const BUFFER: usize = 64 * 1024;

/// Unused connections that are kept to each host, on which many tenants may be. Calls beyond it
/// open a connection each, at several times the price.
const MAX_IDLE: usize = 512;

/// Time that an unused connection is kept, at least; at most twice as long. IIS keeps its side for
/// two minutes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends requests to tenants over connections that it keeps.
///
/// A tenant may close a kept connection at the moment a request goes out on it, and it can't be
/// known whether the request was processed. GET, HEAD and OPTIONS without content are repeated
/// once, on a fresh connection; all others fail.
#[derive(Clone)]
pub(super) struct TenantClient(Arc<Clients>);

struct Clients {
    pooled: Client<Connector, Body>,
    /// Opens a connection for each request.
    fresh: Client<Connector, Body>,
}

impl TenantClient {
    /// Creates the client, which trusts `authorities`, in PEM, besides the public ones.
    pub(super) fn new(authorities: Option<&[u8]>) -> Result<Self, BoxError> {
        Self::with_idle_timeout(authorities, IDLE_TIMEOUT)
    }

    fn with_idle_timeout(
        authorities: Option<&[u8]>,
        idle_timeout: Duration,
    ) -> Result<Self, BoxError> {
        let connector = connector(authorities)?;
        let mut builder = Client::builder(TokioExecutor::new());
        builder.http1_max_buf_size(BUFFER);
        // RFC 9112, section 5.1: a proxy takes the space out of a response.
        builder.http1_allow_spaces_after_header_name_in_responses(true);
        let fresh = builder.clone().pool_max_idle_per_host(0).build(connector.clone());
        // Without the timer an unused connection is closed only when its host is called again.
        let pooled = builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(idle_timeout)
            .pool_max_idle_per_host(MAX_IDLE)
            .build(connector);
        Ok(Self(Arc::new(Clients { pooled, fresh })))
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Incoming>, CallError> {
        let method = request.method().clone();
        let repetition = repetition(&request);
        let (sent, connection) = send_on(&self.0.pooled, request).await;
        let (sent, connection) = match (sent, repetition) {
            (Err(error), Some(request)) if is_closed_reuse(&error) => {
                tracing::debug!("kept connection closed by the tenant, call repeated");
                send_on(&self.0.fresh, request).await
            }
            (sent, _) => (sent, connection),
        };
        let response = sent?;
        if let Some(used) = response.extensions().get::<Used>() {
            used.set();
        }
        if let Err(invalid) = framing::check_response(&method, &response) {
            // Bytes that belong to no response, or to another, may follow.
            if let Some(connection) = &*connection.connection_metadata() {
                connection.poison();
            }
            return Err(invalid.into());
        }
        Ok(response)
    }
}

impl Service<Request<Body>> for TenantClient {
    type Response = Response<Incoming>;
    type Error = CallError;
    type Future = BoxFuture<'static, Result<Response<Incoming>, CallError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), CallError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.clone().send(request).boxed()
    }
}

async fn send_on(
    client: &Client<Connector, Body>,
    mut request: Request<Body>,
) -> (Result<Response<Incoming>, legacy::Error>, CaptureConnection) {
    let connection = capture_connection(&mut request);
    (client.request(request).await, connection)
}

/// Copies `request` if it may be sent twice.
fn repetition(request: &Request<Body>) -> Option<Request<Body>> {
    let safe = [Method::GET, Method::HEAD, Method::OPTIONS].contains(request.method());
    if !safe || !request.body().is_end_stream() {
        return None;
    }
    let mut copy = Request::new(Body::empty());
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    Some(copy)
}

/// Whether a connection that had been used before was closed instead of a response.
fn is_closed_reuse(error: &legacy::Error) -> bool {
    let mut extensions = Extensions::new();
    if let Some(connection) = error.connect_info() {
        connection.get_extras(&mut extensions);
    }
    extensions.get::<Used>().is_some_and(Used::is_set)
        && error.source().and_then(|source| source.downcast_ref()).is_some_and(is_closed)
}

fn is_closed(error: &hyper::Error) -> bool {
    use io::ErrorKind::{
        BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof,
    };
    let io = error.source().and_then(|source| source.downcast_ref::<io::Error>());
    error.is_incomplete_message()
        || error.is_canceled()
        || error.is_closed()
        || io.is_some_and(|io| {
            [BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof]
                .contains(&io.kind())
        })
}

/// Why a call got no response that could be used.
#[derive(Debug)]
pub(super) enum CallError {
    /// The connection, TLS or HTTP failed.
    Client(legacy::Error),
    /// The end of the response is uncertain.
    Framing(InvalidFraming),
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Client(error) => error.fmt(f),
            Self::Framing(error) => error.fmt(f),
        }
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Client(error) => error.source(),
            Self::Framing(error) => error.source(),
        }
    }
}

impl From<legacy::Error> for CallError {
    fn from(error: legacy::Error) -> Self {
        Self::Client(error)
    }
}

impl From<InvalidFraming> for CallError {
    fn from(error: InvalidFraming) -> Self {
        Self::Framing(error)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::atomic::{AtomicUsize, Ordering::SeqCst},
    };

    use futures::future::join_all;
    use http_body_util::BodyExt;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
        time::sleep,
    };

    use super::*;

    /// A server that responds to a call once `together` connections wait for it; and the number of
    /// connections that are open.
    async fn server(together: usize) -> (SocketAddr, Arc<AtomicUsize>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let open = Arc::new(AtomicUsize::new(0));
        let barrier = Arc::new(tokio::sync::Barrier::new(together));
        let counted = Arc::clone(&open);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let (open, barrier) = (Arc::clone(&counted), Arc::clone(&barrier));
                open.fetch_add(1, SeqCst);
                tokio::spawn(async move {
                    let mut bytes = [0; 4096];
                    let mut waited = false;
                    while let Ok(1..) = stream.read(&mut bytes).await {
                        if !std::mem::replace(&mut waited, true) {
                            barrier.wait().await;
                        }
                        let ok = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
                        stream.write_all(ok).await.unwrap();
                    }
                    open.fetch_sub(1, SeqCst);
                });
            }
        });
        (address, open)
    }

    async fn call(client: &TenantClient, address: SocketAddr) {
        let request = Request::get(format!("http://{address}/")).body(Body::empty()).unwrap();
        let response = client.clone().send(request).await.unwrap();
        response.into_body().collect().await.unwrap();
    }

    async fn wait_for(open: &AtomicUsize, number: usize) {
        let reached = async {
            while open.load(SeqCst) != number {
                sleep(Duration::from_millis(5)).await;
            }
        };
        let reached = tokio::time::timeout(Duration::from_secs(20), reached).await;
        assert!(reached.is_ok(), "{} open, not {number}", open.load(SeqCst));
    }

    #[tokio::test]
    async fn unused_connection_is_closed_without_another_call() {
        let (address, open) = server(1).await;
        let client = TenantClient::with_idle_timeout(None, Duration::from_millis(100)).unwrap();
        call(&client, address).await;
        wait_for(&open, 0).await;
    }

    #[tokio::test]
    async fn unused_connections_to_a_host_are_bounded() {
        const CALLS: usize = MAX_IDLE + 40;
        let (address, open) = server(CALLS).await;
        let client = TenantClient::new(None).unwrap();
        join_all((0..CALLS).map(|_| call(&client, address))).await;
        wait_for(&open, MAX_IDLE).await;
    }
}
