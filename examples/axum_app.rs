//! An axum app that receives SuperOffice's notifications and calls tenants.
//!
//! ```sh
//! cargo run --example axum_app --features reqwest,simulator    # runs against a simulator and exits
//! cargo run --example axum_app --features reqwest,simulator -- production MY-APPLICATION-ID    # serves on port 8080
//! ```
#![allow(clippy::print_stdout)]

use std::{io, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::{Path, State},
    http::{HeaderName, Method, StatusCode, header},
    response::Response,
    routing::get,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{Layer, ServiceBuilder, ServiceExt};
use tower_http::{
    catch_panic::CatchPanicLayer,
    sensitive_headers::SetSensitiveRequestHeadersLayer,
    timeout::TimeoutLayer,
    trace::{DefaultOnFailure, TraceLayer},
};
use tower_superoffice::{
    Environment, GuardError, TenantGate, TenantId, client::Client, simulator::Simulator,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[derive(Clone)]
struct App {
    /// A client that follows tenants to their host, and refuses calls to closed ones.
    tenants: Client<reqwest::Client>,
    /// Scheme and host of the tenants.
    origin: String,
}

fn app(gate: &TenantGate) -> Result<Router, BoxError> {
    // A redirect would be followed below the guard, which would not see it.
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    let tenants = gate.client_layer().layer(client);
    let app = App { tenants, origin: gate.environment().origin() };

    let secrets = [header::AUTHORIZATION, HeaderName::from_static("so-apptoken")];
    Ok(Router::new()
        .route("/contacts/{tenant}/{id}", get(contact))
        .with_state(app)
        .route_service("/NotifyCustomerStateChange", gate.notification_service())
        .layer(
            ServiceBuilder::new()
                .layer(SetSensitiveRequestHeadersLayer::new(secrets))
                // A 503 for a closed tenant is no failure of this app: do not log it as an error.
                .layer(
                    TraceLayer::new_for_http()
                        .on_failure(DefaultOnFailure::new().level(tracing::Level::DEBUG)),
                )
                .layer(CatchPanicLayer::new())
                .layer(TimeoutLayer::with_status_code(
                    StatusCode::GATEWAY_TIMEOUT,
                    Duration::from_secs(30),
                )),
        ))
}

/// Fetches a contact from its tenant. A closed tenant is a 503 (410 when it is deleted) that says
/// when to retry.
async fn contact(
    State(app): State<App>,
    Path((tenant, id)): Path<(TenantId, u32)>,
) -> Result<Response, StatusCode> {
    let url = format!("{}/{tenant}/api/v1/Contact/{id}", app.origin);
    let url = url.parse().map_err(|_| StatusCode::BAD_REQUEST)?;
    match app.tenants.oneshot(reqwest::Request::new(Method::GET, url)).await {
        Ok(answer) => Ok(http::Response::from(answer).map(Body::new)),
        Err(GuardError::Unavailable(closed)) => Ok(closed.to_response().map(Body::from)),
        Err(GuardError::Inner(_)) => Err(StatusCode::BAD_GATEWAY),
    }
}

/// Serves like `axum::serve`, with a limit on the time a connection may take to send its request
/// head.
async fn serve(listener: TcpListener, app: Router) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let app = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let mut server = auto::Builder::new(TokioExecutor::new());
            // Without a timer hyper ignores the time-out.
            server.http1().timer(TokioTimer::new()).header_read_timeout(Duration::from_secs(20));
            if let Err(error) = server.serve_connection(TokioIo::new(stream), app).await {
                tracing::debug!(error, "connection failed");
            }
        });
    }
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let environment = match arguments.first().map(String::as_str) {
        None => return run_against_simulator().await,
        Some("sod") => Environment::Sod,
        Some("stage") => Environment::Stage,
        Some("production") => Environment::Production,
        Some(_) => return Err("unknown environment: give sod, stage or production".into()),
    };
    let audience =
        arguments.get(1).ok_or("missing application id: give it after the environment")?;
    let gate = TenantGate::builder(environment).audience(audience).build().await?;
    let listener = TcpListener::bind("127.0.0.1:8080").await?;
    tokio::select! {
        served = serve(listener, app(&gate)?) => served?,
        _ = tokio::signal::ctrl_c() => {}
    }
    // A server of yours lets its requests end before this.
    gate.shutdown(Duration::from_secs(10)).await;
    Ok(())
}

/// Sends a Suspend and a Resume to the app, and calls a tenant in between.
async fn run_against_simulator() -> Result<(), BoxError> {
    let simulator = Simulator::start().await?;
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .build()
        .await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    tokio::spawn(serve(listener, app(&gate)?));
    simulator.notify_to(format!("{origin}/NotifyCustomerStateChange").parse()?);

    let tenant = TenantId::new("Cust12345")?;
    let contact = async || reqwest::get(format!("{origin}/contacts/{tenant}/7")).await;
    println!("open:      {}", contact().await?.status());
    println!("suspend:   {}", simulator.suspend(&tenant).await?);
    println!("suspended: {}", contact().await?.status());
    println!("resume:    {}", simulator.resume(&tenant).await?);
    println!("open:      {}", contact().await?.status());
    println!("calls that reached the tenant while closed: {}", simulator.calls_while_closed());
    Ok(())
}
