//! A store on a Redis server, shared by replicas.

mod builder;
mod change_log;
mod connection;
mod digest;
mod endpoint;
mod error;
mod keyed_lock;
mod live;
mod names;
mod removal;
mod sentinel;
mod server;
mod subscriber;
#[cfg_attr(not(any(feature = "client", feature = "client-ring")), path = "no_tls.rs")]
mod tls;
mod url;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_core::{future::BoxFuture, stream::BoxStream};
use futures_util::{FutureExt, StreamExt, stream};
use redis::{Script, Value};
use tokio::time::timeout;

pub use self::builder::RedisStoreBuilder;
use self::{
    change_log::ChangeLog,
    connection::{Link, Request},
    digest::{Digest, cached},
    endpoint::Endpoint,
    error::late,
    keyed_lock::KeyedLock,
    names::Names,
};
use super::{
    Change, Lease, Store, StoreError, StoreWarning,
    cache::Cache,
    change_stream,
    first_subscription::{FirstSubscription, Subscriptions},
    value,
};
use crate::{
    environment::Environment,
    status::{Record, intern::Interner},
    tenant_id::TenantId,
};

/// Time-out of a whole merge or removal, which is repeated while others write the same tenant.
const MERGE: Duration = Duration::from_secs(5);

/// Number of tenants in a page of `load`.
const PAGE: usize = 1000;

/// Number of entries that the change log keeps at least. It keeps as many as there are tenants.
const MIN_ENTRIES: usize = 10_000;

/// Keeps records on a Redis server that several replicas share.
///
/// A change that one replica stores reaches the others at once: each write appends an entry to a
/// change log, a Redis stream, which the replicas read. After an interruption they go on where they
/// were, and read each tenant that changed once. They load everything again only if entries that
/// they had not read were trimmed, or data was lost. Open one store per gate: it distinguishes its
/// own writes from those of others.
///
/// # The URL
///
/// | form | the server |
/// |---|---|
/// | `redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE]` | is at this address |
/// | `redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/SERVICE[/DATABASE]` | is the primary that most of these Sentinels name, at each connection |
/// | `redis+unix:///PATH[?db=DATABASE&user=USER&pass=PASSWORD]` | listens on this Unix socket; not on Windows |
///
/// `rediss://` and `rediss+sentinel://` connect with TLS, the latter to the Sentinels too; the
/// certificates are of the host names, or of the addresses that Sentinels give. User and password
/// are the server's. Those of Sentinels that need some follow as
/// `?sentinel_username=USER&sentinel_password=PASSWORD`. Special characters are percent-encoded.
///
/// # Failover
///
/// The server must be a primary. One that becomes a replica is left at once, even if it keeps its
/// connections, and one that refuses writes for another reason is left after 5 s; the address is
/// resolved, or the Sentinels are queried, again and again, at most 2 s apart, until there is a
/// primary. What a failover of Redis loses is stored again by running replicas.
///
/// # Time
///
/// A merge takes one round trip; two when another replica has just written the same tenant, or when
/// there are more than the 131,072 tenants of the cache. No call takes longer than a few seconds,
/// whether the server is down, paused or unreachable. While there is no connection, calls fail at
/// once, and attempts to connect are 50 ms to 2 s apart.
///
/// # The server
///
/// Redis 6.0 or later, or a compatible server. Commands: `PING`, `EVALSHA`, `SCRIPT LOAD`, `HGET`,
/// `HMGET`, `HSET`, `HDEL`, `HLEN`, `HSCAN`, `XADD` with `MAXLEN`, `XRANGE`, `XREVRANGE`, `XREAD`
/// with `BLOCK`, `GET`, `PTTL`, `SET` with `PX`; `AUTH` and `SELECT` if the URL needs them; `INFO`
/// and `TIME` for [`warnings`](Store::warnings) and for noticing a replica before the first write,
/// both of which are left out without these rights. For the environment `production` they use:
///
/// | name | content |
/// |---|---|
/// | `{tower-superoffice:production}:tenants` | hash: tenant id in lower case to the id as spelled, a space and the record in JSON; the empty field tells one hash from another after a loss |
/// | `{tower-superoffice:production}:changes` | stream: which tenant changed, and which replica stored it, or forgot which record; as many entries as there are tenants, at least 10,000, of some 45 bytes |
/// | `{tower-superoffice:production}:unreadable` | hash: tenant id in lower case to its last malformed value, as it was found when a record replaced it |
/// | `{tower-superoffice:production}:lease:*` | keys with a time to live: which replica may pull a tenant, by the term of the lease |
///
/// The minimal ACL rule:
/// `~{tower-superoffice:*}:* -@all +ping +evalsha +script|load +hget +hmget +hset +hdel +hlen +hscan +xadd +xrange +xrevrange +xread +get +pttl +set +select +info +time`.
///
/// The names share a hash tag, so that a cluster keeps them on one node. The error of another node
/// names that node.
///
/// Set `maxmemory-policy` to `noeviction` or one of the `volatile-` policies: the hash and the
/// stream must not be evicted, and another policy is a [warning](Store::warnings). The server's
/// `appendfsync` bounds the loss in a crash. Running replicas store lost records again. They notice
/// a loss, also of a part, by the change log: when they reconnect, with the next change, and within
/// 5 s without one. An operator who edits the hash by hand removes the stream afterwards: then
/// every replica loads the hash again.
///
/// ```no_run
/// use tower_superoffice::{Environment, store::RedisStore};
///
/// let store = RedisStore::connect("rediss://gate:password@redis.example:6379/0", &Environment::Production)?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RedisStore {
    client: Arc<StoreClient>,
}

