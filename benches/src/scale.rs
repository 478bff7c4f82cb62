//! An upgrade night through the `gateway` example: every tenant is closed, then opened again, over
//! HTTP at full speed, with each store in turn. `scripts/scale` builds and runs it; docs/scale.md
//! has what it said.
//!
//! Linux only: it reads /proc. The load generator shares the machine with what it measures, so the
//! gateway's own processor time says more than the clock, and ratios of one run more than figures.

#[path = "scale/arguments.rs"]
mod arguments;
#[path = "scale/gateway.rs"]
mod gateway;
#[path = "scale/night.rs"]
mod night;
#[path = "scale/notifications.rs"]
mod notifications;
#[path = "scale/post.rs"]
mod post;
#[path = "scale/process.rs"]
mod process;
#[path = "scale/redis.rs"]
mod redis;
#[path = "scale/table.rs"]
mod table;
#[path = "scale/workshop.rs"]
mod workshop;

use std::process::ExitCode;

use tower_superoffice::simulator::Simulator;

use arguments::Arguments;
use night::Night;
use notifications::Notifications;
use table::Table;
use workshop::Workshop;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("scale: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), BoxError> {
    let arguments = Arguments::read()?;
    let simulator = Simulator::start().await?;
    let workshop = Workshop::new(&simulator)?;
    workshop.describe(&arguments)?;

    let notifications = Notifications::sign(&simulator, &arguments)?;
    for &tenants in &arguments.tenants {
        let mut table = Table::new(tenants, arguments.rounds);
        for round in 0..arguments.rounds {
            // The stores take turns, so that whatever slows the machine slows them all.
            for &store in &arguments.stores {
                let night = Night { store, tenants, arguments: &arguments, workshop: &workshop };
                let measured = night.run(&notifications).await?;
                eprintln!("{tenants} tenants, {}, round {}: {measured}", store.name(), round + 1);
                table.add(store, measured);
            }
        }
        table.print();
    }
    Ok(())
}
