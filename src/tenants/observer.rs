//! Those who follow the changes of tenants.

use super::{Applied, Tenants};
use crate::tenant_id::TenantId;

/// Follows the changes of all tenants of a gate.
///
/// The tenants own their observers. An observer holds no [`Tenants`] in turn, or both would live for
/// ever: it is given them with each change.
pub(crate) trait Observer: Send + Sync {
    /// Notes that the record of `tenant` changed here, so that the store lacks something.
    ///
    /// The tenant is locked, and stays so until this returns: a duplicate of what changed it can't be
    /// answered before the mark is set. Must neither block nor go back to the tenants.
    fn mark_dirty(&self, tenant: &TenantId) {
        let _ = tenant;
    }

    /// Follows a change of the record of `tenant`, wherever it was made first.
    ///
    /// No tenant is locked; the record may have changed again by now.
    fn after_change(&self, tenants: &Tenants, tenant: &TenantId, applied: &Applied) {
        let _ = (tenants, tenant, applied);
    }
}
