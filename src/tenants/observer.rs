//! Observers of the changes of tenants.

use super::{Applied, Removal, Tenants};
use crate::tenant_id::TenantId;

/// An observer of the changes of all tenants of a gate.
///
/// The tenants own their observers. An observer must not hold [`Tenants`], or neither would be
/// dropped: it gets a reference with each change.
pub(crate) trait Observer: Send + Sync {
    /// Marks `tenant` as changed here, so that the store lacks the change.
    ///
    /// The tenant is locked until this returns, so that a duplicate of the update can't be answered
    /// before the mark is set. It must neither block nor access the tenants.
    fn mark_dirty(&self, tenant: &TenantId) {
        let _ = tenant;
    }

    /// Handles a change of the record of `tenant`, whichever replica made it first.
    ///
    /// No tenant is locked, and the record may have changed again.
    fn after_change(&self, tenants: &Tenants, tenant: &TenantId, applied: &Applied) {
        let _ = (tenants, tenant, applied);
    }

    /// Calls `removal`, which removes the record of `tenant`, so that what is kept beside the
    /// records changes with it. It must access no other part of the tenants.
    fn remove(&self, tenant: &TenantId, removal: &mut dyn FnMut() -> Removal) -> Removal {
        let _ = tenant;
        removal()
    }

    /// Handles the records of a store that was loaded, of tenants that nothing was known of.
    ///
    /// No tenant is locked, and the records may have changed again.
    fn after_load(&self, tenants: &Tenants, loaded: &[TenantId]) {
        let _ = (tenants, loaded);
    }
}
