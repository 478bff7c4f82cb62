//! The simulated tenants: their states, their hosts, and the calls that reached them.

use std::{
    collections::{HashMap, VecDeque},
    time::SystemTime,
};

use http::Method;

use crate::{TenantId, status::State};

/// The number of changes kept per tenant, for a state API that lags.
const HISTORY: usize = 64;

/// The number of calls to closed tenants that are kept.
const CLOSED_CALLS: usize = 1_000;

/// The number of tenants that are kept. Beyond it a new one is answered, but not counted.
const TENANTS: usize = 1_000_000;

/// A call that reached a tenant while it was closed, which a gate has to prevent.
#[derive(Debug, Clone)]
pub struct ClosedCall {
    pub(super) tenant: TenantId,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) state: String,
    pub(super) at: SystemTime,
}

impl ClosedCall {
    /// Returns the tenant.
    #[must_use]
    pub fn tenant(&self) -> &TenantId {
        &self.tenant
    }

    /// Returns the method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// Returns the path as it was sent, without the query.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Returns the name of the tenant's state.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state
    }

    /// Returns the time of arrival, by the simulator's clock.
    #[must_use]
    pub fn at(&self) -> SystemTime {
        self.at
    }
}

/// A state as the state API reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ReportedState {
    pub(super) name: String,
    pub(super) running: bool,
}

impl From<State> for ReportedState {
    fn from(state: State) -> Self {
        Self { name: state.name().to_owned(), running: state.is_running() }
    }
}

/// A tenant's state and host from a moment on.
#[derive(Debug, Clone)]
pub(super) struct Snapshot {
    /// ms since the epoch.
    pub(super) since: u64,
    pub(super) state: ReportedState,
    /// The index of the host that serves it.
    pub(super) home: usize,
}

#[derive(Debug, Clone)]
pub(super) struct Tenant {
    /// The id as it was first spelled.
    pub(super) id: TenantId,
    now: Snapshot,
    /// Earlier snapshots, oldest first.
    before: VecDeque<Snapshot>,
    pub(super) calls: u64,
    pub(super) calls_while_closed: u64,
    pub(super) misdirected: u64,
    pub(super) state_requests: u64,
    /// The second at which its newest notification was issued.
    pub(super) issued: Option<i64>,
}

impl Tenant {
    fn new(id: TenantId, home: usize) -> Self {
        let state = ReportedState::from(State::Running);
        Self {
            id,
            now: Snapshot { since: 0, state, home },
            before: VecDeque::new(),
            calls: 0,
            calls_while_closed: 0,
            misdirected: 0,
            state_requests: 0,
            issued: None,
        }
    }

    pub(super) fn now(&self) -> &Snapshot {
        &self.now
    }

    /// Returns the snapshot of `at`, ms since the epoch; the oldest that is kept when that is
    /// later.
    pub(super) fn at(&self, at: u64) -> &Snapshot {
        if self.now.since <= at {
            return &self.now;
        }
        let earlier = self.before.iter().rev().find(|snapshot| snapshot.since <= at);
        earlier.or_else(|| self.before.front()).unwrap_or(&self.now)
    }

    pub(super) fn set(&mut self, since: u64, state: ReportedState, home: usize) {
        let before = std::mem::replace(&mut self.now, Snapshot { since, state, home });
        if self.before.len() == HISTORY {
            self.before.pop_front();
        }
        self.before.push_back(before);
    }
}

/// A tenant as [`Simulator::tenants`](super::Simulator::tenants) lists it.
#[derive(Debug, Clone)]
pub struct TenantSummary {
    id: TenantId,
    state: ReportedState,
    host: String,
    calls: u64,
    calls_while_closed: u64,
    misdirected: u64,
    state_requests: u64,
}

impl TenantSummary {
    pub(super) fn new(tenant: &Tenant, host: String) -> Self {
        let Tenant { id, now, calls, calls_while_closed, misdirected, state_requests, .. } = tenant;
        Self {
            id: id.clone(),
            state: now.state.clone(),
            host,
            calls: *calls,
            calls_while_closed: *calls_while_closed,
            misdirected: *misdirected,
            state_requests: *state_requests,
        }
    }

    /// Returns the tenant, as it was spelled first.
    #[must_use]
    pub fn id(&self) -> &TenantId {
        &self.id
    }

    /// Returns the name of its state, such as `Running`.
    #[must_use]
    pub fn state(&self) -> &str {
        &self.state.name
    }

