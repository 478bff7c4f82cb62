//! A gateway for services in any language: it receives SuperOffice's notifications and forwards
//! `/{ContextIdentifier}/...` to the tenant, unless the tenant is closed.
//!
//! ```sh
//! cargo run --release -p superoffice-gateway -- --help
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program speaks to its user")]

mod admin;
mod args;
mod forward;
mod serve;

use std::{io::Write, process::ExitCode};

use axum::Router;
use clap::Parser;
use tower::Layer;
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
    let mut signals = serve::Signals::new()?;
    let gate = tokio::select! {
        gate = args.gate() => gate?,
        () = signals.told() => return Ok(()),
    };
    let public = serve::Listener::bind(args.listen).await?;
    let inner = admin::routes(&gate).fallback_service(forward::service(&gate, &args)?);

    let Some(internal) = args.internal_listen else {
        if !args.listen.ip().is_loopback() {
            tracing::warn!(
                "everybody who reaches {} can list tenants and call them: give --internal-listen an address that only your services reach",
                args.listen
            );
        }
        ready(&public);
        return serve::until_told(signals, vec![(public, notifications(&gate, inner))]).await;
    };
    let internal = serve::Listener::bind(internal).await?;
    ready(&public);
    tracing::info!("internal on http://{}", internal.address());
    let outer = notifications(&gate, Router::new());
    serve::until_told(signals, vec![(public, outer), (internal, serve::finish(inner))]).await
}

/// Says where the gateway listens. Whoever started it may have stopped reading by now.
fn ready(public: &serve::Listener) {
    let mut stdout = std::io::stdout();
    let said = writeln!(stdout, "listening on http://{}", public.address());
    if let Err(error) = said.and_then(|()| stdout.flush()) {
        tracing::warn!(%error, "nobody reads where this listens");
    }
}

/// The notification route in front of `rest`; its path is compared exactly, and is no pattern.
fn notifications(gate: &TenantGate, rest: Router) -> Router {
    serve::finish(Router::new().fallback_service(gate.notification_layer().layer(rest)))
}
