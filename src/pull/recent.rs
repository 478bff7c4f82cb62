//! The pulls that were made last, and the requests that they spare.

use std::{collections::HashMap, time::Duration};

use tokio::time::Instant;

use crate::{backoff::BackOff, tenant_id::TenantId};

/// The last pull of each tenant, kept for as long as it may spare another one.
#[derive(Debug, Default)]
pub(super) struct RecentPulls {
    pulls: HashMap<TenantId, RecentPull, foldhash::fast::RandomState>,
    /// Number of pulls beyond which those that are of no more use are swept out.
    sweep_at: usize,
}

#[derive(Debug, Clone, Copy)]
struct RecentPull {
    number: u64,
    at: Instant,
    /// It was made for a misdirected call, and found no other host than before.
    unhelpful: bool,
    /// Number of pulls in a row after which no host was known.
    without_host: u32,
}

/// Time after a pull that did not explain a 421 in which no other is made for one.
pub(super) const MISDIRECT_COOLDOWN: Duration = Duration::from_secs(5);

/// Time after a pull in which calls don't wait for another to locate the tenant.
const LOCATE: BackOff = BackOff::new(Duration::from_secs(15), Duration::from_secs(300));

/// Longest time in flight of a call that may still use a pull made since it was sent.
const IN_USE: Duration = Duration::from_secs(60);

/// Fewer pulls are not swept.
const SLACK: usize = 1024;

impl RecentPulls {
    /// Returns whether there is no point in a pull because of a 421 to a call that was sent when
    /// pull `pull_seq` was the last.
    pub(super) fn answers(&self, tenant: &TenantId, pull_seq: u64, now: Instant) -> bool {
        self.pulls.get(tenant).is_some_and(|pull| {
            pull.number > pull_seq || (pull.unhelpful && now - pull.at < MISDIRECT_COOLDOWN)
        })
    }

    /// Returns whether the last pull was too recent for another to locate the tenant.
    pub(super) fn pauses_locating(&self, tenant: &TenantId, now: Instant) -> bool {
        self.pulls.get(tenant).is_some_and(|pull| now - pull.at < pull.locate_pause())
    }

    /// Records that pull `number` of `tenant` ended. `unhelpful` says that it did not explain a 421
    /// that it was made for, and `without_host` that no host is known.
    pub(super) fn record(
        &mut self,
        tenant: &TenantId,
        number: u64,
        unhelpful: bool,
        without_host: bool,
        now: Instant,
    ) {
        let before = self.pulls.get(tenant).map_or(0, |pull| pull.without_host);
        let without_host = if without_host { before.saturating_add(1) } else { 0 };
        self.pulls.insert(tenant.clone(), RecentPull { number, at: now, unhelpful, without_host });
        if self.pulls.len() > self.sweep_at.max(SLACK) {
            self.pulls.retain(|_, pull| now - pull.at < IN_USE.max(pull.locate_pause()));
            // By the time it has doubled, sweeping has cost little a pull.
            self.sweep_at = 2 * self.pulls.len();
        }
    }
}

impl RecentPull {
    fn locate_pause(&self) -> Duration {
        LOCATE.step(self.without_host.saturating_sub(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenant(number: usize) -> TenantId {
        TenantId::new(format!("Cust{number}")).unwrap()
    }

    #[test]
    fn pulls_of_no_more_use_are_swept() {
        let (mut recent, now) = (RecentPulls::default(), Instant::now());
        let later = now + IN_USE;
        for number in 0..SLACK {
            recent.record(&tenant(number), 1, false, false, now);
        }
        // Three in a row without a host pause for a minute, the fourth for longer than it is in
        // use.
        for _ in 0..4 {
            recent.record(&tenant(0), 1, false, true, now);
        }
        recent.record(&tenant(SLACK), 2, false, false, later);
        assert_eq!(recent.pulls.len(), 2, "the last, and the one that pauses locating");
        assert!(recent.pauses_locating(&tenant(0), later));
        assert!(recent.answers(&tenant(SLACK), 1, later));
        assert!(!recent.answers(&tenant(SLACK), 2, later));
    }

    #[test]
    fn sweeping_waits_until_there_are_twice_as_many() {
        let (mut recent, now) = (RecentPulls::default(), Instant::now());
        let (in_use, later) = (SLACK + 1, now + IN_USE);
        (0..in_use).for_each(|number| recent.record(&tenant(number), 1, false, false, now));
        assert_eq!(recent.pulls.len(), in_use, "all may still spare a pull");
        for number in in_use..2 * in_use {
            recent.record(&tenant(number), 1, false, false, later);
        }
        assert_eq!(recent.pulls.len(), 2 * in_use, "a sweep for each would be dear");
        recent.record(&tenant(2 * in_use), 1, false, false, later);
        assert_eq!(recent.pulls.len(), in_use + 1, "the first are of no more use");
    }

    #[test]
    fn pull_that_explained_a_421_answers_earlier_calls_alone() {
        let (mut recent, now) = (RecentPulls::default(), Instant::now());
        assert!(!recent.answers(&tenant(1), 0, now), "none has been made");
        recent.record(&tenant(1), 5, false, false, now);
        assert!(recent.answers(&tenant(1), 4, now + IN_USE));
        assert!(!recent.answers(&tenant(1), 5, now), "it may have moved since");
        recent.record(&tenant(1), 6, true, false, now);
        let end = now + MISDIRECT_COOLDOWN;
        assert!(recent.answers(&tenant(1), 6, end - Duration::from_millis(1)));
        assert!(!recent.answers(&tenant(1), 6, end));
        assert!(!recent.answers(&tenant(2), 0, now), "of another tenant");
    }
}
