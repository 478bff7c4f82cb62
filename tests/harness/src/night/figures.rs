//! The measured cost of a simulated night, beside the reckoned one.

use std::{fmt, sync::atomic::Ordering, time::Duration};

use tower_superoffice::{TenantGate, TenantId, TenantStatus};

use super::{
    Night, Reckoning,
    state_api::{Pulls, Tenants},
    store::StoreCounts,
};
use crate::tenant_number;

/// The figures of a night.
#[derive(Debug)]
pub struct Figures {
    /// The replicas, tenants and rate that were simulated.
    pub reckoning: Reckoning,
    /// How long the night lasted.
    pub duration: Duration,
    /// The pulls of all replicas together.
    pub pulls: u64,
    /// Those of the replica that made fewest, and of the one that made most.
    pub pulls_by_replica: (u64, u64),
    /// Those of tenants whose upgrade was over.
    pub pulls_of_running: u64,
    /// Those made while another replica's answer was valid, or on its way, and no notification had
    /// come since.
    pub pulls_twice: u64,
    /// The time between two pulls of a closed tenant, while no Resume has come.
    pub between_pulls: Spread,
    /// How long lost Resumes kept tenants closed.
    pub closed_by_lost: Spread,
    /// Number of lost Resumes.
    pub lost: usize,
    /// Requests for a lease, of all replicas together.
    pub lease_requests: u64,
    /// Records that were merged into the store.
    pub merges: u64,
    /// The changes of others that a replica received: the fewest, and the most.
    pub changes_by_replica: (u64, u64),
    /// How often a replica had to load everything.
    pub resyncs: u64,
    /// Tenants whose status at the end is not the same at all replicas, or closed.
    pub different: usize,
}

/// How times are spread.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Spread {
    /// Their mean.
    pub mean: Duration,
    /// The half are shorter.
    pub median: Duration,
    /// 99 of 100 are shorter.
    pub most: Duration,
    /// The longest.
    pub longest: Duration,
}

impl Figures {
    pub(super) fn new(
        night: &Night,
        tenants: &Tenants,
        counts: &StoreCounts,
        gates: &[TenantGate],
    ) -> Self {
        let Pulls { made, of_running, twice, between } = tenants.pulls();
        let closed_by_lost = tenants.map(|tenant| {
            let opened = tenant.opened.expect("all tenants are open at the end");
            tenant.upgrade.lost.then(|| opened.saturating_sub(tenant.upgrade.over))
        });
        let different = |number: &usize| is_different(gates, &tenant_number(*number));
        let lost = closed_by_lost.len();
        Self {
            reckoning: night.reckoning,
            duration: tenants.started().elapsed(),
            pulls: made.iter().sum(),
            pulls_by_replica: range(&made),
            pulls_of_running: of_running,
            pulls_twice: twice,
            between_pulls: Spread::new(between),
            closed_by_lost: Spread::new(closed_by_lost),
            lost,
            lease_requests: counts.leases.load(Ordering::Relaxed),
            merges: counts.merges.load(Ordering::Relaxed),
            changes_by_replica: range(&counts.changes.lock().unwrap()),
            resyncs: counts.resyncs.load(Ordering::Relaxed),
            different: (0..night.reckoning.tenants).filter(different).count(),
        }
    }

    /// Returns the share of pulls that were made twice.
    pub fn share_twice(&self) -> f64 {
        self.pulls_twice as f64 / self.pulls as f64
    }
}

fn is_different(gates: &[TenantGate], tenant: &TenantId) -> bool {
    let mut statuses = gates.iter().map(|gate| gate.status(tenant));
    let first: TenantStatus = statuses.next().expect("a replica");
    !first.is_available() || statuses.any(|status| status != first)
}

fn range(counts: &[u64]) -> (u64, u64) {
    let least = counts.iter().copied().min().unwrap_or_default();
    (least, counts.iter().copied().max().unwrap_or_default())
}

impl Spread {
    fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |part: usize| times.get(times.len() * part / 100).copied();
        let count = u32::try_from(times.len().max(1)).expect("fewer than 2^32");
        Self {
            mean: times.iter().sum::<Duration>() / count,
            median: at(50).unwrap_or_default(),
            most: at(99).unwrap_or_default(),
            longest: times.last().copied().unwrap_or_default(),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reckoning { replicas, tenants, pulls_per_second } = self.reckoning;
        writeln!(
            f,
            "{replicas} replicas, {tenants} tenants, {pulls_per_second} pulls a second each"
        )?;
        writeln!(f, "duration of the night: {:.0?}", self.duration)?;
        let (fewest, most) = self.pulls_by_replica;
        writeln!(f, "pulls: {}, {fewest} to {most} a replica", self.pulls)?;
        writeln!(f, "of running tenants: {}", self.pulls_of_running)?;
        let percent = self.share_twice() * 100.0;
        writeln!(f, "made twice: {}, {percent:.2} %", self.pulls_twice)?;
        let reckoned = self.reckoning.between_pulls();
        writeln!(
            f,
            "between two pulls of a tenant: {}; reckoned {reckoned:.0?}",
            self.between_pulls
        )?;
        let (lost, closed) = (self.lost, self.closed_by_lost);
        let longest = self.reckoning.longest_closed();
        writeln!(f, "closed by {lost} lost Resumes: {closed}; reckoned at most {longest:.0?}")?;
        let for_each = self.lease_requests as f64 / self.pulls as f64;
        writeln!(f, "lease requests: {}, {for_each:.1} a pull", self.lease_requests)?;
        let (fewest, most) = self.changes_by_replica;
        writeln!(f, "merges: {}; changes of others: {fewest} to {most} a replica", self.merges)?;
        writeln!(f, "resyncs: {}; tenants that differ: {}", self.resyncs, self.different)
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { mean, median, most, longest } = self;
        write!(
            f,
            "mean {mean:.0?}, median {median:.0?}, 99 of 100 {most:.0?}, longest {longest:.0?}"
        )
    }
}
