//! A hyper server without a framework: the notification layer around a plain service.
//!
//! ```sh
//! cargo run --example hyper_server --features simulator    # runs against a simulator and exits
//! cargo run --example hyper_server --features simulator -- production MY-APPLICATION-ID    # serves on port 8080
//! ```
#![allow(clippy::print_stdout)]

use std::{convert::Infallible, io, time::Duration};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::net::TcpListener;
use tower::{Layer, service_fn};
use tower_superoffice::{ChangeType, Environment, TenantGate, TenantId, simulator::Simulator};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// The app itself. The gate answers `/NotifyCustomerStateChange`; every other request arrives here
/// unchanged.
///
/// The response body must implement `Default`, for the gate's empty responses. hyper's `Incoming`
/// does not: box it.
async fn hello(_: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::from("hello\n")))
}

async fn serve(listener: TcpListener, gate: TenantGate) -> io::Result<()> {
    let app = gate.notification_layer().layer(service_fn(hello));
    loop {
        let (stream, _) = listener.accept().await?;
        let app = TowerToHyperService::new(app.clone());
        tokio::spawn(async move {
            let connection = http1::Builder::new()
                // Without a timer hyper ignores the time-out.
                .timer(TokioTimer::new())
                .header_read_timeout(Duration::from_secs(20))
                .serve_connection(TokioIo::new(stream), app);
            if let Err(error) = connection.await {
                tracing::debug!(%error, "connection failed");
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
        served = serve(listener, gate.clone()) => served?,
        _ = tokio::signal::ctrl_c() => {}
    }
    // A server of yours lets its requests end before this.
    gate.shutdown(Duration::from_secs(10)).await;
    Ok(())
}

/// Sends a genuine notification and a forged one to the server.
async fn run_against_simulator() -> Result<(), BoxError> {
    let simulator = Simulator::start().await?;
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .build()
        .await?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let origin = format!("http://{}", listener.local_addr()?);
    tokio::spawn(serve(listener, gate.clone()));
    simulator.notify_to(format!("{origin}/NotifyCustomerStateChange").parse()?);

    let tenant = TenantId::new("Cust12345")?;
    println!("the app itself:    {}", reqwest::get(&origin).await?.text().await?.trim());
    println!("an Upgrade:        {}", simulator.notify(ChangeType::Upgrade, &tenant).await?);
    let forged = simulator.notification(ChangeType::Resume, &tenant).forged();
    println!("a forged Resume:   {}", forged.send().await?);
    match gate.check(&tenant) {
        Ok(()) => Err("the tenant should be closed".into()),
        Err(closed) => {
            println!("the tenant:        {}", closed.reason());
            Ok(())
        }
    }
}
