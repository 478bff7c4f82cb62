//! One change of a tenant, with its notification.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

use http::StatusCode;

use super::{Notification, error::NotifyError, state::SimulatorState, tenants::ReportedState};
use crate::{ChangeType, TenantId, status::State};

/// A change of a tenant, such as [`Simulator::upgrade`](super::Simulator::upgrade) returns.
///
/// Await it, and the tenant changes and the receiver is notified, as SuperOffice would; it yields
/// the receiver's answer. Call [`without_notification`](Self::without_notification) instead, and
/// the notification is lost.
///
/// A closing change is announced first and takes effect a moment later, once the
/// [notice](super::Simulator::notice) has passed, so that a call that was already on its way does
/// not count against a receiver that was notified in time. An opening one takes effect first. The
/// tenant changes even when the notification is refused or gets no answer; it does not when the
/// future is dropped before it is done.
#[must_use = "nothing changes until this is awaited, or `without_notification` is called"]
pub struct Change {
    simulator: Arc<SimulatorState>,
    tenant: TenantId,
    kind: Kind,
    notification: Notification,
}

#[derive(Debug, Clone)]
enum Kind {
    Closes(State),
    Opens,
    Restores,
    Moves { home: usize },
}

impl Change {
    fn new(
        simulator: &Arc<SimulatorState>,
        tenant: &TenantId,
        change: ChangeType,
        kind: Kind,
    ) -> Self {
        let notification = Notification::new(simulator, change, tenant);
        Self { simulator: Arc::clone(simulator), tenant: tenant.clone(), kind, notification }
    }

    pub(super) fn closes(
        simulator: &Arc<SimulatorState>,
        tenant: &TenantId,
        change: ChangeType,
        state: State,
    ) -> Self {
        Self::new(simulator, tenant, change, Kind::Closes(state))
    }

    pub(super) fn opens(simulator: &Arc<SimulatorState>, tenant: &TenantId) -> Self {
        Self::new(simulator, tenant, ChangeType::Resume, Kind::Opens)
    }

    pub(super) fn restores(simulator: &Arc<SimulatorState>, tenant: &TenantId) -> Self {
        Self::new(simulator, tenant, ChangeType::BackupRestored, Kind::Restores)
    }

    /// Moves the tenant to the host after its present one.
    pub(super) fn moves(simulator: &Arc<SimulatorState>, tenant: &TenantId) -> Self {
        let home = simulator.lock().tenants.get(tenant).now().home;
        let home = simulator.next_home(home);
        let mut this = Self::new(simulator, tenant, ChangeType::Move, Kind::Moves { home });
        this.notification = this.notification.public_endpoint(&simulator.authority(home));
        this
    }

    /// Makes the change at once and sends no notification: a lost one.
    pub fn without_notification(self) {
        self.take_effect();
    }

    /// Returns the notification, to change it and send it by hand.
    pub fn notification(&self) -> Notification {
        self.notification.clone()
    }

    fn take_effect(&self) {
        let now = self.simulator.clock.unix_ms();
        self.simulator.lock().tenants.with(&self.tenant, |tenant| {
            let (state, home) = (tenant.now().state.clone(), tenant.now().home);
            match self.kind {
                Kind::Closes(closed) => tenant.set(now, closed.into(), home),
                Kind::Opens => tenant.set(now, ReportedState::from(State::Running), home),
                Kind::Restores => {}
                Kind::Moves { home } => tenant.set(now, state, home),
            }
        });
    }

    async fn apply_and_notify(self) -> Result<StatusCode, NotifyError> {
        if !matches!(self.kind, Kind::Closes(_)) {
            self.take_effect();
            return self.notification.send().await;
        }
        let answer = self.notification.send().await;
        let notice = self.simulator.lock().notice;
        tokio::time::sleep(notice).await;
        self.take_effect();
        answer
    }
}

impl IntoFuture for Change {
    type Output = Result<StatusCode, NotifyError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.apply_and_notify())
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change").field("tenant", &self.tenant).field("kind", &self.kind).finish()
    }
}
