//! Waiting for any change of a tenant.

use std::sync::Arc;

use crate::{
    tenant_id::TenantId,
    tenants::{registry::Registry, waiters::Waiters},
};

/// The tenants, for watchers that do not keep them alive: a watch ends when they end.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    registry: Arc<Registry>,
    watchers: Arc<Waiters>,
}

impl Watched {
    pub(super) fn new(registry: &Arc<Registry>, watchers: &Arc<Waiters>) -> Self {
        Self { registry: Arc::clone(registry), watchers: Arc::clone(watchers) }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// Waits until `sought` finds something, which it looks for now and after each change of
    /// `tenant`; changes that follow each other fast are one. `None` when the tenants end first.
    pub(crate) async fn find<T>(
        &self,
        tenant: &TenantId,
        sought: impl Fn() -> Option<T>,
    ) -> Option<T> {
        loop {
            if let Some(found) = sought() {
                return Some(found);
            }
            if self.registry.has_ended() {
                return None;
            }
            let goes_on = || sought().is_none() && !self.registry.has_ended();
            self.watchers.wait(tenant, goes_on).await;
        }
    }
}
