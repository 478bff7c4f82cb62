//! A gateway for services in any language: receives SuperOffice's notifications and forwards
//! `/{ContextIdentifier}/...` to the tenant, unless the tenant is closed.
//!
//! ```sh
//! cargo run --release -p superoffice-gateway -- --help
//! ```

#![cfg_attr(
    test,
    allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod cli;
mod client;
mod forward;
mod log;
mod metrics;
mod page;
mod printable;
mod routes;
mod schemas;
mod served;
mod server;
mod supervisor;

use std::{error::Error, io::Write, process::ExitCode};

use crate::{
    cli::{Args, Invocation},
    server::{Draining, INTERNAL_HEAD, Listener, ListenerSettings, PUBLIC_HEAD, Signals},
};

/// Under load, glibc's allocator took 23 % of the samples of a profile.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> ExitCode {
    let args = match Args::parse() {
        Invocation::Serve(args) => *args,
        Invocation::Command(command, target) => {
            return client::run(*command, target).unwrap_or_else(|error| fail(&error));
        }
    };
    if args.print_store_script {
        let printed = std::io::stdout().write_all(args.store_script().as_bytes());
        return printed.map_or_else(|error| fail(&error.into()), |()| ExitCode::SUCCESS);
    }
    let format = args.log_format;
    let result = match log::init(format) {
        Ok(_flush_at_the_end) => match start(args) {
            Err(error) if format == log::Format::Json => {
                tracing::error!(error = with_sources(&*error), "gateway failed");
                return ExitCode::FAILURE;
            }
            result => result,
        },
        Err(error) => Err(error.into()),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error),
    }
}

/// Returns the text of an error with those of its causes.
fn with_sources(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text = format!("{text}: {error}");
        source = error.source();
    }
    text
}

fn fail(error: &BoxError) -> ExitCode {
    // stderr may be closed, which `eprintln` answers with a panic.
    let text = with_sources(&**error);
    let _best_effort = writeln!(std::io::stderr(), "gateway: {}", printable::printable(&text));
    ExitCode::FAILURE
}

fn start(args: Args) -> Result<(), BoxError> {
    let runtime = tokio::runtime::Runtime::new()?;
    let result = runtime.block_on(run(args));
    // A thread that hangs, in a disk or in a resolver, does not hold the process.
    runtime.shutdown_background();
    result
}

async fn run(args: Args) -> Result<(), BoxError> {
    let mut signals = Signals::new()?;
    let files = server::file_limit::raise();
    let served = tokio::select! {
        served = args.gates() => served?,
        () = signals.received() => return Ok(()),
    };
    let public = Listener::bind(args.listen)?;
    let internal = args.internal_listen.map(Listener::bind).transpose()?;
    let addresses: Vec<_> =
        (std::iter::once(&public).chain(&internal)).map(Listener::address).collect();
    args.refuse_loops(&addresses).await?;
    let forward = forward::Forwards::new(&served, &args)?;
    let draining = Draining::default();

    let listeners = if internal.is_some() { 2 } else { 1 };
    let max_connections = server::file_limit::connections(files, listeners, args.max_connections);
    let outside = ListenerSettings { max_connections, max_head: PUBLIC_HEAD, half_close: true };
    let recorded = served.clone();
    let metrics = metrics::Metrics::new(move || recorded.record_metrics());
    let options = routes::Options {
        metrics: metrics.clone(),
        hold_tracked: args.hold_tracked,
        observe_only: args.observe_only,
        notification_path: args.notification_path.clone(),
        orders: args.access_to_orders(),
    };
    let Some(internal) = internal else {
        if !args.listen.ip().is_loopback() {
            tracing::warn!(
                listen = %args.listen,
                "every host that reaches this address can list tenants and call them: give \
                 --internal-listen an address that only your services reach"
            );
        }
        announce(&public);
        let app = routes::internal(&served, &draining, forward, options);
        let app = routes::public(&served, app);
        return server::run(signals, draining, served, &metrics, vec![(public, app, outside)])
            .await;
    };
    announce(&public);
    tracing::info!("internal on http://{}", internal.address());
    let inside = ListenerSettings { max_head: INTERNAL_HEAD, half_close: false, ..outside };
    let servers = vec![
        (public, routes::public(&served, axum::Router::new()), outside),
        (internal, routes::internal(&served, &draining, forward, options), inside),
    ];
    server::run(signals, draining, served, &metrics, servers).await
}

/// Prints the address of `public` for the parent process, which may have closed the pipe by now,
/// and tells a supervisor that calls are taken.
fn announce(public: &Listener) {
    let mut stdout = std::io::stdout();
    let printed = writeln!(stdout, "listening on http://{}", public.address());
    if let Err(error) = printed.and_then(|()| stdout.flush()) {
        tracing::warn!(%error, "address not printed");
    }
    supervisor::report_ready();
}
