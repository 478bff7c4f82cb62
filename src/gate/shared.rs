//! What all handles of a gate share, and what a change of a tenant leads to.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use smol_str::SmolStr;
use tokio::{sync::broadcast, task::AbortHandle};

use crate::{
    clock::Clock,
    environment::Environment,
    health::{Counters, Health, StoreHealth},
    persist::{StoreState, Stored, WriteBack},
    pull::Pulls,
    status::{
        ChangeType, Record, TenantStatus,
        fact::{Fact, Notified, Order, Word},
        tenant_status::system_time,
    },
    tenant_id::TenantId,
    tenants::events::TenantEvent,
    tenants::overrides::Ends,
    tenants::registry::{Merged, Outcome, Registry},
    tenants::waiters::Waiters,
    token::Verifier,
};

/// What all handles, layers and services of a gate share.
pub(crate) struct Shared {
    pub(crate) environment: Environment,
    pub(crate) clock: Clock,
    pub(crate) registry: Arc<Registry>,
    pub(crate) verifier: Verifier,
    pub(crate) counters: Counters,
    pub(crate) body_limit: usize,
    pub(crate) body_deadline: Duration,
    pub(crate) path: Arc<str>,
    pub(crate) resume_jitter: Duration,
    pub(crate) events: broadcast::Sender<TenantEvent>,
    pub(crate) waiters: Arc<Waiters>,
    /// Words that end by themselves.
    pub(crate) ends: Arc<Ends>,
    /// `None` without a store: then nothing has to be carried anywhere.
    pub(crate) write_back: Option<Arc<WriteBack>>,
    /// `None` while the state API is off.
    pub(crate) pulls: Option<Arc<Pulls>>,
    pub(crate) hold_tracked: bool,
    pub(crate) tasks: Tasks,
}

/// The tasks of a gate; they end with it.
#[derive(Default)]
pub(crate) struct Tasks(OnceLock<Vec<AbortHandle>>);

impl Tasks {
    pub(crate) fn keep(&self, tasks: Vec<AbortHandle>) {
        // A gate starts its tasks once, when it is built.
        let _ = self.0.set(tasks);
    }
}

impl Drop for Tasks {
    fn drop(&mut self) {
        self.0.get().into_iter().flatten().for_each(AbortHandle::abort);
    }
}

impl Shared {
    /// Takes a verified notification: from here on calls see what it says.
    pub(crate) fn notified(&self, tenant: &TenantId, notified: Notified) -> Outcome {
        let change = notified.change;
        let at = notified.at;
        // Marked while the tenant is locked: else a duplicate could slip in between, find the tenant
        // clean, and be answered before anything is stored.
        let mark = || self.write_back.iter().for_each(|write_back| write_back.mark(tenant));
        let (outcome, merged) = self.registry.take(tenant, notified, mark);
        self.counters.taken(outcome);
        tracing::info!(%tenant, %change, ?outcome, "notification taken");
        if merged.grew {
            self.follow(tenant, &merged);
            self.announce(tenant, change, at);
        }
        outcome
    }

    /// Publishes what a notification says besides open and closed.
    fn announce(&self, tenant: &TenantId, change: ChangeType, at: i64) {
        let id = tenant.clone();
        self.publish(match change {
            ChangeType::BackupRestored => TenantEvent::Restored { tenant: id, epoch: at },
            ChangeType::Move => TenantEvent::Moved { tenant: id },
            ChangeType::Other(number) => TenantEvent::Unknown { tenant: id, number },
            _ => return,
        });
        // It doesn't say how the tenant is now: the state API does.
        if let Some(pulls) = &self.pulls {
            pulls.evidence(tenant);
        }
    }

