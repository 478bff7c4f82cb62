//! The second pulls of unverified requests.

use std::{collections::VecDeque, time::Duration};

use crate::tenant_id::TenantId;

/// The tenants that are pulled a second time after an unverified request, the oldest first.
///
/// SuperOffice notifies before it closes a tenant, so the pull that such a notification causes at
/// once may find the tenant running. A tenant is remembered until its second pull is over, so that
/// this causes no third.
#[derive(Debug)]
pub(super) struct Repeats {
    /// Beside each tenant the time of its first pull.
    pulled: VecDeque<(TenantId, Duration)>,
    /// Number of those at the front that were taken.
    taken: usize,
    wait: Duration,
}

/// Maximum number of tenants: as many as may wait with an unverified request.
const LIMIT: usize = 256;

/// The time after which a tenant is forgotten whose second pull was not made: another pull of it was
/// in flight. Longer than a second pull waits in a flood.
const FORGOTTEN: Duration = Duration::from_secs(3600);

impl Repeats {
    /// Creates an empty set; a tenant is pulled again after `wait`.
    pub(super) fn new(wait: Duration) -> Self {
        Self { pulled: VecDeque::new(), taken: 0, wait }
    }

    /// Notes that `tenant` was pulled at `now` and found running: for the first time, unless too
    /// many tenants wait, or for the second.
    pub(super) fn note(&mut self, tenant: &TenantId, now: Duration) {
        let is_old = |(_, at): &(TenantId, Duration)| *at + FORGOTTEN <= now;
        while self.taken > 0 && self.pulled.front().is_some_and(is_old) {
            self.pulled.pop_front();
            self.taken -= 1;
        }
        match self.pulled.iter().position(|(own, _)| own == tenant) {
            Some(place) if place < self.taken => self.forget(tenant),
            Some(_) => {}
            None if self.pulled.len() < LIMIT => self.pulled.push_back((tenant.clone(), now)),
            None => {}
        }
    }

    /// Returns when the next tenant is due.
    pub(super) fn next(&self) -> Option<Duration> {
        self.pulled.get(self.taken).map(|(_, at)| at.saturating_add(self.wait))
    }

    /// Takes a tenant that is due at `now`.
    pub(super) fn take(&mut self, now: Duration) -> Option<TenantId> {
        self.next().filter(|due| *due <= now)?;
        let (tenant, _) = self.pulled.get(self.taken)?;
        self.taken += 1;
        Some(tenant.clone())
    }

    /// Removes `tenant`.
    pub(super) fn forget(&mut self, tenant: &TenantId) {
        let Some(place) = self.pulled.iter().position(|(own, _)| own == tenant) else { return };
        self.pulled.remove(place);
        if place < self.taken {
            self.taken -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(number: usize) -> TenantId {
        TenantId::new(format!("Cust{number}")).unwrap()
    }

    fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn tenant_is_taken_once_when_it_is_due() {
        let mut repeats = Repeats::new(s(60));
        repeats.note(&tenant(1), s(10));
        repeats.note(&tenant(2), s(20));
        assert_eq!((repeats.next(), repeats.take(s(69))), (Some(s(70)), None));
        assert_eq!(repeats.take(s(70)), Some(tenant(1)));
        // The pull that this causes, however late.
        repeats.note(&tenant(1), s(500));
        assert_eq!((repeats.take(s(900)), repeats.take(s(900))), (Some(tenant(2)), None));
        assert_eq!(repeats.next(), None);
        repeats.note(&tenant(1), s(901));
        assert_eq!(repeats.next(), Some(s(961)), "a later request");
    }

    #[test]
    fn longest_wait_is_never_over_and_does_not_panic() {
        let mut repeats = Repeats::new(Duration::MAX);
        repeats.note(&tenant(1), s(10));
        assert_eq!((repeats.next(), repeats.take(s(9_999))), (Some(Duration::MAX), None));
    }

    #[test]
    fn flood_fills_a_bounded_list() {
        let mut repeats = Repeats::new(s(60));
        for number in 0..1_000 {
            repeats.note(&tenant(number), s(0));
        }
        assert_eq!(std::iter::from_fn(|| repeats.take(s(60))).count(), LIMIT);
        repeats.note(&tenant(999), s(3_599));
        assert_eq!(repeats.next(), None, "still full");
        repeats.note(&tenant(999), s(3_600));
        assert_eq!(repeats.next(), Some(s(3_660)));
    }

    #[test]
    fn forgotten_tenant_leaves_the_others_in_place() {
        let mut repeats = Repeats::new(s(60));
        (0..4).for_each(|number| repeats.note(&tenant(number), s(0)));
        assert_eq!(repeats.take(s(60)), Some(tenant(0)));
        repeats.forget(&tenant(0));
        repeats.forget(&tenant(2));
        repeats.forget(&tenant(9));
        assert_eq!(repeats.take(s(60)), Some(tenant(1)));
        assert_eq!(repeats.take(s(60)), Some(tenant(3)));
        assert_eq!(repeats.take(s(60)), None);
    }
}
