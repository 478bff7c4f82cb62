//! A Suspend of an open tenant whose notification is lost, on tokio's paused clock and without
//! sockets.

use std::time::Duration;

use http::{Request, StatusCode};
use tower::{Layer, ServiceExt, util::BoxCloneSyncService};
use tower_superoffice::{
    GuardError, TenantId, UnavailableReason,
    simulator::{Simulator, SimulatorBody},
    status::Evidence,
};

use crate::{Rule, scenario::BoxError};

type Client =
    BoxCloneSyncService<Request<String>, http::Response<SimulatorBody>, GuardError<std::io::Error>>;

/// Outcomes of three calls to the tenant.
pub struct Calls {
    pub tenant: TenantId,
    /// Before it was suspended.
    pub open: Option<StatusCode>,
    /// An hour later, when it had been suspended.
    pub failed: Option<StatusCode>,
    /// After that one.
    pub refused: Option<UnavailableReason>,
    pub reached_while_closed: u64,
    pub evidence: Evidence,
}

/// Makes the calls, on a thread of its own: a paused clock is a runtime's.
pub fn run(rule: Option<Rule>) -> Result<Calls, BoxError> {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).build()?.block_on(calls(rule))
}

async fn calls(rule: Option<Rule>) -> Result<Calls, BoxError> {
    let simulator = Simulator::builder().on_tokio_clock().start().await?;
    let gate = simulator.gate().build().await?;
    let client = match rule {
        Some(Rule::Symptom) => Client::new(gate.guard_layer().layer(simulator.network())),
        _ => Client::new(gate.client_layer().layer(simulator.network())),
    };
    let tenant = TenantId::new("Cust10006")?;
    gate.refresh(&tenant).await?;
    let url = simulator.url(&tenant, "api/v1/Contact/1");
    let call = async || -> Result<_, BoxError> {
        let request = Request::get(&url).body(String::new())?;
        Ok(client.clone().oneshot(request).await)
    };

    let open = call().await?.ok().map(|response| response.status());
    tokio::time::sleep(Duration::from_secs(3600)).await;
    simulator.suspend(&tenant).without_notification();
    let failed = call().await?.ok().map(|response| response.status());
    tokio::time::sleep(Duration::from_secs(1)).await;
    let refused = match call().await? {
        Err(GuardError::Unavailable(closed)) => Some(closed.reason()),
        _ => None,
    };
    let (reached_while_closed, evidence) =
        (simulator.calls_while_closed(), gate.status(&tenant).evidence());
    Ok(Calls { tenant, open, failed, refused, reached_while_closed, evidence })
}
