//! Operators' orders that end by themselves.

use std::{
    collections::BTreeSet,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::sync::Notify;

use crate::{clock::Clock, tenant_id::TenantId};

/// The longest note that is kept, in characters.
const MAX_NOTE: usize = 200;

/// `note` as it is kept.
pub(crate) fn cut_note(note: &str) -> String {
    note.chars().take(MAX_NOTE).collect()
}

/// When which tenant's override ends, earliest first.
///
/// An entry may be out of date, because another override was set since: the record decides.
#[derive(Debug, Default)]
pub(crate) struct OverrideExpiry {
    ends: Mutex<BTreeSet<(u64, TenantId)>>,
    earlier: Notify,
}

impl OverrideExpiry {
    /// Notes that the override of `tenant` ends at `ends`, ms since the epoch.
    pub(crate) fn note(&self, ends: u64, tenant: &TenantId) {
        let mut waiting = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.insert((ends, tenant.clone()));
        drop(waiting);
        self.earlier.notify_one();
    }

    /// Takes the tenants whose override may have ended by `now`.
    pub(crate) fn take_due(&self, now: u64) -> Vec<TenantId> {
        let mut waiting = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due = Vec::new();
        while waiting.first().is_some_and(|(ends, _)| *ends <= now) {
            due.extend(waiting.pop_first().map(|(_, tenant)| tenant));
        }
        due
    }

    /// Waits until an override may have ended.
    pub(crate) async fn due(&self, clock: &Clock) {
        loop {
            let first = {
                let waiting = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
                waiting.first().map(|(ends, _)| *ends)
            };
            let Some(ends) = first else {
                self.earlier.notified().await;
                continue;
            };
            let Some(left) = ends.checked_sub(clock.unix_ms()).filter(|left| *left > 0) else {
                return;
            };
            // At most a minute at a time: the wall clock may be set while we sleep.
            let sleep = tokio::time::sleep(Duration::from_millis(left.min(60_000)));
            tokio::select! {
                () = sleep => {}
                () = self.earlier.notified() => {}
            }
        }
    }
}
