//! The removal of a tenant's record: the one change that is not a merge.

use std::sync::Arc;

use super::{Observer, Tenants};
use crate::{status::Record, tenant_id::TenantId};

/// The result of a removal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removal {
    /// The record has something that the one to be forgotten lacks.
    Kept,
    /// There was no record.
    Absent,
    /// The record is removed.
    Removed {
        /// Whether its pull was due, and had not started.
        ready: bool,
    },
}

impl Tenants {
    /// Forgets `tenant`, provided that `record` contains its record, and returns whether it has
    /// none any more. What is sent before this does not bring it back within the next two hours.
    pub(crate) fn forget(&self, tenant: &TenantId, record: &Record) -> bool {
        let observers = self.observers.get().map_or(&[][..], Vec::as_slice);
        let removal = remove(observers, tenant, &mut || self.registry.remove(tenant, record));
        if let Removal::Removed { .. } = removal {
            // A tenant without a record is open: there is nothing left to wait for.
            self.waiters.wake(tenant);
            self.watchers.wake(tenant);
        }
        removal != Removal::Kept
    }
}

/// Calls `removal` from within [`Observer::remove`] of all `observers`.
fn remove(
    observers: &[Arc<dyn Observer>],
    tenant: &TenantId,
    removal: &mut dyn FnMut() -> Removal,
) -> Removal {
    match observers {
        [first, rest @ ..] => first.remove(tenant, &mut || remove(rest, tenant, removal)),
        [] => removal(),
    }
}
