//! The expiry of overrides with an end.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{clock::Clock, tenant_id::TenantId};

/// Maximum length of a note, in characters.
const MAX_NOTE: usize = 200;

/// Truncates `note` to the maximum length.
pub(crate) fn cut_note(note: &str) -> String {
    note.chars().take(MAX_NOTE).collect()
}

/// The ends of overrides, earliest first.
///
/// An entry may be outdated because a later override was set: the record decides.
#[derive(Debug, Default)]
pub(crate) struct OverrideExpiry {
    ends: Mutex<BTreeSet<(u64, TenantId)>>,
    earlier: Notify,
}

impl OverrideExpiry {
    /// Schedules the end of the override of `tenant` at `ends`, in ms since the epoch.
    pub(crate) fn note(&self, ends: u64, tenant: &TenantId) {
        self.lock().insert((ends, tenant.clone()));
        self.earlier.notify_one();
    }

    /// Returns the entries that are due by `now`. They stay until they are [removed](Self::remove),
    /// so that none is lost when their handling panics.
    pub(crate) fn due_by(&self, now: u64) -> Vec<(u64, TenantId)> {
        let waiting = self.lock();
        waiting.iter().take_while(|(ends, _)| *ends <= now).cloned().collect()
    }

    pub(crate) fn remove(&self, entry: &(u64, TenantId)) {
        self.lock().remove(entry);
    }

    /// Waits until an override may have ended.
    pub(crate) async fn due(&self, clock: &Clock) {
        loop {
            let first = self.lock().first().map(|(ends, _)| *ends);
            let Some(ends) = first else {
                self.earlier.notified().await;
                continue;
            };
            let Some(left) = ends.checked_sub(clock.unix_ms()).filter(|left| *left > 0) else {
                return;
            };
            // At most a minute at a time, because the wall clock may be set during the sleep.
            let sleep = tokio::time::sleep(Duration::from_millis(left.min(60_000)));
            tokio::select! {
                () = sleep => {}
                () = self.earlier.notified() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeSet<(u64, TenantId)>> {
        // Every change under the lock is complete, so a poisoned lock is safe to use.
        self.ends.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
