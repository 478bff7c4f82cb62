//! Simulates an upgrade night in virtual time, and prints its figures: `scripts/scale --simulate`
//! builds and runs it. docs/capacity.md has the results.

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::time::{Duration, Instant};

use harness::night::{Night, Reckoning};

const USAGE: &str =
    "usage: night [--without-leases] [--lease-ms 1] [--rate 10] REPLICAS TENANTS...";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (mut leases, mut lease_ms, mut rate) = (true, 1, 10);
    let mut numbers = Vec::new();
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--without-leases" => leases = false,
            "--lease-ms" => lease_ms = args.next().ok_or(USAGE)?.parse()?,
            "--rate" => rate = args.next().ok_or(USAGE)?.parse()?,
            number => numbers.push(number.parse().map_err(|_| USAGE)?),
        }
    }
    let [replicas, all @ ..] = numbers.as_slice() else { return Err(USAGE.into()) };
    if *replicas == 0 || all.is_empty() || all.contains(&0) {
        return Err(USAGE.into());
    }
    for tenants in all {
        let reckoning =
            Reckoning { replicas: *replicas, tenants: *tenants, pulls_per_second: rate };
        let lease_latency = Duration::from_millis(lease_ms);
        let night = Night { leases, lease_latency, ..Night::new(reckoning) };
        let began = Instant::now();
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_all().start_paused(true).build()?;
        println!("{}simulated in {:.0?}\n", runtime.block_on(night.simulate()), began.elapsed());
    }
    Ok(())
}
