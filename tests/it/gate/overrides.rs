//! Overrides, and waiting until a tenant opens.

use std::time::{Duration, SystemTime};

use futures::FutureExt;
use harness::tenant;
use tower_superoffice::{UnavailableReason, status::Evidence};

use super::{builder, gate};
use crate::notification::logs::Log;

#[tokio::test]
async fn override_masks_the_status_until_released() {
    let (gate, tenant) = (gate().await, tenant("Cust1"));
    gate.close(&tenant, "maintenance").await.unwrap();
    let closed = gate.check(&tenant).unwrap_err();
    assert_eq!(closed.reason(), UnavailableReason::Operator);
    assert_eq!(closed.evidence(), Evidence::Operator);
    assert_eq!(closed.note(), Some("maintenance"));
    assert_eq!(gate.status(&tenant).note(), Some("maintenance"));
    gate.open(&tenant, "done").await.unwrap();
    assert!(gate.check(&tenant).is_ok());
    assert_eq!(gate.status(&tenant).evidence(), Evidence::Operator);
    gate.release(&tenant, "").await.unwrap();
    assert_eq!(gate.status(&tenant).evidence(), Evidence::Notification);
}

#[tokio::test]
async fn override_is_logged_with_its_note_on_one_line() {
    let log = Log::default();
    let _logging = log.set_default();
    let gate = gate().await;
    gate.close(&tenant("Cust1"), "import\nuntil six").await.unwrap();
    let text = log.text();
    let line = text.lines().find(|line| line.contains("override set")).unwrap();
    assert!(
        line.contains("Cust1") && line.contains("import") && line.contains("until six"),
        "{line}"
    );
}

#[tokio::test(start_paused = true)]
async fn override_expires_and_wakes_waiters() {
    let (start, began) = (SystemTime::now(), tokio::time::Instant::now());
    let gate =
        builder().any_audience().clock(move || start + began.elapsed()).build().await.unwrap();
    let tenant = tenant("Cust1");
    let end = start + Duration::from_secs(3600);
    gate.close_until(&tenant, "an hour", end).await.unwrap();
    // Orders are kept to the millisecond.
    let until = gate.status(&tenant).until().unwrap();
    assert!(end.duration_since(until).unwrap() < Duration::from_millis(1), "{until:?}");
    gate.available(&tenant).await.unwrap();
    assert_eq!(gate.status(&tenant).until(), None);
    let waited = began.elapsed();
    assert!((3600..3661).contains(&waited.as_secs()), "{waited:?}");
}

#[tokio::test]
async fn available_resolves_when_the_tenant_is_open() {
    let (gate, tenant) = (gate().await, tenant("Cust1"));
    assert!(matches!(gate.available(&tenant).now_or_never(), Some(Ok(()))));
    gate.close(&tenant, "").await.unwrap();
    let waiting: Vec<_> = (0..1000).map(|_| tokio::spawn(gate.available(&tenant))).collect();
    tokio::task::yield_now().await;
    assert!(waiting.iter().all(|waiter| !waiter.is_finished()));
    gate.open(&tenant, "").await.unwrap();
    for waiter in waiting {
        waiter.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn resume_jitter_spreads_waiters() {
    let jitter = Duration::from_secs(10);
    let gate = builder().any_audience().resume_jitter(jitter).build().await.unwrap();
    let tenant = tenant("Cust1");
    gate.close(&tenant, "").await.unwrap();
    let waiting: Vec<_> = (0..200)
        .map(|_| {
            let available = gate.available(&tenant);
            tokio::spawn(async move {
                available.await.unwrap();
                tokio::time::Instant::now()
            })
        })
        .collect();
    tokio::task::yield_now().await;
    let opened = tokio::time::Instant::now();
    gate.open(&tenant, "").await.unwrap();
    let mut delays = Vec::new();
    for waiter in waiting {
        delays.push(waiter.await.unwrap() - opened);
    }
    delays.sort();
    assert!(
        delays[0] < Duration::from_secs(2) && delays[199] > Duration::from_secs(8),
        "{delays:?}"
    );
    assert!(delays[199] <= jitter + Duration::from_millis(10));
}
