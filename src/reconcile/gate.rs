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
    fn pulled(&self, tenant: &TenantId, mut pulled: Pulled) -> Merged {
        // Of two answers within a few milliseconds the later one counts. Times further apart come
        // from another replica's clock, and are left as they are.
        let last = self.directory.record(tenant).and_then(|r| r.pulls().map(|p| p.asked).max());
        if let Some(last) =
            last.filter(|last| last.checked_sub(pulled.asked).is_some_and(|d| d < 10))
        {
            pulled.asked = last.saturating_add(1);
        }
        let merged = self.directory.load(tenant, Record::of(Fact::Pulled(pulled)));
        self.grew(tenant, &merged);
        merged
    }

    fn corrected(&self, tenant: &TenantId, merged: &Merged, correction: &Correction) {
        let (tenant, status) = (tenant.clone(), merged.after.clone());
        self.publish(TenantEvent::Corrected { tenant, status, correction: *correction });
    }
}
