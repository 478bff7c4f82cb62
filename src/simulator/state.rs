//! The state of a simulator, shared by its handles and its servers.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::{StatusCode, Uri};

use super::{control::Control, fault::Fault, key::SigningKey, sender::Receiver, tenants::Tenants};
use crate::{TenantId, clock::Clock};

/// Largest lead of a notification's token over the clock, in seconds.
///
/// A token is valid from 60 s before its issue, so a receiver accepts it that early without leeway.
const AHEAD: i64 = 60;

/// The state that handles and servers share.
#[derive(Debug)]
pub(super) struct SimulatorState {
    pub(super) clock: Clock,
    pub(super) application_id: String,
    /// The origins of the hosts. The first is the environment's own.
    pub(super) hosts: Vec<Uri>,
    /// The index of the first host that serves tenants: they are there until they move.
    pub(super) first_home: usize,
    live: Mutex<LiveState>,
}

/// The part of the state that changes while the simulator runs.
#[derive(Debug)]
pub(super) struct LiveState {
    pub(super) key: Arc<SigningKey>,
    /// Earlier keys that are still published.
    pub(super) old_keys: Vec<Arc<SigningKey>>,
    pub(super) tenants: Tenants,
    pub(super) receiver: Option<Receiver>,
    pub(super) control: Option<Control>,
    pub(super) key_fault: Fault,
    pub(super) state_fault: Fault,
    pub(super) tenant_fault: Fault,
    pub(super) state_lag: Duration,
    pub(super) state_validity: Duration,
    pub(super) notice: Duration,
    pub(super) closed_status: StatusCode,
    pub(super) key_requests: u64,
    pub(super) state_requests: u64,
}

impl SimulatorState {
    pub(super) fn new(
        clock: Clock,
        application_id: String,
        hosts: Vec<Uri>,
        first_home: usize,
        key: SigningKey,
    ) -> Self {
        let live = LiveState {
            key: Arc::new(key),
            old_keys: Vec::new(),
            tenants: Tenants::new(first_home),
            receiver: None,
            control: None,
            key_fault: Fault::None,
            state_fault: Fault::None,
            tenant_fault: Fault::None,
            state_lag: Duration::ZERO,
            state_validity: Duration::from_secs(10),
            notice: Duration::from_millis(100),
            closed_status: StatusCode::SERVICE_UNAVAILABLE,
            key_requests: 0,
            state_requests: 0,
        };
        Self { clock, application_id, hosts, first_home, live: Mutex::new(live) }
    }

    /// Locks the part that changes. A poisoned lock is used all the same: every field is valid at
    /// any time.
    pub(super) fn lock(&self) -> MutexGuard<'_, LiveState> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the origin of the host with this index, without a trailing slash.
    pub(super) fn origin(&self, host: usize) -> String {
        let host = self.hosts.get(host).map(Uri::to_string).unwrap_or_default();
        host.trim_end_matches('/').to_owned()
    }

    /// Returns the index of the host that a tenant moves to from the host `home`.
    pub(super) fn next_home(&self, home: usize) -> usize {
        if home + 1 < self.hosts.len() { home + 1 } else { self.first_home }
    }

    /// Returns `host:port` of the host with this index.
    pub(super) fn authority(&self, host: usize) -> String {
        let authority = self.hosts.get(host).and_then(Uri::authority);
        authority.map(ToString::to_string).unwrap_or_default()
    }

    /// Reserves the second at which the next notification of `tenant` is issued.
    ///
    /// Receivers distinguish notifications of one type by the second of their token. A simulation
    /// is quicker than that, so each notification of a tenant is issued a second after the one
    /// before.
    pub(super) fn reserve_second(&self, tenant: &TenantId) -> i64 {
        let now = self.clock.unix_s();
        self.lock().tenants.with(tenant, |tenant| {
            let next = tenant.issued.map_or(now, |last| now.max(last.saturating_add(1)));
            let next = next.min(now.saturating_add(AHEAD));
            tenant.issued = Some(next);
            next
        })
    }
}
