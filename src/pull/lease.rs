//! Leases: one replica of a fleet makes a pull, and its answer serves the others.
//!
//! Where pulls wait for the rate limit, a tenant's next pull is made long after it is due, which is
//! when the lease ends. A second lease, its *turn*, lasts until about then, so that no replica
//! pulls the tenant before its turn, at the cost of those that wait for longer. A pull that calls
//! need ignores turns.

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

/// Longest lease, so that those of tenants that are pulled once a month do not pile up in the
/// store.
const LONGEST: Duration = Duration::from_secs(24 * 3600);

/// The longest lateness that a turn counts on. If its holder ends, the tenant is held up by its
/// share of that.
const LATEST: Duration = Duration::from_secs(3600);

/// The share of the lateness that a turn lasts: a replica that got more tenants than others is
/// later with each, and those help it out.
const SHARE: f64 = 0.8;

/// A pull that a turn held up is due again so soon: a call may have made it wanted by then.
const HELD_UP: Duration = Duration::from_secs(60);

/// A lease or a turn of another replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct HeldLease {
    /// Time for which it lasts.
    pub(super) remaining: Duration,
    /// Time for which the pull is put off.
    pub(super) wait: Duration,
}

/// The leases of a pull that was answered, with the time for which each is to last; `None` for one
/// that is not worth a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extension {
    term: u64,
    lease: Option<Duration>,
    turn: Option<Duration>,
}

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

/// Returns the term of the turn beside the lease of this `term`. Replicas must agree on it too: it
/// is that of a record with one more byte than any has.
fn turn(term: u64) -> u64 {
    (term ^ u64::from(b't')).wrapping_mul(0x0100_0000_01b3)
}

/// Returns how late a pull is that keeps to turns, by how long it has `waited` since it was due;
/// `None` for one that ignores them, because it is about in time.
pub(super) fn late(waited: Duration) -> Option<Duration> {
    (waited > IN_FLIGHT).then(|| waited.min(LATEST))
}

/// Requests the lease of the pull that is about to be made, and its turn before that if it keeps to
/// turns. Returns the one that another replica has.
pub(super) async fn request(
    store: &dyn Store,
    tenant: &TenantId,
    term: u64,
    keeps_to_turns: bool,
) -> Option<HeldLease> {
    if keeps_to_turns && let Lease::Held { remaining } = try_lease(store, tenant, turn(term)).await
    {
        return Some(HeldLease { remaining, wait: remaining.min(HELD_UP) });
    }
    match try_lease(store, tenant, term).await {
        Lease::Held { remaining } => Some(HeldLease { remaining, wait: remaining }),
        Lease::Granted => None,
    }
}

/// Requests a lease for a pull in flight. A store that can't say leaves the pull to each replica.
async fn try_lease(store: &dyn Store, tenant: &TenantId, term: u64) -> Lease {
    match tokio::time::timeout(TIMEOUT, store.try_lease(tenant, term, IN_FLIGHT)).await {
        Ok(Ok(lease)) => lease,
        Ok(Err(_)) | Err(_) => Lease::Granted,
    }
}

impl Extension {
    /// Returns the leases of a pull, with the time for which each is to last. Its answer is valid
    /// for `valid_for`, and the next pull of its own replica is due in `next`. `late` is the
    /// lateness of a pull that keeps to turns: the next one will be about as late. `None` when no
    /// lease is worth a request.
    pub(super) fn new(
        term: u64,
        valid_for: Option<Duration>,
        next: Option<Duration>,
        late: Option<Duration>,
    ) -> Option<Self> {
        let turn = next
            .zip(late)
            .map(|(next, late)| next.saturating_add(late.mul_f64(SHARE)).min(LONGEST));
        let lease = ttl(valid_for, next);
        (lease.is_some() || turn.is_some()).then_some(Self { term, lease, turn })
    }

