//! A guarded reqwest client.
//!
//! ```sh
//! cargo run --example reqwest_client --features reqwest,simulator
//! ```
//!
//! reqwest's own redirects and retries happen below the guard, which does not see them: switch
//! redirects off, and retry outside the guard.
#![allow(clippy::print_stdout)]

use reqwest::{Client, redirect::Policy};
use tower_superoffice::{GuardError, TenantGate, TenantId, simulator::Simulator};

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let simulator = Simulator::start().await?;
    let gate = TenantGate::builder(simulator.environment())
        .audience(simulator.application_id())
        .build()
        .await?;
    // In a real service this is the notification route of its server.
    simulator.notify_service(gate.notification_service());

    let client = Client::builder().redirect(Policy::none()).build()?;

    let tenant = TenantId::new("Cust12345")?;
    let url = simulator.url(&tenant, "api/v1/Contact/7");
    for change in [None, Some(simulator.suspend(&tenant)), Some(simulator.resume(&tenant))] {
        if let Some(change) = change {
            change.await?;
        }
        // Sent to the tenant's current host, or not at all.
        match gate.send(client.get(&url).header("Accept", "application/json")).await {
            Ok(answer) => println!("answered {}", answer.status()),
            Err(GuardError::Unavailable(closed)) => println!("refused: {closed}"),
            Err(GuardError::Inner(error)) => return Err(error.into()),
        }
    }
    println!("calls that reached the tenant while closed: {}", simulator.calls_while_closed());
    Ok(())
}
