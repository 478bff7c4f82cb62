//! One change of a tenant: it happens, and the receiver is told.

use std::{
    fmt,
    future::{Future, IntoFuture},
    pin::Pin,
    sync::Arc,
};

use http::StatusCode;

use super::{Notification, error::NotifyError, tenants::Shown, world::World};
use crate::{ChangeType, TenantId, status::State};

/// A change of a tenant, such as [`Simulator::upgrade`](super::Simulator::upgrade) begins.
///
/// Await it, and the tenant changes and the receiver is notified, as SuperOffice would; it yields
/// the receiver's answer. Call [`silently`](Self::silently) instead, and the notification is lost.
///
/// A closing change is announced first and takes effect a moment later, once the
/// [notice](super::Simulator::notice) has passed, so that a call that was already on its way does
/// not count against a receiver that was told in time. An opening one takes effect first. The tenant
/// changes even when the notification is refused or gets no answer; it does not when the future is
/// dropped before it is done.
#[must_use = "nothing changes until this is awaited, or `silently` is called"]
pub struct Change {
    world: Arc<World>,
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
    fn new(world: &Arc<World>, tenant: &TenantId, change: ChangeType, kind: Kind) -> Self {
        let notification = Notification::new(world, change, tenant);
        Self { world: Arc::clone(world), tenant: tenant.clone(), kind, notification }
    }

    pub(super) fn closes(
        world: &Arc<World>,
        tenant: &TenantId,
        change: ChangeType,
        state: State,
    ) -> Self {
        Self::new(world, tenant, change, Kind::Closes(state))
    }

    pub(super) fn opens(world: &Arc<World>, tenant: &TenantId) -> Self {
        Self::new(world, tenant, ChangeType::Resume, Kind::Opens)
    }

    pub(super) fn restores(world: &Arc<World>, tenant: &TenantId) -> Self {
        Self::new(world, tenant, ChangeType::BackupRestored, Kind::Restores)
    }

    /// To the host after the one it is on.
    pub(super) fn moves(world: &Arc<World>, tenant: &TenantId) -> Self {
        let home = world.lock().tenants.get(tenant).now().home;
        let home = (home + 1) % world.hosts.len().max(1);
        let mut this = Self::new(world, tenant, ChangeType::Move, Kind::Moves { home });
        this.notification = this.notification.public_endpoint(&world.authority(home));
        this
    }

    /// Makes the change at once and loses its notification.
    pub fn silently(self) {
        self.take_effect();
    }

    /// The notification that is sent, to bend it first and send it by hand.
    pub fn notification(&self) -> Notification {
        self.notification.clone()
    }

    fn take_effect(&self) {
        let now = self.world.clock.unix_ms();
        self.world.lock().tenants.with(&self.tenant, |tenant| {
            let (state, home) = (tenant.now().state.clone(), tenant.now().home);
            match self.kind {
                Kind::Closes(closed) => tenant.set(now, closed.into(), home),
                Kind::Opens => tenant.set(now, Shown::from(State::Running), home),
                Kind::Restores => {}
                Kind::Moves { home } => tenant.set(now, state, home),
            }
        });
    }

    async fn happen(self) -> Result<StatusCode, NotifyError> {
        if !matches!(self.kind, Kind::Closes(_)) {
            self.take_effect();
            return self.notification.send().await;
        }
        let answer = self.notification.send().await;
        let notice = self.world.lock().notice;
        tokio::time::sleep(notice).await;
        self.take_effect();
        answer
    }
}

impl IntoFuture for Change {
    type Output = Result<StatusCode, NotifyError>;
    type IntoFuture = Pin<Box<dyn Future<Output = Self::Output> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.happen())
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Change").field("tenant", &self.tenant).field("kind", &self.kind).finish()
    }
}
