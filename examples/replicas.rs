//! Two replicas of a service, one Redis, and a SuperOffice: what one replica is told the other knows,
//! and neither needs Redis to go on working.
//!
//! ```sh
//! cargo run --release --example replicas
//! cargo run --release --example replicas -- --break sharing     # must fail, and does
//! ```
//!
//! It starts a redis-server of its own on a free port of loopback, and ends it. Exits with 0 when every
//! promise was kept, and with 1 when one was broken.
#![allow(clippy::print_stdout, unreachable_pub)]

#[path = "demo/promises.rs"]
mod promises;
#[path = "replicas/redis_server.rs"]
mod redis_server;
#[path = "replicas/replica.rs"]
mod replica;
#[path = "replicas/story.rs"]
mod story;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Shows two replicas that share what they know through a Redis server.
#[derive(Parser)]
struct Args {
    /// Break a rule on purpose, to see that it is noticed.
    #[arg(long = "break", value_name = "RULE")]
    rule: Option<Rule>,
}

/// A rule that can be broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rule {
    /// Each replica has a Redis server of its own.
    Sharing,
}

/// It takes about five seconds; past this time something hangs. A build without optimisation makes
/// its RSA key slowly when the machine is busy.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 15 });

#[tokio::main]
async fn main() -> ExitCode {
    let Args { rule } = Args::parse();
    let told = tokio::time::timeout(LIMIT, story::tell(rule == Some(Rule::Sharing))).await;
    match told {
        Ok(Ok(promises)) => {
            promises.print();
            if promises.all_kept() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Ok(Err(error)) => {
            println!("\nIt broke off: {error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            println!("\nIt did not end within {} s.", LIMIT.as_secs());
            ExitCode::FAILURE
        }
    }
}
