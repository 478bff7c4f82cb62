//! A proxy that is one service: it serves the notification route, and sends every other request to
//! its tenant's host.
//!
//! ```sh
//! cargo run --example proxy --features simulator
//! ```
//!
//! It shows the gate as a layer, whose requests can be cloned: a call that a tenant's former host
//! misdirects is sent again. So it collects the bodies. For bodies that stream, put
//! `gate.notification_layer()` around `gate.client_layer().no_retry()`. `superoffice-gateway` does
//! what else a proxy has to, such as removing the headers of one connection.
#![allow(clippy::print_stdout)]

use std::{convert::Infallible, io};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, Uri, header};
use http_body_util::{BodyExt, Full, Limited, combinators::BoxBody};
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{ServiceBuilder, ServiceExt, service_fn};
use tower_superoffice::{
    ChangeType, GuardError, TenantGate, TenantId, TenantUnavailable, UnavailableReason,
    simulator::Simulator,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;
/// Has a `Default`, for the gate's empty responses.
type Body = BoxBody<Bytes, hyper::Error>;

/// The largest body of a request, in bytes.
const LARGEST: usize = 1024 * 1024;

/// Serves the notification route, and sends `/{tenant}/...` to the tenant. `origin` is the
/// environment's own: the gate replaces its host by the tenant's.
async fn serve(listener: TcpListener, gate: TenantGate, origin: Uri) -> io::Result<()> {
    let client = Client::builder(TokioExecutor::new()).build_http::<Full<Bytes>>();
    let proxy = ServiceBuilder::new()
        .map_request(move |request| to_origin(request, &origin))
        .layer(gate)
        .map_response(|response: Response<Incoming>| response.map(BodyExt::boxed))
        .service(client);
    // A server has no use for errors: they become responses.
    let app = service_fn(move |request: Request<Incoming>| {
        let proxy = proxy.clone();
        async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = Limited::new(body, LARGEST).collect().await else {
                return Ok::<_, Infallible>(empty(StatusCode::PAYLOAD_TOO_LARGE));
            };
            let request = Request::from_parts(parts, Full::from(body.to_bytes()));
            Ok(proxy.oneshot(request).await.unwrap_or_else(respond))
        }
    });
    loop {
        let (stream, _) = listener.accept().await?;
        let app = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), app);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection failed");
            }
        });
    }
}

/// Makes a request of a server, which has a path alone, one of a client.
fn to_origin<B>(mut request: Request<B>, origin: &Uri) -> Request<B> {
    let mut parts = origin.clone().into_parts();
    parts.path_and_query = request.uri().path_and_query().cloned();
    // Fails for `OPTIONS *` alone, which then has no tenant and no host.
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
    request.headers_mut().remove(header::HOST);
    request
}

fn respond<E: std::error::Error + 'static>(error: GuardError<E>) -> Response<Body> {
    let Some(closed) = TenantUnavailable::find(&error) else {
        return empty(StatusCode::BAD_GATEWAY);
    };
    let mut response = match closed.reason() {
        UnavailableReason::Deleted => empty(StatusCode::GONE),
        _ => empty(StatusCode::SERVICE_UNAVAILABLE),
    };
    if let Some(after) = closed.retry_after() {
        let seconds = HeaderValue::from(after.as_secs().max(1));
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}

fn empty(status: StatusCode) -> Response<Body> {
    let mut response = Response::<Body>::default();
    *response.status_mut() = status;
    response
}

/// Calls a tenant through the proxy while it is open, closed and open again.
#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let simulator = Simulator::start().await?;
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .build()
        .await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let origin: Uri = simulator.environment().origin().parse()?;
    tokio::spawn(serve(listener, gate, origin));
    simulator.notify_to(format!("http://{address}/NotifyCustomerStateChange").parse()?);

    let tenant = TenantId::new("Cust12345")?;
    let call = async || reqwest::get(format!("http://{address}/{tenant}/api/v1/Contact/7")).await;
    println!("a call:            {}", call().await?.status());
    println!("an Upgrade:        {}", simulator.notify(ChangeType::Upgrade, &tenant).await?);
    println!("a call:            {}", call().await?.status());
    println!("a Resume:          {}", simulator.notify(ChangeType::Resume, &tenant).await?);
    println!("a call:            {}", call().await?.status());
    println!("reached a tenant while closed: {}", simulator.calls_while_closed());
    Ok(())
}