    /// Has the leases last for so long.
    pub(super) async fn request(self, store: &dyn Store, tenant: &TenantId) {
        if let Some(ttl) = self.lease {
            extend(store, tenant, self.term, ttl).await;
        }
        if let Some(ttl) = self.turn {
            extend(store, tenant, turn(self.term), ttl).await;
        }
    }
}

/// Has a lease that is held last for `ttl`.
async fn extend(store: &dyn Store, tenant: &TenantId, term: u64, ttl: Duration) {
    let request = tokio::time::timeout(TIMEOUT, store.try_lease(tenant, term, ttl));
    match request.await {
        // Another holder's serves as well.
        Ok(Ok(_)) => {}
        // It ends soon, and another replica pulls once more.
        Ok(Err(error)) => log::debug!(%tenant, %error, "lease not extended"),
        Err(_) => log::debug!(%tenant, "lease not extended in time"),
    }
}

/// Returns how long an answer spares other replicas their pull: until its own replica pulls next,
/// in `next`, or else for as long as it is valid. `None` when that is not worth a request.
fn ttl(valid_for: Option<Duration>, next: Option<Duration>) -> Option<Duration> {
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
        assert_eq!(try_lease(&store, &tenant, 7).await, Lease::Granted);
        extend(&store, &tenant, 7, s(600)).await;
        tokio::time::advance(s(599)).await;
        assert_eq!(try_lease(&other, &tenant, 7).await, Lease::Held { remaining: s(1) });
        assert_eq!(try_lease(&other, &tenant, 8).await, Lease::Granted, "after a notification");
        tokio::time::advance(s(1)).await;
        assert_eq!(try_lease(&other, &tenant, 7).await, Lease::Granted);
    }

    #[tokio::test(start_paused = true)]
    async fn turn_outlasts_the_lease_for_pulls_that_keep_to_it() {
        let (store, tenant) = (MemoryStore::new(), TenantId::new("Cust1").unwrap());
        let other = store.clone();
        let s = Duration::from_secs;
        let held = |remaining, wait| Some(HeldLease { remaining: s(remaining), wait: s(wait) });
        assert_eq!(request(&store, &tenant, 7, true).await, None);
        let extension = Extension::new(7, None, Some(s(45)), late(s(300))).unwrap();
        extension.request(&store, &tenant).await;
        assert_eq!(request(&other, &tenant, 7, true).await, held(285, 60), "it may be wanted soon");
        assert_eq!(request(&other, &tenant, 7, false).await, held(45, 45));
        tokio::time::advance(s(45)).await;
        assert_eq!(request(&other, &tenant, 7, true).await, held(240, 60));
        assert_eq!(request(&other, &tenant, 8, true).await, None, "after a notification");
        tokio::time::advance(s(239)).await;
        assert_eq!(request(&other, &tenant, 7, true).await, held(1, 1));
        assert_eq!(request(&other, &tenant, 7, false).await, None, "one that ignores turns");
        assert_eq!(request(&store, &tenant, 7, true).await, held(10, 10), "as that is in flight");
    }

    #[test]
    fn turn_lasts_until_the_next_pull_is_made() {
        let s = Duration::from_secs;
        let of = |next, waited| Extension::new(7, None, next, late(waited));
        let extension = |lease, turn| Some(Extension { term: 7, lease, turn });
        assert_eq!(of(Some(s(45)), s(10)), extension(Some(s(45)), None), "in time");
        assert_eq!(of(Some(s(45)), s(20)), extension(Some(s(45)), Some(s(61))));
        assert_eq!(of(Some(s(45)), s(7200)), extension(Some(s(45)), Some(s(2925))));
        assert_eq!(of(Some(s(8)), s(20)), extension(None, Some(s(24))));
        assert_eq!(of(Some(s(8)), s(1)), None);
        assert_eq!(of(None, s(11)), extension(Some(s(300)), None), "no next pull");
        assert_ne!(turn(7), 7);
        // Fixed, because replicas of all versions share it.
        assert_eq!(turn(term(&Record::default())), 0xaf63_e94c_8602_02a3);
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
