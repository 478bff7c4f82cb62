//! What a person reads: the steps, and a line of counts in between.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tower_superoffice::{TenantGate, TenantId, simulator::Simulator};

use crate::workers::Tally;

/// Between two lines of counts.
const TICK: Duration = Duration::from_millis(300);

/// Everything there is to watch.
pub struct Board {
    gate: TenantGate,
    simulator: Simulator,
    tenants: Vec<(TenantId, Arc<Tally>)>,
    began: Instant,
}

impl Board {
    pub fn new(
        gate: &TenantGate,
        simulator: &Simulator,
        tenants: Vec<(TenantId, Arc<Tally>)>,
    ) -> Self {
        let (gate, simulator) = (gate.clone(), simulator.clone());
        Self { gate, simulator, tenants, began: Instant::now() }
    }

    /// The line above the counts.
    pub fn head(&self) {
        let names = self.tenants.iter().map(|(tenant, _)| format!("{tenant:<23}"));
        println!("        {}", names.collect::<Vec<_>>().join("  "));
    }

    /// Says what happens.
    pub fn say(&self, what: impl AsRef<str>) {
        println!("{:5.1} s {}", self.began.elapsed().as_secs_f32(), what.as_ref());
    }

    /// Lets the workers work for `ticks`, with a line of counts after each.
    pub async fn watch(&self, ticks: u32) {
        for _ in 0..ticks {
            tokio::time::sleep(TICK).await;
            let cells = self.tenants.iter().map(|(tenant, tally)| self.cell(tenant, tally));
            println!("        {}", cells.collect::<Vec<_>>().join("  "));
        }
    }

    fn cell(&self, tenant: &TenantId, tally: &Tally) -> String {
        let status = self.gate.status(tenant);
        let state = status.reason().map_or("open", |reason| reason.as_str());
        let (sent, refused) = (tally.answered.load(Relaxed), tally.all_refused());
        let refused = if refused > 0 { format!("-{refused}") } else { String::new() };
        format!("{state:<10}{sent:>5} {refused:<7}")
    }

    /// The closing table.
    pub fn totals(&self) {
        println!();
        println!("{:<10} {:>10}   {:<44} reached while closed", "Tenant", "calls sent", "refused");
        let mut all = (0, BTreeMap::<&str, u64>::new(), 0);
        for (tenant, tally) in &self.tenants {
            let closed = self.simulator.closed_calls();
            let closed = closed.iter().filter(|call| call.tenant == *tenant).count() as u64;
            let (sent, refused) = (self.simulator.calls(tenant), tally.refused());
            row(tenant.as_str(), sent, &refused, closed);
            all.0 += sent;
            for (reason, count) in refused {
                *all.1.entry(reason).or_default() += count;
            }
            all.2 += closed;
        }
        row("All", all.0, &all.1, all.2);
    }
}

fn row(name: &str, sent: u64, refused: &BTreeMap<&str, u64>, closed: u64) {
    let refused: Vec<_> =
        refused.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let refused = if refused.is_empty() { "none".to_owned() } else { refused.join(", ") };
    println!("{name:<10} {sent:>10}   {refused:<44} {closed:>20}");
}