    pub(super) fn say(&self, tenant: &TenantId, order: Order, note: String, until: Option<u64>) {
        let now = self.clock.unix_ms();
        tracing::info!(%tenant, ?order, "an operator spoke");
        let merged = self.registry.merge_with(tenant, |record| {
            // Two words within one millisecond: the later one counts.
            let last = record.word().map(|word| word.set_at.saturating_add(1));
            let set_at = now.max(last.unwrap_or(0));
            let word = Word { order, set_at, until, note, extra: serde_json::Map::new() };
            Record::of(Fact::Word(Box::new(word)))
        });
        self.grew(tenant, &merged);
    }

    /// Ends the words whose time has come.
    pub(crate) fn end_words(&self) {
        let now = self.clock.unix_ms();
        for tenant in self.ends.take_due(now) {
            let ended = self.registry.record(&tenant).and_then(|record| record.word_ended(now));
            if let Some(release) = ended {
                let merged = self.registry.merge(&tenant, &release);
                self.grew(&tenant, &merged);
            }
        }
    }

    /// Joins in what the store has of `tenant`.
    pub(crate) fn learn(&self, tenant: &TenantId, record: &Record) {
        let merged = self.registry.load(tenant, record.clone());
        if merged.grew {
            self.follow(tenant, &merged);
        }
    }

    /// What a record that grew here leads to.
    pub(crate) fn grew(&self, tenant: &TenantId, merged: &Merged) {
        if let Some(write_back) = self.write_back.as_ref().filter(|_| merged.grew) {
            write_back.mark(tenant);
        }
        self.follow(tenant, merged);
    }

    /// What a record that grew leads to, wherever it grew first.
    fn follow(&self, tenant: &TenantId, merged: &Merged) {
        if let Some(ends) = self.registry.read(tenant, Record::word_ends).flatten() {
            self.ends.note(ends, tenant);
        }
        if let Some(pulls) = self.pulls.as_ref().filter(|_| merged.grew) {
            pulls.changed(tenant);
        }
        if merged.changed() && merged.after.is_available() {
            self.waiters.wake(tenant);
        }
    }

    /// Keeps `tenant` closed until something is known of it.
    pub(super) fn hold(&self, tenant: &TenantId) {
        let merged = self.registry.hold(tenant, self.clock.unix_ms());
        self.follow(tenant, &merged);
    }

    pub(crate) fn publish(&self, event: TenantEvent) {
        // Nobody has to listen.
        let _ = self.events.send(event);
    }

    /// Waits until what is known of `tenant` is stored; `None` when it already is.
    pub(crate) fn stored(&self, tenant: &TenantId) -> Option<Stored> {
        self.write_back.as_ref()?.stored(tenant)
    }

    /// A notification could not be verified for want of keys.
    pub(crate) fn keys_missing(&self, tenant: &TenantId) {
        if let Some(pulls) = &self.pulls {
            pulls.unverified(tenant);
        }
    }

    pub(super) fn with_endpoint(&self, mut status: TenantStatus, record: &Record) -> TenantStatus {
        let origin = self.origin_in(record);
        status.endpoint = origin.map(|origin| SmolStr::new(origin.authority().as_str()));
        status
    }

    pub(super) fn health(&self) -> Health {
        let state =
            self.write_back.as_ref().map_or(StoreState::Fresh, |write_back| write_back.health());
        Health {
            tenants: self.registry.len(),
            closed: self.registry.closed_count(),
            store: match state {
                StoreState::Fresh => StoreHealth::Fresh,
                StoreState::Stale { since } => StoreHealth::Stale { since: system_time(since) },
                StoreState::Failed => StoreHealth::Failed,
            },
            dirty: self.write_back.as_ref().map_or(0, |write_back| write_back.dirty()),
            notifications: self.counters.read(),
            pulls: self.pulls.as_ref().map(|pulls| pulls.health()),
            refused_calls: 0,
            observed_calls: 0,
        }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TenantGate")
            .field("environment", &self.environment)
            .field("registry", &self.registry)
            .field("write_back", &self.write_back)
            .finish_non_exhaustive()
    }
}
