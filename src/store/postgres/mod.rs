//! A store on a PostgreSQL server, shared by replicas.

mod batch;
mod builder;
mod client;
mod endpoint;
mod error;
mod link;
mod rows;
mod server;
mod statements;
mod subscriber;
#[cfg_attr(not(any(feature = "client", feature = "client-ring")), path = "no_tls.rs")]
mod tls;
mod writer;

use std::{
    fmt,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use futures_core::{future::BoxFuture, stream::BoxStream};
use futures_util::{FutureExt, StreamExt, stream};
use tokio::{
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_postgres::types::Type;

pub use self::builder::PostgresStoreBuilder;
use self::{
    client::StoreClient,
    endpoint::Endpoint,
    error::late,
    link::Parameter,
    rows::column,
    statements::Statements,
    writer::{Job, Kind},
};
use super::{
    Change, Lease, Store, StoreError, StoreWarning, change_stream,
    first_subscription::FirstSubscription, value,
};
use crate::{environment::Environment, status::Record, tenant_id::TenantId};

/// Time-out of a whole merge or removal, which is repeated while others write the same tenant.
const MERGE: Duration = Duration::from_secs(5);

/// Number of leases after which those that have ended are removed.
const SWEEP_EVERY: u32 = 256;

/// Keeps records in a PostgreSQL database that several replicas share.
///
/// A change that one replica stores reaches the others at once: each write has a position, and the
/// replicas are notified and read what follows the position that they have read. After an
/// interruption they go on where they were, and read each tenant that changed once. They load
/// everything again only if they are more than 200,000 changes behind, or data was lost. Open one
/// store per gate: it distinguishes its own writes from those of others.
///
/// # The URL
///
/// `postgres://USER[:PASSWORD]@HOST[:PORT][,HOST[:PORT]...][/DATABASE][?PARAMETERS]`; for a Unix
/// socket its directory is the host, percent-encoded. Of several hosts the first is used that takes
/// writes. Parameters are those of `tokio-postgres`, such as `options` and `application_name`, and
/// `sslmode`:
///
/// | `sslmode` | connections |
/// |---|---|
/// | none | with TLS, unless all hosts are this machine |
/// | `require`, `verify-ca`, `verify-full` | with TLS; the certificate is always verified, and has to name the host |
/// | `prefer` | with TLS if the server offers it, which an attacker on the network can prevent |
/// | `disable` | without TLS |
///
/// # Tables
///
/// The store creates them when it first connects, in the first schema of the user's `search_path`:
/// [`script`](PostgresStore::script) returns the statements, for an owner to run where the user may
/// not. It needs `SELECT`, `INSERT`, `UPDATE` and `DELETE` on them then. For the environment
/// `production` they are:
///
/// | name | content |
/// |---|---|
/// | `tower_superoffice_production_tenants` | tenant id in lower case, to the id as spelled, a space and the record in JSON, with the position of its last write |
/// | `tower_superoffice_production_changes` | the stamps of the last 200,000 positions, and what was forgotten |
/// | `tower_superoffice_production_meta` | one row: the version of the tables and the last position |
/// | `tower_superoffice_production_unreadable` | the last malformed value of a tenant, as it was found when a record replaced it |
/// | `tower_superoffice_production_leases` | unlogged: which replica may pull a tenant |
///
/// # Durability
///
/// A merge returns when its transaction is committed, which with `synchronous_commit` on, the
/// default, means written to disk. `off`, and `fsync` off, are a [warning](Store::warnings).
/// Running replicas store lost records again: they notice a loss within 5 s, by the stamps.
///
/// # Time
///
/// Merges that wait are written together, in one round trip and one transaction, and in two when
/// another replica has just written one of the tenants. Writers take turns for the time of a
/// transaction. No merge takes longer than 5 s, and no other call much longer, whether the server
/// is down, unreachable, full, or holds a lock on a table. While there is no connection, calls fail
/// at once, and attempts to connect are 50 ms to 2 s apart.
///
/// # The server
///
/// PostgreSQL 14 or later; tested with 15. A store takes two connections. Behind a pooler in
/// transaction mode notifications do not arrive: the store notices when it connects, reads changes
/// every 250 ms instead, and [warns](Store::warnings). Nothing has to be prepared, and no setting
/// of a session is changed but by `LISTEN`.
///
/// ```no_run
/// use tower_superoffice::{Environment, store::PostgresStore};
///
/// let store = PostgresStore::connect("postgres://gate:password@db.example/app", &Environment::Production)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct PostgresStore {
    client: Arc<StoreClient>,
    /// To the task that writes; `None` before the first write.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    leases: AtomicU32,
}

impl PostgresStore {
    /// Creates a store in the database at `url`: see [its form](PostgresStore#the-url). With TLS
    /// its certificate is one of a public authority.
    ///
    /// It does not connect yet: [`load`](Store::load) reports an unavailable server.
    ///
    /// # Errors
    ///
    /// When the URL is invalid. The error does not quote it.
    pub fn connect(url: &str, environment: &Environment) -> Result<Self, StoreError> {
        Self::builder(url, environment).connect()
    }

    /// Begins a store in the database at `url`, with more settings than
    /// [`connect`](PostgresStore::connect) has.
    pub fn builder(url: impl Into<String>, environment: &Environment) -> PostgresStoreBuilder {
        PostgresStoreBuilder::new(url.into(), environment)
    }

    /// Returns the SQL that creates the tables of `environment`, for an owner of the schema to run.
    ///
    /// ```
    /// use tower_superoffice::{Environment, store::PostgresStore};
    ///
    /// let script = PostgresStore::script(&Environment::Production);
    /// assert!(script.contains(r#"CREATE TABLE IF NOT EXISTS "tower_superoffice_production_tenants""#));
    /// ```
    #[must_use]
    pub fn script(environment: &Environment) -> String {
        Statements::new(environment).script()
    }

    fn new(endpoint: Endpoint, environment: &Environment) -> Self {
        let client = Arc::new(StoreClient::new(endpoint, environment));
        Self { client, jobs: Mutex::default(), leases: AtomicU32::new(0) }
    }

    /// Returns the sender to the task that writes, which it starts if there is none. A task ends
    /// with the runtime that it was started on.
    fn jobs(&self) -> mpsc::Sender<Job> {
        // Every change under the lock is complete, so a poisoned lock is safe to use.
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        match &*jobs {
            Some(jobs) if !jobs.is_closed() => jobs.clone(),
            _ => {
                let (tx, rx) = mpsc::channel(writer::QUEUE);
                tokio::spawn(writer::run(self.client.clone(), rx));
                jobs.insert(tx).clone()
            }
        }
    }

    async fn write(
        &self,
        kind: Kind,
        tenant: &TenantId,
        given: &Record,
    ) -> Result<Record, StoreError> {
        let name = &self.client.endpoint.name;
        let (answer, answered) = oneshot::channel();
        let job = Job { kind, tenant: tenant.clone(), given: given.clone(), answer };
        let work = async {
            // The task ends only with its runtime.
            self.jobs().send(job).await.map_err(|_| late(name))?;
            answered.await.map_err(|_| late(name))?
        };
        timeout(MERGE, work).await.unwrap_or_else(|_| Err(late(name)))
    }
}

impl Store for PostgresStore {
    fn name(&self) -> String {
        self.client.endpoint.name.clone()
    }

    fn environment(&self) -> Option<&str> {
        Some(&self.client.environment)
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        let mut warnings = self.client.link.warnings();
        if self.client.is_disconnected.load(Ordering::Relaxed) {
            warnings.push(StoreWarning::Other(
                "notifications of the store's server do not arrive, so changes are polled: connect to \
                 the server itself, or use a pooler in session mode"
                    .into(),
            ));
        }
        warnings
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        let client = &*self.client;
        stream::try_unfold(None, move |after: Option<String>| async move {
            let after = match after {
                None => {
                    let longest = link::ANSWER.max(client.endpoint.connect_timeout);
                    client.subscriptions.begin_load(longest).await;
                    String::new()
                }
                Some(after) => after,
            };
            let page = client.page(&after).await?;
            Ok(page.map(|(last, page)| (page, Some(last))))
        })
        .boxed()
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        self.write(Kind::Merge, tenant, record).boxed()
    }

    fn remove<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        self.write(Kind::Remove, tenant, record).boxed()
    }

    fn changes(&self) -> BoxStream<'static, Change> {
        let starting = FirstSubscription::new(&self.client.subscriptions);
        change_stream::spawn(|tx| subscriber::run(self.client.clone(), starting, tx))
    }

    fn try_lease<'a>(
        &'a self,
        tenant: &'a TenantId,
        term: u64,
        ttl: Duration,
    ) -> BoxFuture<'a, Result<Lease, StoreError>> {
        let (client, name) = (&self.client, &self.client.endpoint.name);
        let (key, term) = (value::key(tenant), term.cast_signed());
        // The server refuses times beyond its own range.
        let ttl = ttl.as_millis().clamp(1, 366 * 24 * 3600 * 1000) as f64;
        async move {
            if self.leases.fetch_add(1, Ordering::Relaxed) % SWEEP_EVERY == SWEEP_EVERY - 1 {
                client.link.query(&client.statements.sweep, &[]).await?;
            }
            let parameters: [Parameter<'_>; 4] = [
                (&key, Type::TEXT),
                (&term, Type::INT8),
                (&client.writer, Type::INT8),
                (&ttl, Type::FLOAT8),
            ];
            loop {
                let rows = client.link.query(&client.statements.lease, &parameters).await?;
                let Some(row) = rows.first() else { continue };
                let remaining: Option<i64> = column(name, row, 0)?;
                return Ok(match remaining {
                    None => Lease::Granted,
                    // Negative for one that has just ended.
                    Some(ms) => {
                        Lease::Held { remaining: Duration::from_millis(ms.try_into().unwrap_or(0)) }
                    }
                });
            }
        }
        .boxed()
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresStore")
            .field("name", &self.client.endpoint.name)
            .finish_non_exhaustive()
    }
}
