//! A test suite for the [contract](super::Store) of a store, for every implementation.
//!
//! ```
//! use tower_superoffice::store::{MemoryStore, conformance::Conformance};
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let shared = MemoryStore::new();
//! let switch = shared.clone();
//! let report = Conformance::new(move || std::future::ready(Ok(shared.clone())))
//!     .outage(move |up| {
//!         switch.set_available(up);
//!         std::future::ready(())
//!     })
//!     .tenants(1_000)
//!     .run()
//!     .await?;
//! println!("{report}");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! A store has to test by itself what is not visible from outside: that a merge survives a power
//! cut, and that data of another program and records of a newer major schema are refused.

mod change_log;
mod damaged;
mod laws;
mod leases;
mod outage;
mod records;
mod removal;
mod report;
mod scale;
mod writers;

use std::{fmt, sync::Arc, time::Duration};

use futures_core::future::BoxFuture;

use self::report::{Broken, Check};
pub use self::report::{Failure, Report};
use super::{Store, StoreError};
use crate::{status::Record, tenant_id::TenantId};

type Open = dyn Fn() -> BoxFuture<'static, Result<Arc<dyn Store>, StoreError>> + Send + Sync;
type Loss = dyn Fn() -> BoxFuture<'static, ()> + Send + Sync;
type Damage = dyn Fn(TenantId) -> BoxFuture<'static, ()> + Send + Sync;
type Switch = dyn Fn(bool) -> BoxFuture<'static, ()> + Send + Sync;

/// The suite and its configuration.
///
/// Run it on an empty store without other writers: it writes many tenants.
pub struct Conformance {
    open: Box<Open>,
    damage: Option<Box<Damage>>,
    data_loss: Option<Box<Loss>>,
    log_loss: Option<Box<Loss>>,
    switch: Option<Box<Switch>>,
    leases: bool,
    tenants: usize,
    max_wait: Duration,
}

impl Conformance {
    /// Creates a suite for the store that `open` opens.
    ///
    /// `open` is called several times, and its stores are used at the same time, as by replicas.
    /// For a store that allows one process only, return an `Arc` of the same instance.
    pub fn new<S, F>(open: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        S: Store,
        F: Future<Output = Result<S, StoreError>> + Send + 'static,
    {
        let open = move || -> BoxFuture<'static, Result<Arc<dyn Store>, StoreError>> {
            let opened = open();
            Box::pin(async move { Ok(Arc::new(opened.await?) as Arc<dyn Store>) })
        };
        Self {
            open: Box::new(open),
            damage: None,
            data_loss: None,
            log_loss: None,
            switch: None,
            leases: true,
            tenants: 100_000,
            max_wait: Duration::from_secs(10),
        }
    }

    /// Adds the test of outages: `switch(false)` makes the store unavailable, `switch(true)`
    /// available again, with its data.
    #[must_use]
    pub fn outage<F>(mut self, switch: impl Fn(bool) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.switch = Some(Box::new(move |up| Box::pin(switch(up))));
        self
    }

    /// Adds the test of malformed records: `damage(tenant)` overwrites the stored record of
    /// `tenant` with bytes that are no record.
    #[must_use]
    pub fn damage<F>(mut self, damage: impl Fn(TenantId) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.damage = Some(Box::new(move |tenant| Box::pin(damage(tenant))));
        self
    }

    /// Adds the test of lost records: `lose()` removes everything that the store keeps, while it is
    /// in use, as an operator could.
    #[must_use]
    pub fn data_loss<F>(mut self, lose: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.data_loss = Some(Box::new(move || Box::pin(lose())));
        self
    }

    /// Adds the test of lost changes: `lose()` removes the changes that the store keeps for its
    /// subscribers, for example by trimming its log, but no records.
    #[must_use]
    pub fn log_loss<F>(mut self, lose: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.log_loss = Some(Box::new(move || Box::pin(lose())));
        self
    }

    /// Skips the test of leases, for a store that grants every request.
    #[must_use]
    pub fn without_leases(mut self) -> Self {
        self.leases = false;
        self
    }

    /// Sets the number of tenants in the test of scale. The default is 100,000.
    #[must_use]
    pub fn tenants(mut self, tenants: usize) -> Self {
        self.tenants = tenants;
        self
    }

    /// Sets how long a call, and the arrival of a change, may take. The default is 10 s.
    #[must_use]
    pub fn max_wait(mut self, max_wait: Duration) -> Self {
        self.max_wait = max_wait;
        self
    }

    /// Runs the whole suite.
    ///
    /// # Errors
    ///
    /// The first failed check.
    pub async fn run(&self) -> Result<Report, Failure> {
        let mut report = Report::default();
        report.record(Check::Laws, self.laws().await)?;
        report.record(Check::Spelling, self.spelling().await)?;
        report.record(Check::NewerMinor, self.newer_minor().await)?;
        report.record(Check::Damaged, self.damaged().await)?;
        report.record(Check::Dropped, self.dropped().await)?;
        report.record(Check::OneTenant, self.one_tenant().await)?;
        report.record(Check::Changes, self.changes().await)?;
        report.record(Check::Lagging, self.lagging().await)?;
        report.record(Check::LogLoss, self.lost_log().await)?;
        report.record(Check::DataLoss, self.lost_data().await)?;
        report.record(Check::Removal, self.removal().await)?;
        report.record(Check::Leases, self.leases().await)?;
        report.record(Check::Outage, self.outages().await)?;
        let scale = self.scale(&mut report.times).await;
        report.record(Check::Scale, scale)?;
        Ok(report)
    }

    async fn open(&self) -> Result<Arc<dyn Store>, Broken> {
        Ok(self.limit("open", (self.open)()).await??)
    }

    /// Fails when `work` takes longer than the limit.
    async fn limit<F: Future>(&self, what: &str, work: F) -> Result<F::Output, Broken> {
        let late = |_| Broken::new(format!("{what} took longer than {:?}", self.max_wait));
        tokio::time::timeout(self.max_wait, work).await.map_err(late)
    }

    async fn merge(
        &self,
        store: &dyn Store,
        tenant: &TenantId,
        record: &Record,
    ) -> Result<Record, Broken> {
        Ok(self.limit("merge", store.merge(tenant, record)).await??)
    }

    /// Loads all records, merged by tenant.
    async fn load(&self, store: &dyn Store) -> Result<records::View, Broken> {
        use futures_util::StreamExt;

        let mut view = records::View::default();
        let mut pages = store.load();
        while let Some(page) = self.limit("a page of load", pages.next()).await? {
            page?.into_iter().for_each(|(tenant, record)| view.join(tenant, &record));
        }
        Ok(view)
    }
}

impl fmt::Debug for Conformance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conformance")
            .field("damage", &self.damage.is_some())
            .field("data_loss", &self.data_loss.is_some())
            .field("log_loss", &self.log_loss.is_some())
            .field("outage", &self.switch.is_some())
            .field("leases", &self.leases)
            .field("tenants", &self.tenants)
            .field("max_wait", &self.max_wait)
            .finish_non_exhaustive()
    }
}
