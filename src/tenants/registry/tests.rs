use std::sync::Arc;

use super::*;
use crate::ChangeType;

#[test]
fn what_is_overdue_is_counted_without_what_is_to_come_or_never() {
    let registry = Registry::new(Settle::default(), broadcast::Sender::new(1));
    let id = |number: u64| TenantId::new(format!("Cust{number}")).unwrap();
    for number in 0..100 {
        registry.load(&id(number), Record::default());
        registry.set_due(&id(number), 1_000_000 + number * 1000);
    }
    for number in 0..10 {
        registry.set_due(&id(number), if number < 5 { 5_000_000 } else { 0 });
    }
    assert_eq!(registry.overdue(999_999), (0, None));
    assert_eq!(registry.overdue(1_049_999), (40, Some(1_010_000)));
    assert_eq!(registry.overdue(6_000_000), (95, Some(1_010_000)));
    assert!(registry.is_overdue(&id(10), 1_010_000));
    assert!(!registry.is_overdue(&id(10), 1_009_999));
    assert!(!registry.is_overdue(&id(9), u64::MAX));
}

#[test]
fn a_tenant_is_spelled_anew_and_stays_as_it_is() {
    let registry = Registry::new(Settle::default(), broadcast::Sender::new(1));
    let [own, stored] = ["CUST1", "Cust1"].map(|id| TenantId::new(id).unwrap());
    registry.respell(&stored);
    assert_eq!(registry.len(), 0, "it is not made by that");
    let suspend = br#"{"v":"1.0","suspend":{"at":1,"seen":1,"version":"","file":""}}"#;
    registry.load(&own, Record::decode(suspend).unwrap());
    registry.set_due(&own, 5000);
    let before = registry.closed(&own);
    registry.respell(&stored);
    assert_eq!((registry.closed(&own), registry.closed_count()), (before, 1));
    assert!(before.is_some() && registry.is_due_at(&own, 5000));
    let mut spelled = Vec::new();
    registry.for_each(|tenant, _, _| spelled.push(tenant.to_string()));
    assert_eq!(spelled, ["Cust1"]);
}

#[test]
fn what_tenants_have_alike_is_kept_once_however_it_came() {
    let registry = Registry::new(Settle::default(), broadcast::Sender::new(1));
    let stored = r#"{"v":"1.0","upgrade":{"at":1,"seen":1,"version":"11.10","file":"11.10.24"}}"#;
    let stored = || Record::decode(stored.as_bytes()).unwrap();
    let notified = || stored().notified(ChangeType::Upgrade).cloned().unwrap();
    let [loaded, again, told] = ["Cust1", "Cust2", "Cust3"].map(|id| TenantId::new(id).unwrap());
    registry.load(&loaded, stored());
    registry.load(&again, stored());
    registry.take(&told, notified(), || ());
    let details = [loaded, again, told].map(|tenant| {
        registry.record(&tenant).unwrap().notified(ChangeType::Upgrade).unwrap().details.clone()
    });
    assert!(Arc::ptr_eq(&details[0], &details[1]) && Arc::ptr_eq(&details[0], &details[2]));
}
