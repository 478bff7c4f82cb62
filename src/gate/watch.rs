//! Watching one tenant: its status as it changes, and the proof of its deletion.

use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::Stream;
use futures_util::stream;
use smol_str::SmolStr;

use super::TenantGate;
use crate::{
    endpoint::origin,
    environment::Environment,
    status::{Record, TenantStatus, UnavailableReason},
    tenant_id::TenantId,
    tenants::Watched,
};

/// The statuses of one tenant, from [`TenantGate::watch`].
///
/// The present status comes first, and then the status after each change. Changes that follow each
/// other faster than the stream is polled are one, so that the last status of a stream that is
/// polled is the present one, and none is missed for good. The stream ends with the gate, as
/// [`Events`](crate::events::Events) do.
pub struct Watch {
    inner: Pin<Box<dyn Stream<Item = TenantStatus> + Send + Sync>>,
}

/// The outcome of a deletion, from [`TenantGate::deletion_confirmed`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Deletion {
    /// The tenant is deleted, and a pull agrees.
    Confirmed,
    /// The tenant is not deleted, or not any more: SuperOffice or an operator's override gave it
    /// another status. Or it was [forgotten](TenantGate::forget).
    NotDeleted,
}

impl TenantGate {
    /// Returns the status of `tenant` now, and then after each change.
    ///
    /// ```
    /// # use futures::StreamExt;
    /// # use tower_superoffice::{TenantGate, TenantId};
    /// # async fn run(gate: TenantGate, tenant: TenantId) {
    /// let mut watch = gate.watch(&tenant);
    /// while let Some(status) = watch.next().await {
    ///     println!("{tenant}: {}", if status.is_available() { "open" } else { "closed" });
    /// }
    /// # }
    /// ```
    #[must_use]
    pub fn watch(&self, tenant: &TenantId) -> Watch {
        let statuses = Arc::clone(&self.parts.statuses);
        let watcher = Watcher { statuses, tenant: tenant.clone(), last: None };
        let inner = Box::pin(stream::unfold(watcher, |mut watcher| async {
            let status = watcher.next().await?;
            Some((status, watcher))
        }));
        Watch { inner }
    }

    /// Waits until a pull agrees that `tenant` is deleted, or the tenant is not deleted.
    ///
    /// A notification's token proves its sender and not its content, and what is erased is gone: so
    /// wait for this before you erase a customer's data. Pulls of a deleted tenant are scheduled by
    /// themselves; [`refresh`](Self::refresh) makes one at once. While the state API is off and no
    /// other replica pulls, or after a [`shutdown`](Self::shutdown), nothing confirms a deletion:
    /// wrap it in a time-out there.
    ///
    /// ```
    /// use tower_superoffice::events::Deletion;
    /// # use tower_superoffice::{TenantGate, TenantId};
    /// # async fn run(gate: TenantGate, tenant: TenantId) {
    ///
    /// match gate.deletion_confirmed(&tenant).await {
    ///     Deletion::Confirmed => println!("erase the data of {tenant}"),
    ///     Deletion::NotDeleted => println!("keep the data of {tenant}"),
    /// }
    /// # }
    /// ```
    pub async fn deletion_confirmed(&self, tenant: &TenantId) -> Deletion {
        let statuses = &self.parts.statuses;
        let ended = || Deletion::of(&statuses.get(tenant));
        // This handle keeps the tenants, so they don't end first; nothing would be confirmed then.
        statuses.watched.find(tenant, ended).await.unwrap_or(Deletion::NotDeleted)
    }
}

impl Deletion {
    /// Returns the outcome; `None` while the deletion waits for its proof.
    fn of(status: &TenantStatus) -> Option<Self> {
        match status.reason() {
            Some(UnavailableReason::Deleted) => status.is_confirmed().then_some(Self::Confirmed),
            _ => Some(Self::NotDeleted),
        }
    }
}

/// The statuses of tenants, complete with their hosts. Keeps no gate alive.
pub(super) struct Statuses {
    watched: Watched,
    environment: Environment,
    /// Whether the state API is on.
    pulls: bool,
}

impl Statuses {
    pub(super) fn new(watched: Watched, environment: Environment, pulls: bool) -> Self {
        Self { watched, environment, pulls }
    }

    pub(super) fn get(&self, tenant: &TenantId) -> TenantStatus {
        let (status, record) = self.watched.registry().look_up(tenant);
        self.complete(status, &record)
    }

    pub(super) fn complete(&self, mut status: TenantStatus, record: &Record) -> TenantStatus {
        let origin = origin(record, &self.environment, self.pulls);
        status.endpoint = origin.map(|origin| SmolStr::new(origin.authority().as_str()));
        status
    }
}

struct Watcher {
    statuses: Arc<Statuses>,
    tenant: TenantId,
    last: Option<TenantStatus>,
}

impl Watcher {
    async fn next(&mut self) -> Option<TenantStatus> {
        let changed =
            || Some(self.statuses.get(&self.tenant)).filter(|now| self.last.as_ref() != Some(now));
        let status = self.statuses.watched.find(&self.tenant, changed).await?;
        self.last = Some(status.clone());
        Some(status)
    }
}

impl Stream for Watch {
    type Item = TenantStatus;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TenantStatus>> {
        self.inner.as_mut().poll_next(cx)
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").finish_non_exhaustive()
    }
}
