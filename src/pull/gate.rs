//! The gate as the pull side sees it.

use super::{Correction, Tenants};
use crate::{
    gate::Shared,
    status::{
        Record,
        fact::{Fact, Pulled},
    },
    tenant_id::TenantId,
    tenants::events::TenantEvent,
    tenants::registry::Merged,
};

impl Tenants for Shared {
    fn pulled(&self, tenant: &TenantId, mut pulled: Pulled) -> Merged {
        let merged = self.registry.merge_with(tenant, |record| {
            // Of two answers within a few milliseconds the later one counts. Times further apart come
            // from another replica's clock, and are left as they are.
            let last = record.pulls().map(|pulled| pulled.asked).max();
            let last = last.filter(|last| last.checked_sub(pulled.asked).is_some_and(|d| d < 10));
            pulled.asked = last.map_or(pulled.asked, |last| last.saturating_add(1));
            Record::of(Fact::Pulled(pulled))
        });
        self.grew(tenant, &merged);
        merged
    }

    fn corrected(&self, tenant: &TenantId, merged: &Merged, correction: &Correction) {
        let (tenant, status) = (tenant.clone(), merged.after.clone());
        self.publish(TenantEvent::Corrected { tenant, status, correction: *correction });
    }
}
