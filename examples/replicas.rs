//! Two replicas of a service that share their tenants' records through a Redis or PostgreSQL
//! server, and go on without it.
//!
//! ```sh
//! cargo run --release --example replicas --features postgres,redis,reqwest,simulator
//! cargo run --release --example replicas --features postgres,redis,reqwest,simulator -- --store postgres
//! cargo run --release --example replicas --features postgres,redis,reqwest,simulator -- --break sharing    # must fail, and does
//! ```
//!
//! Starts a server of its own on a free port of loopback, and stops it. Exits with 0 when every
//! check passed, and with 1 when one failed.
#![allow(clippy::print_stdout, unreachable_pub)]

#[path = "demo/checks.rs"]
mod checks;
#[path = "replicas/postgres_server.rs"]
mod postgres_server;
#[path = "replicas/redis_server.rs"]
mod redis_server;
#[path = "replicas/replica.rs"]
mod replica;
#[path = "replicas/scenario.rs"]
mod scenario;
#[path = "replicas/server.rs"]
mod server;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};

use server::Kind;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Shows two replicas that share their records through a server.
#[derive(Parser)]
struct Args {
    /// The server that they share.
    #[arg(long, value_name = "SERVER", default_value = "redis")]
    store: Kind,
    /// Break a rule on purpose: the checks must fail.
    #[arg(long = "break", value_name = "RULE")]
    rule: Option<Rule>,
}

/// A rule that can be broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rule {
    /// Each replica has a server of its own.
    Sharing,
}

/// Upper bound of a run, which takes about five seconds. An unoptimised build generates its RSA key
/// slowly on a busy machine.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 15 });

#[tokio::main]
async fn main() -> ExitCode {
    let Args { store, rule } = Args::parse();
    let scenario = scenario::run(store, rule == Some(Rule::Sharing));
    match tokio::time::timeout(LIMIT, scenario).await {
        Ok(Ok(checks)) => {
            checks.print();
            if checks.all_passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ok(Err(error)) => {
            println!("\nThe example failed: {error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            println!("\nThe example did not end within {} s.", LIMIT.as_secs());
            ExitCode::FAILURE
        }
    }
}
