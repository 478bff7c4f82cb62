//! The end of the write-back: what is dirty is written, and the store freed.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use super::WriteBack;
use crate::store::{Store, StoreError, StoreWarning};

impl WriteBack {
    /// Returns the store.
    ///
    /// # Errors
    ///
    /// When it is freed.
    pub(super) fn store(&self) -> Result<Arc<dyn Store>, StoreError> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).clone();
        store.ok_or_else(|| StoreError::unavailable("the gate was shut down"))
    }

    /// Returns the warnings of the store; none once it is freed.
    pub(crate) fn warnings(&self) -> Vec<StoreWarning> {
        self.store().map(|store| store.warnings()).unwrap_or_default()
    }

    /// Has what is dirty written as soon as the store takes it, without long pauses between the
    /// attempts. Those that wait for a write go on waiting; those that come later fail at once.
    pub(crate) fn begin_end(&self) {
        self.lock().begin_end(tokio::time::Instant::now());
        self.work.notify_one();
        self.back.notify_one();
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.lock().is_ending()
    }

    /// Waits until no tenant is dirty, or the store is freed.
    pub(crate) async fn flush(&self) {
        loop {
            let clean = self.clean.notified();
            if self.dirty() == 0 || self.store().is_err() {
                return;
            }
            clean.await;
        }
    }

    /// Frees the store, and releases those that wait for a write. The task must have ended.
    ///
    /// Closing a store blocks, and on a disk that hangs for long: the caller waits no longer than
    /// `within`. Returns whether the store is closed by then, as far as this gate holds it.
    pub(crate) async fn free_store(&self, within: Duration) -> bool {
        let store = self.take_store();
        if store.is_none() {
            return true;
        }
        let freed = tokio::task::spawn_blocking(move || drop(store));
        // A panic of the store is no reason to wait.
        tokio::time::timeout(within, freed).await.is_ok()
    }

    /// Takes the store out, for the caller to drop, and releases those that wait for a write.
    pub(crate) fn take_store(&self) -> Option<Arc<dyn Store>> {
        let store = self.store.lock().unwrap_or_else(PoisonError::into_inner).take();
        let waiters = self.lock().take_waiters();
        drop(waiters);
        self.clean.notify_waiters();
        store
    }
}
