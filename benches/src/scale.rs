//! An upgrade night through the gateway: every tenant is closed, then opened again, over HTTP at
//! full speed, with each store in turn. `scripts/scale` builds and runs it; docs/capacity.md has
//! the results.
//!
//! Linux only: it reads /proc. The load generator shares the machine with the gateway, so the
//! gateway's processor time is more reliable than elapsed time, and ratios within a run more than
//! absolute figures.

#[path = "scale/arguments.rs"]
mod arguments;
#[path = "scale/gateway.rs"]
mod gateway;
#[path = "scale/notifications.rs"]
mod notifications;
#[path = "scale/post.rs"]
mod post;
#[path = "scale/postgres.rs"]
mod postgres;
#[path = "scale/process.rs"]
mod process;
#[path = "scale/redis.rs"]
mod redis;
#[path = "scale/table.rs"]
mod table;
#[path = "scale/test_env.rs"]
mod test_env;
#[path = "scale/upgrade_burst.rs"]
mod upgrade_burst;

use std::process::ExitCode;

use tower_superoffice::simulator::Simulator;

use arguments::Arguments;
use notifications::Notifications;
use table::Table;
use test_env::TestEnv;
use upgrade_burst::UpgradeBurst;

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
    let arguments = Arguments::parse()?;
    let simulator = Simulator::start().await?;
    let env = TestEnv::new(&simulator)?;
    env.describe(&arguments)?;

    let notifications = Notifications::sign(&simulator, &arguments)?;
    for &tenants in &arguments.tenants {
        let mut table = Table::new(tenants, arguments.rounds);
        for round in 0..arguments.rounds {
            // The stores alternate, so that a slow phase of the machine affects all of them.
            for &store in &arguments.stores {
                let burst = UpgradeBurst { store, tenants, arguments: &arguments, env: &env };
                let measured = burst.run(&notifications).await?;
                eprintln!("{tenants} tenants, {}, round {}: {measured}", store.name(), round + 1);
                table.add(store, measured);
            }
        }
        table.print();
    }
    Ok(())
}
