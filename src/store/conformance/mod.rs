//! Does a store keep the [contract](super::Store)? A suite that any store can be run through.
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
//! What it can't see from outside is the store's own to test: that a merge is still there after a
//! power cut, that another program's data is refused, that a record of a newer major schema is.

mod laws;
mod leases;
mod outage;
mod records;
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
type Switch = dyn Fn(bool) -> BoxFuture<'static, ()> + Send + Sync;

/// The suite, and what it needs to know of the store under test.
///
/// Run it on a store of its own: it writes many tenants, and expects nobody else to.
pub struct Conformance {
    open: Box<Open>,
    switch: Option<Box<Switch>>,
    leases: bool,
    tenants: usize,
    patience: Duration,
}

impl Conformance {
    /// A suite for the store that `open` opens.
    ///
    /// `open` is called several times, and its stores are used at the same time: each is what
    /// another replica would have. A store that takes one process at a time gives an `Arc` of
    /// the same one.
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
            switch: None,
            leases: true,
            tenants: 100_000,
            patience: Duration::from_secs(10),
        }
    }

    /// Tests outage and recovery too: `switch(false)` takes the store down, `switch(true)` brings
    /// it back with its data.
    #[must_use]
    pub fn outage<F>(mut self, switch: impl Fn(bool) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.switch = Some(Box::new(move |up| Box::pin(switch(up))));
        self
    }

    /// Leaves out the test of leases, for a store that grants every one.
    #[must_use]
    pub fn without_leases(mut self) -> Self {
        self.leases = false;
        self
    }

    /// How many tenants the test of scale stores. 100,000 unless told.
    #[must_use]
    pub fn tenants(mut self, tenants: usize) -> Self {
        self.tenants = tenants;
        self
    }

    /// How long one call may take before it counts as hanging, and how long a change may take to
    /// arrive. 10 s unless told.
    #[must_use]
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Runs the whole suite.
    ///
    /// # Errors
    ///
    /// The first promise that the store broke.
    pub async fn run(&self) -> Result<Report, Failure> {
        let mut report = Report::default();
        report.take(Check::Laws, self.laws().await)?;
        report.take(Check::Spelling, self.spelling().await)?;
        report.take(Check::NewerMinor, self.newer_minor().await)?;
        report.take(Check::Dropped, self.dropped().await)?;
        report.take(Check::OneTenant, self.one_tenant().await)?;
        report.take(Check::Changes, self.changes().await)?;
        report.take(Check::Leases, self.leases().await)?;
        report.take(Check::Outage, self.outages().await)?;
        let scale = self.scale(&mut report.times).await;
        report.take(Check::Scale, scale)?;
        Ok(report)
    }

    async fn open(&self) -> Result<Arc<dyn Store>, Broken> {
        Ok(self.limit("open", (self.open)()).await??)
    }

    /// Fails when `work` takes longer than a call may.
    async fn limit<F: Future>(&self, what: &str, work: F) -> Result<F::Output, Broken> {
        let late = |_| Broken::new(format!("{what} took longer than {:?}", self.patience));
        tokio::time::timeout(self.patience, work).await.map_err(late)
    }

    async fn merge(
        &self,
        store: &dyn Store,
        tenant: &TenantId,
        record: &Record,
    ) -> Result<Record, Broken> {
        Ok(self.limit("merge", store.merge(tenant, record)).await??)
    }

    /// Everything the store holds, joined by tenant.
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
            .field("outage", &self.switch.is_some())
            .field("leases", &self.leases)
            .field("tenants", &self.tenants)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
