//! Leases: one replica of a fleet makes a pull, and its answer serves the others.

use std::time::Duration;

use crate::{
    log,
    status::{Record, history::fresh_for},
    store::{Lease, Store},
    tenant_id::TenantId,
};

/// Duration of a lease for a pull in flight: longer than any pull takes. A lease that lasts longer
/// is one of a pull that was answered.
pub(super) const IN_FLIGHT: Duration = Duration::from_secs(10);

/// Time-out of a request for a lease, after which the pull is made without one.
const TIMEOUT: Duration = Duration::from_secs(1);

/// Longest lease, so that those of tenants that are pulled once a month do not pile up in the store.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// Returns the term of a lease: it stands for the notifications that a pull knows when it is sent.
///
/// Replicas, of other versions too, must agree on it: it is FNV-1a over the type and token time of
/// each notification, in the order of the record.
pub(super) fn term(record: &Record) -> u64 {
    let number = |notified: &crate::status::notified::Notified| u32::from(notified.change());
    let notified = record.notifications();
    let bytes = notified.flat_map(|notified| {
        number(notified).to_be_bytes().into_iter().chain(notified.token_time.to_be_bytes())
    });
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

/// Requests the lease of the pull that is about to be made. A store that can't say leaves the pull
/// to each replica.
pub(super) async fn request(store: &dyn Store, tenant: &TenantId, term: u64) -> Lease {
    match tokio::time::timeout(TIMEOUT, store.try_lease(tenant, term, IN_FLIGHT)).await {
        Ok(Ok(lease)) => lease,
        Ok(Err(_)) | Err(_) => Lease::Granted,
    }
}

/// Has the lease of a pull that was answered last for `ttl`.
pub(super) async fn extend(store: &dyn Store, tenant: &TenantId, term: u64, ttl: Duration) {
    let request = tokio::time::timeout(TIMEOUT, store.try_lease(tenant, term, ttl));
    match request.await {
        // Another holder's serves as well.
        Ok(Ok(_)) => {}
        // It ends soon, and another replica pulls once more.
        Ok(Err(error)) => log::debug!(%tenant, %error, "lease not extended"),
        Err(_) => log::debug!(%tenant, "lease not extended in time"),
    }
}

/// Returns how long an answer spares other replicas their pull: until its own replica pulls next, in
/// `next`, or else for as long as it is valid. `None` when that is not worth a request.
pub(super) fn ttl(valid_for: Option<Duration>, next: Option<Duration>) -> Option<Duration> {
    let ttl = next.unwrap_or_else(|| fresh_for(valid_for)).min(LONGEST);
    (ttl > IN_FLIGHT).then_some(ttl)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::{
        status::{ChangeType, fact::Fact, notified::Notified, pulled::Pulled, state::State},
        store::MemoryStore,
    };

    fn record(notified: &[(ChangeType, i64)]) -> Record {
        let fact = |(change, at): &(ChangeType, i64)| {
            Fact::Notified(Notified::new(*change, *at, 0, Arc::default()))
        };
        Record::from_facts(notified.iter().map(fact).collect(), None)
    }

    #[test]
    fn term_follows_notifications_and_nothing_else() {
        use ChangeType::{Move, Resume, Suspend};
        let suspended = record(&[(Suspend, 10)]);
        let terms = [
            term(&Record::default()),
            term(&suspended),
            term(&record(&[(Suspend, 11)])),
            term(&record(&[(Resume, 10)])),
            term(&record(&[(Suspend, 10), (Move, 10)])),
        ];
        for (place, one) in terms.iter().enumerate() {
            assert!(!terms[..place].contains(one), "{terms:?}");
        }
        let mut pulled = suspended.clone();
        pulled.insert(&Fact::Pulled(Pulled::new(State::Suspended, 7, suspended.deciding())));
        assert_eq!(term(&pulled), term(&suspended));
        // Fixed, because replicas of all versions share it.
        assert_eq!(term(&Record::default()), 0xcbf2_9ce4_8422_2325);
        assert_eq!(term(&suspended), 0x2d93_101e_f3da_896d);
    }

    #[tokio::test(start_paused = true)]
    async fn extended_lease_spares_others_the_pull_till_it_ends() {
        let (store, tenant) = (MemoryStore::new(), TenantId::new("Cust1").unwrap());
        let other = store.clone();
        let s = Duration::from_secs;
        assert_eq!(request(&store, &tenant, 7).await, Lease::Granted);
        extend(&store, &tenant, 7, s(600)).await;
        tokio::time::advance(s(599)).await;
        assert_eq!(request(&other, &tenant, 7).await, Lease::Held { remaining: s(1) });
        assert_eq!(request(&other, &tenant, 8).await, Lease::Granted, "after a notification");
        tokio::time::advance(s(1)).await;
        assert_eq!(request(&other, &tenant, 7).await, Lease::Granted);
    }

    #[test]
    fn answer_serves_until_the_next_pull_or_for_its_validity() {
        let s = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(ttl(s(7200), s(45)), s(45));
        assert_eq!(ttl(s(0), s(8 * 86_400)), s(86_400));
        assert_eq!(ttl(s(1200), None), s(1200));
        assert_eq!(ttl(s(10), None), s(300));
        assert_eq!(ttl(s(86_400), None), s(3600));
        assert_eq!(ttl(None, None), s(300));
        assert_eq!(ttl(s(1200), s(10)), None);
    }
}