struct StoreClient {
    endpoint: Arc<Endpoint>,
    names: Names,
    environment: String,
    link: Link,
    script: Script,
    remove_script: Script,
    lease_script: Script,
    log: ChangeLog,
    /// Distinguishes this store's entries in the change log from those of others.
    writer: String,
    cache: Mutex<Cache<Digest>>,
    turns: KeyedLock,
    subscriptions: Arc<Subscriptions>,
}

impl RedisStore {
    /// Creates a store on the server at `url`: see [its forms](RedisStore#the-url). With TLS its
    /// certificate is one of a public authority.
    ///
    /// It does not connect yet: [`load`](Store::load) reports an unavailable server.
    ///
    /// # Errors
    ///
    /// When the URL is invalid. The error does not quote it.
    pub fn connect(url: &str, environment: &Environment) -> Result<Self, StoreError> {
        Self::builder(url, environment).connect()
    }

    /// Creates a store like [`connect`](RedisStore::connect), for a server with a certificate of
    /// your own authority. Only the root certificates in `pem` are trusted.
    ///
    /// # Errors
    ///
    /// When the URL is invalid, or `pem` contains no certificate.
    pub fn connect_with_roots(
        url: &str,
        environment: &Environment,
        pem: impl AsRef<[u8]>,
    ) -> Result<Self, StoreError> {
        Self::builder(url, environment).roots(pem.as_ref()).connect()
    }

    /// Begins a store on the server at `url`, with more settings than
    /// [`connect`](RedisStore::connect) has.
    pub fn builder(url: impl Into<String>, environment: &Environment) -> RedisStoreBuilder {
        RedisStoreBuilder::new(url.into(), environment)
    }

    fn new(endpoint: Endpoint, environment: &Environment) -> Self {
        let endpoint = Arc::new(endpoint);
        let client = StoreClient {
            link: Link::new(endpoint.clone()),
            names: Names::new(environment),
            environment: environment.name(),
            endpoint,
            script: Script::new(include_str!("merge.lua")),
            remove_script: Script::new(include_str!("remove.lua")),
            lease_script: Script::new(include_str!("lease.lua")),
            log: ChangeLog::new(),
            writer: format!("{:016x}", fastrand::u64(..)),
            cache: Mutex::default(),
            turns: KeyedLock::default(),
            subscriptions: Subscriptions::new(),
        };
        Self { client: Arc::new(client) }
    }
}

impl StoreClient {
    /// Waits for first subscriptions in progress, and notes a load.
    async fn begin_load(&self) {
        let longest = connection::ANSWER.max(self.endpoint.connect_timeout);
        self.subscriptions.begin_load(longest).await;
    }

    /// Empties the cache of stored values, after a loss of data: each merge would find that its
    /// value is outdated.
    fn clear_cache(&self) {
        *self.cache() = Cache::default();
    }

