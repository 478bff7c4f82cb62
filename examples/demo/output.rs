//! The printed output: each step, a line of counts while the workers run, and the closing table.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use tower_superoffice::{TenantGate, TenantId, simulator::Simulator};

use crate::workers::CallCounts;

/// Interval between two lines of counts.
const TICK: Duration = Duration::from_millis(300);

/// Prints the scenario, and the sources of its counts.
pub struct Output {
    gate: TenantGate,
    simulator: Simulator,
    tenants: Vec<(TenantId, Arc<CallCounts>)>,
    started: Instant,
}

impl Output {
    pub fn new(
        gate: &TenantGate,
        simulator: &Simulator,
        tenants: Vec<(TenantId, Arc<CallCounts>)>,
    ) -> Self {
        let (gate, simulator) = (gate.clone(), simulator.clone());
        Self { gate, simulator, tenants, started: Instant::now() }
    }

    /// Prints the heading of the counts.
    pub fn heading(&self) {
        let names = self.tenants.iter().map(|(tenant, _)| format!("{tenant:<23}"));
        println!("        {}", names.collect::<Vec<_>>().join("  "));
    }

    /// Prints a step with the time since the start.
    pub fn step(&self, text: impl AsRef<str>) {
        println!("{:5.1} s {}", self.started.elapsed().as_secs_f32(), text.as_ref());
    }

    /// Lets the workers run for `ticks`, and prints a line of counts after each.
    pub async fn run_workers(&self, ticks: u32) {
        for _ in 0..ticks {
            tokio::time::sleep(TICK).await;
            let cells = self.tenants.iter().map(|(tenant, counts)| self.cell(tenant, counts));
            println!("        {}", cells.collect::<Vec<_>>().join("  "));
        }
    }

    fn cell(&self, tenant: &TenantId, counts: &CallCounts) -> String {
        let status = self.gate.status(tenant);
        let state = status.reason().map_or("open", |reason| reason.as_str());
        let (sent, refused) = (counts.answered.load(Relaxed), counts.total_refused());
        let refused = if refused > 0 { format!("-{refused}") } else { String::new() };
        format!("{state:<10}{sent:>5} {refused:<7}")
    }

    /// Prints the closing table.
    pub fn totals(&self) {
        println!();
        println!("{:<10} {:>10}   {:<44} reached while closed", "Tenant", "calls sent", "refused");
        let mut all = (0, BTreeMap::<&str, u64>::new(), 0);
        for (tenant, counts) in &self.tenants {
            let closed = self.simulator.closed_calls();
            let closed = closed.iter().filter(|call| call.tenant() == tenant).count() as u64;
            let (sent, refused) = (self.simulator.calls(tenant), counts.refused());
            print_row(tenant.as_str(), sent, &refused, closed);
            all.0 += sent;
            for (reason, count) in refused {
                *all.1.entry(reason).or_default() += count;
            }
            all.2 += closed;
        }
        print_row("All", all.0, &all.1, all.2);
    }
}

fn print_row(name: &str, sent: u64, refused: &BTreeMap<&str, u64>, closed: u64) {
    let refused: Vec<_> =
        refused.iter().map(|(reason, count)| format!("{count} {reason}")).collect();
    let refused = if refused.is_empty() { "none".to_owned() } else { refused.join(", ") };
    println!("{name:<10} {sent:>10}   {refused:<44} {closed:>20}");
}
