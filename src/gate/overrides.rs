//! Overrides: what an operator orders for a tenant.

use std::time::SystemTime;

use super::{Parts, TenantGate};
use crate::{
    log,
    status::overrides::OverrideAction,
    store::StoreError,
    tenant_id::TenantId,
    tenants::{Update, overrides::cut_note},
};

impl TenantGate {
    /// Lets calls to `tenant` through, whatever SuperOffice reports, until
    /// [`release`](Self::release). `note` is kept and logged with the override, cut to 200
    /// characters.
    ///
    /// # Errors
    ///
    /// When the store could not be written in time. The override is in force here all the same, and
    /// is written when the store is available again.
    pub async fn open(&self, tenant: &TenantId, note: impl AsRef<str>) -> Result<(), StoreError> {
        self.set_override(tenant, OverrideAction::Open, note.as_ref(), None).await
    }

    /// Like [`open`](Self::open), until `end`.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn open_until(
        &self,
        tenant: &TenantId,
        note: impl AsRef<str>,
        end: SystemTime,
    ) -> Result<(), StoreError> {
        self.set_override(tenant, OverrideAction::Open, note.as_ref(), Some(end)).await
    }

    /// Refuses calls to `tenant`, whatever SuperOffice reports, until [`release`](Self::release).
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn close(&self, tenant: &TenantId, note: impl AsRef<str>) -> Result<(), StoreError> {
        self.set_override(tenant, OverrideAction::Close, note.as_ref(), None).await
    }

    /// Like [`close`](Self::close), until `end`.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn close_until(
        &self,
        tenant: &TenantId,
        note: impl AsRef<str>,
        end: SystemTime,
    ) -> Result<(), StoreError> {
        self.set_override(tenant, OverrideAction::Close, note.as_ref(), Some(end)).await
    }

    /// Ends the override of `tenant`, so that its status follows SuperOffice again.
    ///
    /// # Errors
    ///
    /// As for [`open`](Self::open).
    pub async fn release(
        &self,
        tenant: &TenantId,
        note: impl AsRef<str>,
    ) -> Result<(), StoreError> {
        self.set_override(tenant, OverrideAction::Release, note.as_ref(), None).await
    }

    async fn set_override(
        &self,
        tenant: &TenantId,
        action: OverrideAction,
        note: &str,
        end: Option<SystemTime>,
    ) -> Result<(), StoreError> {
        let until = end.map(|end| {
            let since = end.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        });
        let Parts { clock, tenants, write_back, .. } = &*self.parts;
        let (note, now) = (cut_note(note), clock.unix_ms());
        let logged = note.clone();
        tenants.apply(tenant, Update::Override { action, note, until, now });
        log::info!(%tenant, ?action, note = ?logged, "override set");
        let stored = write_back.as_ref().and_then(|write_back| write_back.stored(tenant));
        let Some(stored) = stored else { return Ok(()) };
        if stored.in_time().await {
            return Ok(());
        }
        Err(StoreError::unavailable(if write_back.as_ref().is_some_and(|own| own.is_ending()) {
            "the override is in force here but not stored: the gate was shut down"
        } else {
            "the override is in force here but not stored: it is written when the store is available again"
        }))
    }
}
