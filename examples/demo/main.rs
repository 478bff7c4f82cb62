//! The whole crate in a few seconds: a simulated SuperOffice on loopback, an app with the
//! notification route, and workers that call four tenants through the guard while SuperOffice
//! closes and opens them. An hour in which a Suspend is lost is a moment, on a clock of its own.
//!
//! ```sh
//! cargo run --release --example demo --features simulator
//! cargo run --release --example demo --features simulator -- --break guard    # must fail, and does
//! ```
//!
//! Exits with 0 when every check passed, and with 1 when one failed.
#![allow(clippy::print_stdout, unreachable_pub)]

mod app;
mod checks;
mod lost_suspend;
mod output;
mod scenario;
mod workers;

use std::{process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};

/// Shows how a gate keeps calls away from closed tenants.
#[derive(Parser)]
struct Args {
    /// Break a rule on purpose: the checks must fail.
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
    /// The gate does not pull the state API, so a lost notification stays lost.
    Pull,
    /// The workers do not follow a tenant that moves.
    Follow,
    /// The host of a tenant is not found out before its first call.
    Locate,
    /// The gate does not see that a call failed.
    Symptom,
}

/// Upper bound of a run, which takes some five seconds. An unoptimised build generates its RSA
/// keys slowly on a busy machine.
const LIMIT: Duration = Duration::from_secs(if cfg!(debug_assertions) { 60 } else { 15 });

#[tokio::main]
async fn main() -> ExitCode {
    let Args { rule } = Args::parse();
    match tokio::time::timeout(LIMIT, scenario::run(rule)).await {
        Ok(Ok(checks)) if checks.all_passed() => ExitCode::SUCCESS,
        Ok(Ok(_)) => ExitCode::FAILURE,
        Ok(Err(error)) => {
            println!("\nThe demo failed: {error}");
            ExitCode::FAILURE
        }
        Err(_) => {
            println!("\nThe demo did not end within {} s.", LIMIT.as_secs());
            ExitCode::FAILURE
        }
    }
}
