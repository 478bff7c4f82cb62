//! A load that moves records in leads to what a merge of each of them leads to.

use proptest::prelude::*;

use super::{Pulls, count_tests::tenants_and_pulls};
use crate::{
    status::{Record, TenantStatus, UnavailableReason, tests::strategies::records},
    tenant_id::TenantId,
    tenants::{Tenants, Update},
};

fn tenant(number: usize) -> TenantId {
    TenantId::new(format!("Cust{number}")).unwrap()
}

/// All that a gate knows and plans after the records are loaded with `load`, one at a time.
#[derive(Debug, PartialEq)]
struct Loaded {
    tenants: Vec<(Record, TenantStatus)>,
    /// By the index in front of the registry.
    may_be_closed: Vec<bool>,
    numbers: Vec<usize>,
    /// The time of each tenant's next pull.
    due: Vec<Option<std::time::Duration>>,
    waiting: usize,
}

fn loaded(records: &[Record], load: impl Fn(&Tenants, &TenantId, &Record)) -> Loaded {
    // The clock stands still, and chance is the same for both.
    let (tenants, pulls): (_, std::sync::Arc<Pulls>) = tenants_and_pulls(10);
    for (number, record) in records.iter().enumerate() {
        fastrand::seed(number as u64);
        load(&tenants, &tenant(number), record);
    }
    let registry = tenants.registry();
    let ids: Vec<_> = (0..records.len()).map(tenant).collect();
    let status = |id| {
        let (status, record) = registry.look_up(id);
        (record, status)
    };
    let reasons = UnavailableReason::ALL.into_iter();
    Loaded {
        tenants: ids.iter().map(status).collect(),
        may_be_closed: ids.iter().map(|id| registry.may_be_closed(id.folded())).collect(),
        numbers: [registry.len(), registry.closed_count()]
            .into_iter()
            .chain(reasons.map(|reason| registry.closed_for(reason)))
            .collect(),
        due: ids.iter().map(|id| registry.due(id).map(|due| due.time())).collect(),
        waiting: pulls.health().waiting(),
    }
}

proptest! {
    #[test]
    fn insert_leads_to_what_merges_lead_to(
        records in proptest::collection::vec(records(), 0..12),
    ) {
        let records: Vec<_> = records.into_iter().filter(|record| !record.is_empty()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        let _entered = runtime.enter();
        let inserted = loaded(&records, |tenants, id, record| {
            let mut page = vec![(id.clone(), record.clone())];
            assert_eq!(tenants.insert(&mut page), std::slice::from_ref(id));
        });
        let merged = loaded(&records, |tenants, id, record| {
            tenants.apply(id, Update::Loaded(record.clone()));
        });
        prop_assert_eq!(inserted, merged);
    }
}
