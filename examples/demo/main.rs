//! The whole story in a few seconds: a SuperOffice on loopback, an app with the notification route,
//! and workers that call four tenants through the guard while SuperOffice closes and opens them.
//!
//! ```sh
//! cargo run --release --example demo
//! cargo run --release --example demo -- --break guard     # must fail, and does
//! ```
//!
//! Exits with 0 when every promise was kept, and with 1 when one was broken.
#![allow(clippy::print_stdout, unreachable_pub)]

mod app;
mod board;
mod promises;
mod story;
mod workers;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};

/// Shows how a gate keeps calls away from closed tenants.
#[derive(Parser)]
struct Args {
    /// Break a rule on purpose, to see that the demo notices.
    #[arg(long = "break", value_name = "RULE")]
    rule: Option<Rule>,
}

/// A rule that can be broken on purpose.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Rule {
    /// The workers call the tenants without the guard.
    Guard,
    /// The forged notification is signed with SuperOffice's own key.
    Forgery,
    /// The replayed notification is a new one.
    Replay,
    /// The gate expects notifications for another application.
    Audience,
    /// The gate does not ask the state API, so a lost notification stays lost.
    Pull,
    /// The workers do not follow a tenant that moves.
    Follow,
}

/// The demo takes about seven seconds; past this time something hangs. A build without optimisation
/// makes its RSA keys slowly when the machine is busy.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 15 });

#[tokio::main]
async fn main() -> ExitCode {
    let Args { rule } = Args::parse();
    match tokio::time::timeout(LIMIT, story::tell(rule)).await {
        Ok(Ok(promises)) if promises.all_kept() => ExitCode::SUCCESS,
        Ok(Ok(_)) => ExitCode::FAILURE,
        Ok(Err(error)) => {
            println!("\nThe demo broke off: {error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            println!("\nThe demo did not end within {} s.", LIMIT.as_secs());
            ExitCode::FAILURE
        }
    }
}
