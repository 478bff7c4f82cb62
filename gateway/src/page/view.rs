//! The content of the page, as plain values.

use std::time::{Duration, SystemTime};

use tower_superoffice::{
    TenantGate, TenantId, TenantStatus, health::Health, status::Evidence, token::KeysReport,
};

use super::{
    group::{Counts, Group},
    history::{Pulls, Recorded},
    query::Query,
    select::Selection,
};
use crate::routes::Report;

/// The whole page.
#[derive(Debug)]
pub(super) struct View {
    pub(super) now: SystemTime,
    pub(super) uptime: Duration,
    pub(super) query: Query,
    /// Whether there are several environments, which are named then.
    pub(super) several: bool,
    pub(super) environments: Vec<Environment>,
    /// The newest first.
    pub(super) events: Vec<Recorded>,
    pub(super) orders: Orders,
    pub(super) observe_only: bool,
}

/// How orders are given from the page.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Orders {
    /// With the operator's token.
    Token,
    /// Without one: only own hosts reach the page.
    Direct,
    /// Not at all.
    Off,
}

/// All of an environment.
#[derive(Debug)]
pub(super) struct Environment {
    pub(super) name: String,
    /// The start of the paths about its tenants.
    pub(super) prefix: String,
    pub(super) report: Report,
    pub(super) health: Health,
    pub(super) keys: KeysReport,
    /// When the last notification was taken since the start.
    pub(super) notified: Option<SystemTime>,
    /// The results of the pulls of the last minute.
    pub(super) pulls: Pulls,
    /// How many tenants were closed over the last hours, up to now, and how long that is.
    pub(super) closed: (Vec<usize>, Duration),
    /// `None` while another environment's tenants are listed alone.
    pub(super) list: Option<List>,
    pub(super) counts: Counts,
}

/// One page of tenants.
#[derive(Debug)]
pub(super) struct List {
    pub(super) listed: usize,
    pub(super) page: usize,
    pub(super) pages: usize,
    pub(super) rows: Vec<Row>,
}

/// One tenant.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) tenant: TenantId,
    pub(super) status: TenantStatus,
    pub(super) group: Group,
    pub(super) waits_for: WaitsFor,
}

/// The event that a tenant's status waits for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum WaitsFor {
    /// Nothing is expected to change it.
    Nothing,
    /// The next pull, at this time.
    Pull(SystemTime),
    /// A pull that is due and waits for its turn.
    DuePull,
    /// A notification: no pull is scheduled.
    Notification,
    /// The end of an operator's order.
    End(SystemTime),
    /// An operator, who releases it.
    Release,
    /// An operator, who forgets it: its deletion is confirmed.
    Forget,
    /// A pull that agrees with its deletion.
    Confirmation,
}

impl Row {
    /// Describes `tenant`, whose next pull is due after `next_pull`.
    fn new(
        tenant: TenantId,
        status: TenantStatus,
        next_pull: Option<Duration>,
        now: SystemTime,
    ) -> Self {
        let group = Group::of(&status);
        let waits_for = match group {
            Group::Open => WaitsFor::Nothing,
            _ if status.evidence() == Evidence::Operator => {
                status.until().map_or(WaitsFor::Release, WaitsFor::End)
            }
            Group::Deleted if status.is_confirmed() => WaitsFor::Forget,
            Group::Deleted => WaitsFor::Confirmation,
            _ => match next_pull {
                None => WaitsFor::Notification,
                // The shortest that is ever named, also when it is overdue.
                Some(wait) if wait <= Duration::from_secs(1) => WaitsFor::DuePull,
                Some(wait) => now.checked_add(wait).map_or(WaitsFor::DuePull, WaitsFor::Pull),
            },
        };
        Self { tenant, status, group, waits_for }
    }
}

impl List {
    /// Describes a selection of the tenants of `gate`.
    pub(super) fn new(selection: Selection, gate: &TenantGate, now: SystemTime) -> Self {
        let pages = selection.pages();
        let Selection { listed, page, tenants, .. } = selection;
        let row = |(tenant, status): (TenantId, TenantStatus)| {
            let next_pull = gate.next_pull(&tenant);
            Row::new(tenant, status, next_pull, now)
        };
        Self { listed, page, pages, rows: tenants.into_iter().map(row).collect() }
    }
}

impl View {
    pub(super) fn is_ready(&self) -> bool {
        self.environments.iter().all(|environment| environment.report.ready)
    }

    /// Returns whether anything is wrong that leaves it ready.
    pub(super) fn is_degraded(&self) -> bool {
        self.environments.iter().any(|environment| !environment.report.degraded.is_empty())
    }

    /// Returns the number of known tenants.
    pub(super) fn known(&self) -> usize {
        self.environments.iter().map(|environment| environment.health.tenants()).sum()
    }

    /// Returns the number of closed tenants, whatever is searched for.
    pub(super) fn closed(&self) -> usize {
        self.environments.iter().map(|environment| environment.health.closed()).sum()
    }

    /// Returns the numbers of all environments together, of what is searched for.
    pub(super) fn counts(&self) -> Counts {
        let mut sum = Counts::default();
        for environment in &self.environments {
            for (total, own) in sum.iter_mut().zip(environment.counts) {
                *total += own;
            }
        }
        sum
    }
}
