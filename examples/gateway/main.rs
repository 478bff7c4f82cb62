//! A gateway for services in any language: it receives SuperOffice's notifications and forwards
//! `/{ContextIdentifier}/...` to the tenant, unless the tenant is closed.
//!
//! ```sh
//! cargo run --release --example gateway -- --help
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks to its user")]

mod admin;
mod args;
mod forward;
mod serve;

use std::process::ExitCode;

use axum::Router;
use clap::Parser;
use tower_superoffice::TenantGate;

use crate::args::Args;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();

    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gateway: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> Result<(), BoxError> {
    let gate = args.gate().await?;
    let public = serve::Listener::bind(args.listen).await?;
    let inner = admin::routes(&gate).fallback_service(forward::service(&gate, &args)?);

    let Some(internal) = args.internal_listen else {
        if !args.listen.ip().is_loopback() {
            tracing::warn!(
                "everybody who reaches {} can list tenants and call them: give --internal-listen an address that only your services reach",
                args.listen
            );
        }
        println!("listening on http://{}", public.address());
        return serve::until_told(vec![(public, notifications(&gate, &args, inner))]).await;
    };
    let internal = serve::Listener::bind(internal).await?;
    println!("listening on http://{}", public.address());
    println!("internal on http://{}", internal.address());
    let outer = notifications(&gate, &args, Router::new());
    serve::until_told(vec![(public, outer), (internal, serve::finish(inner))]).await
}

/// The notification route in front of `rest`.
fn notifications(gate: &TenantGate, args: &Args, rest: Router) -> Router {
    let route = Router::new().route_service(&args.notification_path, gate.notification_service());
    serve::finish(route.fallback_service(rest))
}
