//! One connection, from its first byte to its end.

use std::{convert::Infallible, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::ConnectInfo,
    http::{Request, Response, StatusCode},
};
use hyper::service::service_fn;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use tokio::{net::TcpStream, sync::watch, time::sleep};
use tower::ServiceExt;

use super::{
    ListenerSettings,
    activity::{Activity, CountedBody, InFlight},
    content::Content,
    host,
    linger::Linger,
    slots::Slot,
    stalled::StallTimeout,
};
use crate::forward::problem;

/// Time for a connection to send a request's head, and to stay without a request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Time in which a peer has to read something of a response that is ready.
const STALL_TIMEOUT: Duration = Duration::from_secs(60);

/// Time that a connection which shuts down gracefully may stay without a request in flight.
const GRACE: Duration = Duration::from_secs(5);

/// Serves the connections of one listener.
#[derive(Clone)]
pub(super) struct Server {
    builder: auto::Builder<TokioExecutor>,
    app: Router,
    max_head: usize,
}

impl Server {
    pub(super) fn new(app: Router, settings: &ListenerSettings) -> Self {
        let mut builder = auto::Builder::new(TokioExecutor::new());
        let head = settings.max_head;
        // The time-outs do nothing without a timer.
        (builder.http1().timer(TokioTimer::new()))
            .header_read_timeout(IDLE_TIMEOUT)
            .half_close(settings.half_close)
            // Also what a response may leave unsent when it is complete.
            .max_buf_size(head);
        (builder.http2().timer(TokioTimer::new()))
            .keep_alive_interval(IDLE_TIMEOUT)
            .max_header_list_size(u32::try_from(head).unwrap_or(u32::MAX));
        Self { builder, app, max_head: head }
    }

    /// Serves `stream` until it ends, is idle for too long, or has to make room for another.
    pub(super) async fn serve(
        self,
        stream: TcpStream,
        client: SocketAddr,
        slot: Slot,
        mut stopped: watch::Receiver<()>,
    ) {
        let activity = &slot.activity;
        let service = service_fn(|request| {
            let mut request = request.map(|body| Content::new(body, Arc::clone(activity)));
            request.extensions_mut().insert(ConnectInfo(client));
            respond(self.app.clone(), self.max_head, activity.begin(), request)
        });
        let io = TokioIo::new(Linger::new(StallTimeout::new(stream), Arc::clone(activity)));
        let connection = self.builder.serve_connection(io, service);
        tokio::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = activity.evicted() => return tracing::debug!("idle connection closed for another"),
            () = activity.stalled_for(STALL_TIMEOUT) => {
                return tracing::debug!("connection closed, response not read");
            }
            // An HTTP/1 connection also has hyper's time-out; HTTP/2, and a connection that has not
            // said which of both it is, have this one alone.
            () = activity.idle_for(IDLE_TIMEOUT) => {
                connection.as_mut().graceful_shutdown();
                end(connection, activity).await
            }
            _ = stopped.changed() => {
                connection.as_mut().graceful_shutdown();
                end(connection, activity).await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(error, "connection ended early");
        }
    }
}

/// Waits for the end of a connection that shuts down gracefully, as long as it has requests in
/// flight.
async fn end<T>(
    connection: impl Future<Output = Result<(), T>>,
    activity: &Activity,
) -> Result<(), T> {
    let abandoned = async {
        sleep(GRACE).await;
        activity.idle_for(GRACE).await;
    };
    tokio::select! {
        ended = connection => ended,
        () = abandoned => Ok(()),
    }
}

/// Responds to one request, which is in flight until its response's body ends.
async fn respond(
    app: Router,
    max_head: usize,
    in_flight: InFlight,
    mut request: Request<Content>,
) -> Result<Response<CountedBody>, Infallible> {
    // hyper's own bound is on what it reads at once, and lets up to twice as much pass.
    let response = if head_size(&request) > max_head {
        let status = StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE;
        problem(status, "The head of the request is too large.")
    } else if let Err(detail) = host::settle(&mut request) {
        problem(StatusCode::BAD_REQUEST, detail)
    } else {
        app.oneshot(request).await?
    };
    Ok(response.map(|body| CountedBody::new(body, in_flight)))
}

/// The size of a request's head in HTTP/1.1, without its version.
fn head_size<B>(request: &Request<B>) -> usize {
    let uri = request.uri();
    let path = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
    let fields = request.headers().iter();
    fields
        .fold(path + authority, |size, (name, value)| size + name.as_str().len() + value.len() + 4)
}
