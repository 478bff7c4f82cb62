//! The HTTP client for tenants.

use std::{
    error::Error,
    fmt, io,
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

/// Time that an unused connection is kept. IIS keeps its side for two minutes.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);

/// Sends requests to tenants over connections that it keeps.
///
/// A tenant may close a kept connection at the moment a request goes out on it, and it can't be
/// known whether the request was processed. GET, HEAD and OPTIONS without content are repeated
/// once, on a fresh connection; all others fail.
#[derive(Clone)]
pub(super) struct TenantClient {
    pooled: Client<Connector, Body>,
    /// Opens a connection for each request.
    fresh: Client<Connector, Body>,
}

impl TenantClient {
    /// Creates the client, which trusts `authorities`, in PEM, besides the public ones.
    pub(super) fn new(authorities: Option<&[u8]>) -> Result<Self, BoxError> {
        let connector = connector(authorities)?;
        let mut builder = Client::builder(TokioExecutor::new());
        builder.http1_max_buf_size(BUFFER);
        // RFC 9112, section 5.1: a proxy takes the space out of a response.
        builder.http1_allow_spaces_after_header_name_in_responses(true);
        let fresh = builder.clone().pool_max_idle_per_host(0).build(connector.clone());
        // Without the timer an unused connection is closed only when its host is called again.
        let pooled =
            builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE_TIMEOUT).build(connector);
        Ok(Self { pooled, fresh })
    }

    async fn send(self, request: Request<Body>) -> Result<Response<Incoming>, CallError> {
        let method = request.method().clone();
        let repetition = repetition(&request);
        let (sent, connection) = send_on(&self.pooled, request).await;
        let (sent, connection) = match (sent, repetition) {
            (Err(error), Some(request)) if is_closed_reuse(&error) => {
                tracing::debug!("kept connection closed by the tenant, call repeated");
                send_on(&self.fresh, request).await
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
    /// The end of the response can't be told for sure.
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