    fn cache(&self) -> MutexGuard<'_, Cache<Digest>> {
        // Every change under the lock is complete, so a poisoned lock is safe to use.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn merge(&self, tenant: &TenantId, given: &Record) -> Result<Record, StoreError> {
        let key = value::key(tenant);
        let _turn = self.turns.take(&key).await;
        let mut there = self.cache().get(tenant);
        let mut just_returned = false;
        loop {
            let digest = there.as_ref().map(|(_, seen)| seen.mark.hex());
            let (spelling, mut record) = match &there {
                Some((spelling, seen)) => (spelling.clone(), seen.record.clone()),
                None => (tenant.clone(), Record::default()),
            };
            let malformed = record.is_unreadable();
            let changed = record.merge(given) && !record.is_empty();
            let value = changed.then(|| value::encode(&spelling, &record));
            // A cached value may be outdated. One that the server has just returned is stored.
            let put = match &value {
                None if just_returned => Put::Done,
                value => self.put(&key, digest.as_deref(), value.as_deref(), malformed).await?,
            };
            there = match put {
                Put::Done => {
                    let seen = value.map(|value| cached(record.clone(), &value));
                    let seen = seen.or(there.map(|(_, seen)| seen));
                    if let Some(seen) = seen {
                        self.cache().put(spelling, seen);
                    }
                    return Ok(record);
                }
                Put::Other(None) => None,
                Put::Other(Some(value)) => {
                    let (spelling, record) = value::decode(&self.endpoint.name, tenant, &value)?;
                    Some((spelling, cached(record, &value)))
                }
            };
            just_returned = true;
        }
    }

    /// Stores `value`, if any, provided that the stored value has this `digest`. That is kept aside
    /// if it is `malformed`.
    async fn put(
        &self,
        key: &str,
        digest: Option<&str>,
        value: Option<&[u8]>,
        malformed: bool,
    ) -> Result<Put, StoreError> {
        let mut call = self.script.key(&self.names.tenants);
        call.key(&self.names.unreadable).key(&self.names.changes);
        call.arg(key).arg(digest.unwrap_or_default()).arg(value.unwrap_or_default());
        call.arg(&self.writer).arg(u8::from(malformed)).arg(MIN_ENTRIES);
        let request = match value {
            Some(_) => Request::Write(&call),
            None => Request::Script(&call),
        };
        self.outcome(self.link.send(request).await?)
    }

    /// Reads the reply of a script that writes, if what is stored is what the writer expects.
    fn outcome(&self, reply: Value) -> Result<Put, StoreError> {
        match reply {
            Value::Int(_) => Ok(Put::Done),
            Value::SimpleString(id) => {
                self.log.note_written(&id);
                Ok(Put::Done)
            }
            Value::BulkString(other) if other.is_empty() => Ok(Put::Other(None)),
            Value::BulkString(other) => Ok(Put::Other(Some(other))),
            _ => Err(self.unexpected_reply()),
        }
    }

    /// Reads the page at `cursor`, and returns the next cursor: 0 after the last page.
    async fn page(&self, cursor: u64) -> Result<(u64, Vec<(TenantId, Record)>), StoreError> {
        let mut scan = redis::cmd("HSCAN");
        scan.arg(&self.names.tenants).arg(cursor).arg("COUNT").arg(PAGE);
        let (cursor, entries): (u64, Vec<Entry>) = self.link.send(&scan).await?;
        let (mut page, mut interner) = (Vec::with_capacity(entries.len()), Interner::default());
        // The empty field is the incarnation of the hash.
        for (key, value) in entries.into_iter().filter(|(key, _)| !key.is_empty()) {
            let key = String::from_utf8_lossy(&key).into_owned();
            let decoded = value::decode_entry(&self.endpoint.name, &key, &value, &mut interner)?;
            let Some((tenant, record)) = decoded else { continue };
            self.cache().put(tenant.clone(), cached(record.clone(), &value));
            page.push((tenant, record));
        }
        Ok((cursor, page))
    }

    fn unexpected_reply(&self) -> StoreError {
        StoreError::unavailable(format!(
            "{} sent an unexpected reply: check that the URL is of a Redis server",
            self.endpoint.name
        ))
    }
}

/// A field and its value.
type Entry = (Vec<u8>, Vec<u8>);

enum Put {
    Done,
    /// The server has another value, or none.
    Other(Option<Vec<u8>>),
}

impl Store for RedisStore {
    fn name(&self) -> String {
        self.client.endpoint.name.clone()
    }

    fn environment(&self) -> Option<&str> {
        Some(&self.client.environment)
    }

    fn warnings(&self) -> Vec<StoreWarning> {
        self.client.link.warnings()
    }

    fn load(&self) -> BoxStream<'_, Result<Vec<(TenantId, Record)>, StoreError>> {
        let client = &*self.client;
        stream::try_unfold(None, move |cursor| async move {
            let cursor = match cursor {
                None => {
                    client.begin_load().await;
                    0
                }
                Some(0) => return Ok(None),
                Some(cursor) => cursor,
            };
            let (next, page) = client.page(cursor).await?;
            Ok(Some((page, Some(next))))
        })
        .boxed()
    }

    fn merge<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        let merge = timeout(MERGE, self.client.merge(tenant, record));
        merge.map(|merged| merged.unwrap_or_else(|_| Err(late(&self.client.endpoint.name)))).boxed()
    }

    fn remove<'a>(
        &'a self,
        tenant: &'a TenantId,
        record: &'a Record,
    ) -> BoxFuture<'a, Result<Record, StoreError>> {
        let removal = timeout(MERGE, self.client.remove(tenant, record));
        removal.map(|left| left.unwrap_or_else(|_| Err(late(&self.client.endpoint.name)))).boxed()
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
        let key = self.client.names.lease(&value::key(tenant), term);
        // Redis refuses 0, and times beyond its own range.
        let ttl = ttl.as_millis().clamp(1, 366 * 24 * 3600 * 1000);
        let ttl = u64::try_from(ttl).unwrap_or(1);
        async move {
            let mut call = self.client.lease_script.key(key);
            call.arg(&self.client.writer).arg(ttl);
            let remaining: Option<i64> = self.client.link.send(&call).await?;
            Ok(match remaining {
                None => Lease::Granted,
                // Negative for a key without a time to live, which is none of ours.
                Some(ms) => {
                    Lease::Held { remaining: Duration::from_millis(ms.try_into().unwrap_or(0)) }
                }
            })
        }
        .boxed()
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("name", &self.client.endpoint.name)
            .finish_non_exhaustive()
    }
}
