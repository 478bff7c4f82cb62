//! A store around another, for tests that change one of its answers.

use std::{ops::Deref, time::Duration};

use futures::{future::BoxFuture, stream::BoxStream};
use tower_superoffice::{
    TenantId,
    status::Record,
    store::{Change, Lease, Store, StoreError, StoreWarning},
};

/// The methods of a store around an inner one, which answers all that a test does not override.
pub trait Wrap: Send + Sync + 'static {
    /// The inner store.
    type Inner: Store;

    /// Returns the inner store.
    fn inner(&self) -> &Self::Inner;

    /// Implements [`Store::load`].
    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        self.inner().load()
    }

    /// Implements [`Store::merge`].
    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        self.inner().merge(tenant, record)
    }

    /// Implements [`Store::changes`].
    fn changes(&self) -> BoxStream<'static, Change> {
        self.inner().changes()
    }

    /// Implements [`Store::try_lease`].
    fn try_lease<'a>(
        &'a self,
        tenant: &'a TenantId,
        term: u64,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.inner().try_lease(tenant, term, ttl)
    }
}

/// The store that a [`Wrap`] is around its inner one.
#[derive(Debug, Clone, Default)]
pub struct Wrapped<W>(pub W);

impl<W> Deref for Wrapped<W> {
    type Target = W;

    fn deref(&self) -> &W {
        &self.0
    }
}

impl<W: Wrap> Store for Wrapped<W> {
    fn name(&self) -> String {
        self.inner().name()
    }

    fn environment(&self) -> Option<&str> {
        self.inner().environment()
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        self.inner().warnings()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        self.0.load()
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        self.0.merge(tenant, record)
    }

    fn remove<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        self.inner().remove(tenant, record)
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        self.0.changes()
    }

    fn try_lease<'a>(
        &'a self,
        tenant: &'a TenantId,
        term: u64,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        self.0.try_lease(tenant, term, ttl)
    }
}
