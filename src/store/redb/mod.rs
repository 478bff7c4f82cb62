//! A store in a redb file, for one process.

mod buffered;
mod file;
mod medium;
mod open;
mod reader;
mod rewrite;
mod writer;

use std::{fmt, path::Path, time::Duration};

use futures_core::{future::BoxFuture, stream::BoxStream};
use futures_util::{StreamExt, stream};

#[cfg(feature = "test-util")]
pub use self::medium::Medium;
use self::{
    file::FileMedium,
    writer::{Tables, Writer},
};
use super::{Store, StoreError};
use crate::{environment::Environment, status::Record, tenant_id::TenantId};

/// Time-out of a call. A disk that is merely busy answers long before.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Keeps records in one file, through crashes and power cuts.
///
/// [`merge`](Store::merge) returns once the record is synced to the disk. Merges that arrive during
/// a sync share the next one, so that a burst takes hardly longer than a single merge.
///
/// Only one process can open the file: a second one gets an error that
/// [`is_in_use`](StoreError::is_in_use). For replicas use a store that several machines can reach.
/// The file is a [redb](https://docs.rs/redb) database with a table for each environment,
/// `tenants:production`, and another, `unreadable:production`, with the last malformed value of
/// each tenant that had one, as it was found.
///
/// After an I/O error, such as a full disk, the file is reopened until it works. After a failed
/// sync nothing in the file counts as durable: its readable content is copied to a fresh file,
/// which is synced before it takes the old one's name. Until then merges fail, so there must be
/// room for both. A process that is killed in between starts with the old file, unaware of the
/// failed sync.
///
/// Do not remove, replace or truncate the file while it is in use: this is not detected, and what
/// is stored from then on is lost when the process ends. An empty file is treated as a new one.
///
/// Dropping the store waits for pending writes, at most 3 s, so that the file can be opened again
/// at once.
///
/// ```
/// use tower_superoffice::{Environment, status::Record, store::{RedbStore, Store}, TenantId};
///
/// # let directory = std::env::temp_dir().join(format!("redb-store-{}", std::process::id()));
/// # std::fs::create_dir_all(&directory)?;
/// # let path = directory.join("tenants.redb");
/// # tokio::runtime::Runtime::new()?.block_on(async {
/// let tenant = TenantId::new("Cust12345")?;
/// let suspend = Record::decode(br#"{"v":"1.0","suspend":{"at":1700000000,"seen":1700000001000,"version":"","file":""}}"#)?;
///
/// let store = RedbStore::open(&path, &Environment::Production)?;
/// store.merge(&tenant, &suspend).await?;
/// drop(store);
///
/// let store = RedbStore::open(&path, &Environment::Production)?;
/// assert_eq!(store.merge(&tenant, &Record::default()).await?, suspend);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// # })?;
/// # std::fs::remove_dir_all(&directory)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedbStore {
    name: String,
    environment: String,
    writer: Writer,
}

impl RedbStore {
    /// Opens the file at `path`, or creates it. Its directory must exist.
    ///
    /// It blocks while it checks the whole file, about 0.1 s for 100,000 tenants: call it before
    /// you serve.
    ///
    /// # Errors
    ///
    /// When the file is in use, damaged, another program's, of a newer schema, or can't be read and
    /// written. The file is then left unchanged.
    pub fn open(path: impl AsRef<Path>, environment: &Environment) -> Result<Self, StoreError> {
        let path = path.as_ref().to_owned();
        let name = format!("redb:{}", path.display());
        file::create(&name, &path)?;
        let medium = FileMedium::new(name.clone(), path);
        Self::start(name, environment, medium)
    }

    /// Opens a database in your own storage, such as one that injects faults.
    ///
    /// The storage is opened now and after each I/O error; the previous one has been closed by
    /// then. `name` is for logs and errors.
    ///
    /// # Errors
    ///
    /// Those of [`open`](RedbStore::open), and those of `medium`.
    #[cfg(feature = "test-util")]
    pub fn with_medium(
        name: impl Into<String>,
        environment: &Environment,
        medium: impl Medium,
    ) -> Result<Self, StoreError> {
        Self::start(name.into(), environment, medium)
    }

    fn start(
        name: String,
        environment: &Environment,
        medium: impl medium::Medium,
    ) -> Result<Self, StoreError> {
        let tables = Tables {
            tenants: format!("tenants:{environment}"),
            unreadable: format!("unreadable:{environment}"),
        };
        let writer = Writer::start(name.clone(), tables, Box::new(medium))?;
        let environment = environment.name();
        Ok(Self { name, environment, writer })
    }

    /// Waits for an answer of the writer, with a time-out because a disk can hang.
    async fn answered<T>(
        &self,
        answer: impl Future<Output = Result<T, StoreError>>,
    ) -> Result<T, StoreError> {
        let late = |_| {
            StoreError::unavailable(format!(
                "{} gave no answer for {MAX_WAIT:?}: check its disk",
                self.name
            ))
        };
        tokio::time::timeout(MAX_WAIT, answer).await.map_err(late)?
    }
}

impl Store for RedbStore {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn environment(&self) -> Option<&str> {
        Some(&self.environment)
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        stream::once(self.answered(self.writer.load()))
            .flat_map(|started| match started {
                Ok(pages) => pages.boxed(),
                Err(error) => stream::iter([Err(error)]).boxed(),
            })
            .boxed()
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        Box::pin(self.answered(self.writer.merge(tenant.clone(), record.clone())))
    }

    fn remove<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        Box::pin(self.answered(self.writer.remove(tenant.clone(), record.clone())))
    }
}

impl fmt::Debug for RedbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedbStore").field("name", &self.name).finish_non_exhaustive()
    }
}
