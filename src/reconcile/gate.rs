//! The gate as the pull side sees it.

use super::{Correction, Tenants};
use crate::{
    directory::Merged,
    events::TenantEvent,
    gate::Shared,
    status::{
        Record,
        fact::{Fact, Pulled},
    },
    tenant::TenantId,
};

impl Tenants for Shared {
    fn pulled(&self, tenant: &TenantId, pulled: Pulled) -> Merged {
        let merged = self.directory.merge(tenant, &Record::of(Fact::Pulled(pulled)));
        self.grew(tenant, &merged);
        merged
    }

    fn corrected(&self, tenant: &TenantId, merged: &Merged, correction: &Correction) {
        let (tenant, status) = (tenant.clone(), merged.after.clone());
        self.publish(TenantEvent::Corrected { tenant, status, correction: *correction });
    }
}