    /// Returns whether it runs: whether calls to it are answered.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.state.running
    }

    /// Returns `host:port` of the host that serves it.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the number of calls that reached it, closed or not.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.calls
    }

    /// Returns the number of calls that reached it while it was closed.
    #[must_use]
    pub fn calls_while_closed(&self) -> u64 {
        self.calls_while_closed
    }

    /// Returns the number of calls that got 421 from a host that does not serve it.
    #[must_use]
    pub fn misdirected_calls(&self) -> u64 {
        self.misdirected
    }

    /// Returns the number of requests to the state API about it.
    #[must_use]
    pub fn state_requests(&self) -> u64 {
        self.state_requests
    }
}

/// The way in which a tenant host receives a call.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    Open,
    Closed,
    Misdirected,
}

#[derive(Debug)]
pub(super) struct Tenants {
    /// The index of the host that serves each tenant until it moves.
    first_home: usize,
    known: HashMap<TenantId, Tenant>,
    recent: VecDeque<ClosedCall>,
    pub(super) calls: u64,
    pub(super) calls_while_closed: u64,
    pub(super) misdirected: u64,
}

impl Tenants {
    pub(super) fn new(first_home: usize) -> Self {
        Self {
            first_home,
            known: HashMap::new(),
            recent: VecDeque::new(),
            calls: 0,
            calls_while_closed: 0,
            misdirected: 0,
        }
    }

    /// Returns the tenant `id`; when it is not kept, one that runs where all do at first.
    pub(super) fn get(&self, id: &TenantId) -> Tenant {
        self.known.get(id).cloned().unwrap_or_else(|| Tenant::new(id.clone(), self.first_home))
    }

    /// Returns the tenants that are kept, in no order.
    pub(super) fn known(&self) -> impl Iterator<Item = &Tenant> {
        self.known.values()
    }

    /// Applies `change` to the tenant `id`, and keeps it unless there are too many already.
    pub(super) fn with<T>(&mut self, id: &TenantId, change: impl FnOnce(&mut Tenant) -> T) -> T {
        if let Some(tenant) = self.known.get_mut(id) {
            return change(tenant);
        }
        let mut tenant = Tenant::new(id.clone(), self.first_home);
        let answer = change(&mut tenant);
        if self.known.len() < TENANTS {
            self.known.insert(id.clone(), tenant);
        }
        answer
    }

    /// Counts a call to `id` that arrived at `host`.
    pub(super) fn record_call(
        &mut self,
        id: &TenantId,
        host: usize,
        call: impl FnOnce(String) -> ClosedCall,
    ) -> Arrival {
        let (arrival, state) = self.with(id, |tenant| {
            if tenant.now.home != host {
                tenant.misdirected += 1;
                return (Arrival::Misdirected, String::new());
            }
            tenant.calls += 1;
            if tenant.now.state.running {
                return (Arrival::Open, String::new());
            }
            tenant.calls_while_closed += 1;
            (Arrival::Closed, tenant.now.state.name.clone())
        });
        match arrival {
            Arrival::Misdirected => self.misdirected += 1,
            Arrival::Open => self.calls += 1,
            Arrival::Closed => {
                self.calls += 1;
                self.calls_while_closed += 1;
                if self.recent.len() == CLOSED_CALLS {
                    self.recent.pop_front();
                }
                self.recent.push_back(call(state));
            }
        }
        arrival
    }

    pub(super) fn closed_calls(&self) -> Vec<ClosedCall> {
        self.recent.iter().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> TenantId {
        TenantId::new("Cust1").unwrap()
    }

    fn call(state: String) -> ClosedCall {
        let (method, path) = (Method::GET, "/Cust1/api".to_owned());
        ClosedCall { tenant: id(), method, path, state, at: SystemTime::UNIX_EPOCH }
    }

    #[test]
    fn snapshots_are_kept_and_found_by_time() {
        let mut tenant = Tenant::new(id(), 0);
        for at in 1..=100 {
            tenant.set(at * 10, ReportedState { name: at.to_string(), running: true }, 0);
        }
        assert_eq!(tenant.at(5_000).state.name, "100");
        assert_eq!(tenant.at(999).state.name, "99");
        assert_eq!(tenant.at(990).state.name, "99");
        assert_eq!(tenant.before.len(), HISTORY);
        assert_eq!(tenant.at(0).state.name, "36", "the oldest that is left");
    }

    #[test]
    fn closed_calls_beyond_the_bound_are_counted_alone() {
        let mut tenants = Tenants::new(0);
        tenants.with(&id(), |tenant| tenant.set(1, State::Suspended.into(), 0));
        for _ in 0..CLOSED_CALLS + 7 {
            assert_eq!(tenants.record_call(&id(), 0, call), Arrival::Closed);
        }
        assert_eq!(tenants.closed_calls().len(), CLOSED_CALLS);
        assert_eq!(tenants.calls_while_closed, CLOSED_CALLS as u64 + 7);
        assert_eq!(tenants.record_call(&id(), 1, call), Arrival::Misdirected);
        assert_eq!(tenants.get(&id()).misdirected, 1);
    }
}
