//! The state that the parts of a store share: its connection, its cache, and what it has written.

use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use tokio_postgres::types::Type;

use super::{
    endpoint::Endpoint,
    link::{Link, Parameter},
    rows::{CachedValue, Mark, cached, column},
    statements::Statements,
};
use crate::{
    environment::Environment,
    status::{Record, intern::Interner},
    store::{StoreError, cache::Cache, first_subscription::Subscriptions, value},
    tenant_id::TenantId,
};

/// Number of tenants in a page of `load`.
const PAGE: i64 = 2000;

pub(super) struct StoreClient {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) statements: Arc<Statements>,
    pub(super) environment: String,
    pub(super) link: Link,
    /// Distinguishes this store's writes from those of others. Positive.
    pub(super) writer: i64,
    pub(super) cache: Mutex<Cache<Mark>>,
    pub(super) subscriptions: Arc<Subscriptions>,
    /// The last write of this store since the last loss of data.
    pub(super) written: Mutex<Option<Written>>,
    /// Whether notifications have failed to arrive.
    pub(super) is_disconnected: AtomicBool,
}

/// The position of a write, and its stamp in the log of changes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Written {
    pub(super) position: i64,
    pub(super) stamp: i64,
}

impl StoreClient {
    pub(super) fn new(endpoint: Endpoint, environment: &Environment) -> Self {
        let endpoint = Arc::new(endpoint);
        let statements = Arc::new(Statements::new(environment));
        Self {
            link: Link::new(endpoint.clone(), statements.clone()),
            environment: environment.name(),
            endpoint,
            statements,
            writer: fastrand::i64(1..i64::MAX),
            cache: Mutex::default(),
            subscriptions: Subscriptions::new(),
            written: Mutex::default(),
            is_disconnected: AtomicBool::new(false),
        }
    }

    pub(super) fn cache(&self) -> MutexGuard<'_, Cache<Mark>> {
        // Every change under the lock is complete, so a poisoned lock is safe to use.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a stored value in the cache, unless that has a newer one.
    pub(super) fn remember(&self, spelling: TenantId, mut seen: CachedValue) {
        let mut cache = self.cache();
        if let Some((_, there)) = cache.get(&spelling) {
            if there.mark.position > seen.mark.position {
                return;
            }
            let is_same = there.mark.position == seen.mark.position;
            seen.mark.is_published |= is_same && there.mark.is_published;
        }
        cache.put(spelling, seen);
    }

    pub(super) fn written(&self) -> Option<Written> {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_written(&self, written: Option<Written>) {
        *self.written.lock().unwrap_or_else(PoisonError::into_inner) = written;
    }

    /// Empties the cache of stored values, after a loss of data: each merge would find that its
    /// value is outdated.
    pub(super) fn clear_cache(&self) {
        *self.cache() = Cache::default();
    }

    /// Notes whether notifications arrive, and returns whether that is news.
    pub(super) fn set_listens(&self, listens: bool) -> bool {
        self.is_disconnected.swap(!listens, Ordering::Relaxed) == listens
    }

    /// Reads the page after the key `after`, and returns the last key; `None` after the last page.
    pub(super) async fn page(&self, after: &str) -> Result<Option<(String, Page)>, StoreError> {
        let name = &self.endpoint.name;
        let parameters: [Parameter<'_>; 2] = [(&after, Type::TEXT), (&PAGE, Type::INT8)];
        let rows = self.link.query(&self.statements.page, &parameters).await?;
        let Some(last) = rows.last() else { return Ok(None) };
        let last = column(name, last, 0)?;
        let (mut page, mut interner) = (Vec::with_capacity(rows.len()), Interner::default());
        for row in &rows {
            let (key, bytes): (&str, &[u8]) = (column(name, row, 0)?, column(name, row, 1)?);
            let decoded = value::decode_entry(name, key, bytes, &mut interner)?;
            let Some((tenant, record)) = decoded else { continue };
            self.remember(
                tenant.clone(),
                cached(record.clone(), bytes, column(name, row, 2)?, true),
            );
            page.push((tenant, record));
        }
        Ok(Some((last, page)))
    }
}

pub(super) type Page = Vec<(TenantId, Record)>;
