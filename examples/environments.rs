//! Two environments of SuperOffice behind one State Change URL, as an application has them by
//! default.
//!
//! ```sh
//! cargo run --example environments --features reqwest,simulator    # runs against two simulators and exits
//! ```
#![allow(clippy::print_stdout)]

use std::{io, net::SocketAddr};

use axum::Router;
use tokio::net::TcpListener;
use tower::{Layer, ServiceExt};
use tower_superoffice::{
    ChangeType, GuardError, TenantGate, TenantGates, TenantId, client::Client,
    notification::Refusal, simulator::Simulator,
};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A gate of the environment that `simulator` stands for. Its keys and its application id differ
/// from those of any other.
async fn gate(simulator: &Simulator) -> Result<TenantGate, BoxError> {
    let builder = TenantGate::builder(simulator.environment());
    Ok(builder.audience(simulator.application_id()).build().await?)
}

/// A client of one environment: a tenant's id may exist in the other one too.
fn client(gate: &TenantGate) -> Result<Client<reqwest::Client>, BoxError> {
    let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build()?;
    Ok(gate.client_layer().layer(client))
}

async fn call(
    client: &Client<reqwest::Client>,
    simulator: &Simulator,
    tenant: &TenantId,
) -> Result<String, BoxError> {
    let url = simulator.url(tenant, "api/v1/Contact/1").to_string().parse()?;
    match client.clone().oneshot(reqwest::Request::new(http::Method::GET, url)).await {
        Ok(response) => Ok(response.status().to_string()),
        Err(GuardError::Unavailable(closed)) => Ok(closed.reason().to_string()),
        Err(GuardError::Inner(error)) => Err(error.into()),
    }
}

/// Serves the one URL and returns its address.
async fn serve(gates: &TenantGates) -> Result<SocketAddr, BoxError> {
    let app =
        Router::new().route_service("/NotifyCustomerStateChange", gates.notification_service());
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, app).await });
    Ok(address)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
    let development = Simulator::builder().application_id("id-in-development").start().await?;
    let production = Simulator::builder().application_id("id-in-production").start().await?;
    let gates = TenantGates::new([gate(&development).await?, gate(&production).await?])?;
    let url: http::Uri =
        format!("http://{}/NotifyCustomerStateChange", serve(&gates).await?).parse()?;
    development.notify_to(url.clone());
    production.notify_to(url);

    let gate = |simulator: &Simulator| {
        gates.gate(&simulator.environment()).ok_or("each environment has a gate")
    };
    let to_development = client(gate(&development)?)?;
    let to_production = client(gate(&production)?)?;
    let tenant = TenantId::new("Cust12345")?;

    println!("suspend in development: {}", development.suspend(&tenant).await?);
    println!("development: {}", call(&to_development, &development, &tenant).await?);
    println!("production:  {}", call(&to_production, &production, &tenant).await?);
    println!("delete in production:   {}", production.delete(&tenant).await?);
    println!("production:  {}", call(&to_production, &production, &tenant).await?);
    println!("resume in development:  {}", development.resume(&tenant).await?);
    println!("development: {}", call(&to_development, &development, &tenant).await?);

    // The key of development does not sign for production, whatever the token says.
    let forged = development.notification(ChangeType::Resume, &tenant);
    let forged = forged.claim("iss", production.environment().origin());
    match gates.receive(forged.claim("aud", production.application_id()).body()).await {
        Err(Refusal::Token(reason)) => println!("forged for production:  {reason}"),
        other => return Err(format!("it should be refused: {other:?}").into()),
    }
    println!("production:  {}", call(&to_production, &production, &tenant).await?);
    let reached = development.calls_while_closed() + production.calls_while_closed();
    println!("calls that reached a tenant while closed: {reached}");
    Ok(())
}
