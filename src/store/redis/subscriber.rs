//! The subscription to the changes of other writers: a reader of the change log, on a connection of
//! its own.

use std::{convert::Infallible, sync::Arc, time::Duration};

use redis::{AsyncConnectionConfig, aio::MultiplexedConnection};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
    time::{Instant, timeout},
};

use super::{
    StoreClient,
    change_log::{EntryKind, LogEntry, Position},
    connection::HEARTBEAT,
    digest::cached,
    error::{late, store_error},
};
use crate::{
    backoff::{Attempts, STORE},
    status::intern::Interner,
    store::{Change, StoreError, first_subscription::FirstSubscription, value},
};

/// Pause after each reading. It bounds what the log costs the server: 200 readings a second for
/// each replica, however many changes there are.
const READ_PAUSE: Duration = Duration::from_millis(5);

/// Wait of a new connection for an entry: none, as far as the server allows.
const NO_WAIT: Duration = Duration::from_millis(1);

/// A connection that lasted for this long counts as stable: the delays before attempts to connect
/// begin again with the shortest.
const STABLE: Duration = Duration::from_secs(60);

/// Forwards the changes in the log to `tx`, without an end.
pub(super) async fn run(
    client: Arc<StoreClient>,
    starting: FirstSubscription,
    tx: mpsc::Sender<Change>,
) {
    Subscriber { client, tx, position: None, disconnected: false }.run(starting).await;
}

struct Subscriber {
    client: Arc<StoreClient>,
    tx: mpsc::Sender<Change>,
    /// `None` before the first connection, and after a loss: a resync follows then.
    position: Option<Position>,
    /// Whether the reader of the stream has been sent the disconnect.
    disconnected: bool,
}

/// A connection with the task that drives it.
struct Connection {
    commands: MultiplexedConnection,
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Subscriber {
    async fn run(mut self, starting: FirstSubscription) {
        let mut starting = Some(starting);
        let mut attempts = Attempts::new(STORE);
        loop {
            let store = &self.client.endpoint.name.clone();
            let mut primary = self.client.link.primary();
            match connect(&self.client).await {
                Ok(mut connection) => {
                    if self.disconnected {
                        self.client.link.reconnect();
                    }
                    let connected = Instant::now();
                    let commands = &mut connection.commands;
                    let Err(error) = self.follow(commands, &mut primary, &mut starting).await;
                    // Otherwise a connection that fails again and again would be a busy loop.
                    let moved = primary.has_changed().unwrap_or(false);
                    if moved || connected.elapsed() >= STABLE {
                        attempts.reset();
                    }
                    crate::log::warn!(%store, %error, "change subscription lost; reconnecting");
                }
                Err(error) if self.disconnected => {
                    crate::log::debug!(%store, %error, "change subscription failed again");
                }
                Err(error) => {
                    crate::log::warn!(%store, %error, "change subscription failed");
                }
            }
            drop(starting.take());
            if !std::mem::replace(&mut self.disconnected, true) {
                self.send(Change::Disconnected).await;
            }
            tokio::time::sleep(attempts.fail()).await;
        }
    }

    /// Forwards changes until the connection fails, and returns the reason.
    async fn follow(
        &mut self,
        connection: &mut MultiplexedConnection,
        primary: &mut watch::Receiver<u64>,
        starting: &mut Option<FirstSubscription>,
    ) -> Result<Infallible, StoreError> {
        let mut wait = NO_WAIT;
        loop {
            let Some(position) = self.position.clone() else {
                self.open(connection, starting).await?;
                continue;
            };
            // The first wait tells that the user may wait at all.
            tokio::select! {
                waited = self.client.wait_for_entry(connection, &position, wait) => waited?,
                // A cloned receiver leaves the change to be seen by the caller.
                Ok(()) = async { primary.clone().changed().await } => {
                    let name = &self.client.endpoint.name;
                    return Err(StoreError::unavailable(format!("{name} has another primary now")));
                }
            }
            while let Some(position) = &self.position {
                let Some(batch) = self.client.read_log(connection, position).await? else {
                    let store = &self.client.endpoint.name;
                    crate::log::warn!(%store, "change log trimmed or data lost; loading everything");
                    self.client.clear_cache();
                    self.position = None;
                    break;
                };
                self.position = Some(batch.position);
                self.forward(batch.changes).await;
                if !batch.more {
                    break;
                }
            }
            if self.position.is_some() && std::mem::take(&mut self.disconnected) {
                self.send(Change::Resumed).await;
            }
            wait = HEARTBEAT;
            tokio::time::sleep(READ_PAUSE).await;
        }
    }

    /// Begins at the end of the log.
    async fn open(
        &mut self,
        connection: &mut MultiplexedConnection,
        starting: &mut Option<FirstSubscription>,
    ) -> Result<(), StoreError> {
        self.position = Some(self.client.open_log(connection).await?);
        // A load that started earlier lacks what others have stored since.
        let resync = starting.as_ref().is_none_or(FirstSubscription::has_loaded);
        // Lets waiting loads start.
        drop(starting.take());
        if resync {
            self.disconnected = false;
            self.send(Change::Resync).await;
        }
        Ok(())
    }

    async fn forward(&mut self, changes: Vec<LogEntry>) {
        let (mut resync, mut interner) = (false, Interner::default());
        for LogEntry { kind, key, value } in changes {
            if kind == EntryKind::Unknown {
                resync = true;
                continue;
            }
            // Removed since then, which a later entry tells.
            if value.is_empty() {
                continue;
            }
            let store = &self.client.endpoint.name;
            match value::decode_entry(store, &key, &value, &mut interner) {
                Ok(Some((tenant, record))) if kind == EntryKind::Removed => {
                    self.client.cache().remove(&tenant);
                    self.send(Change::Removed(tenant, record)).await;
                }
                Ok(Some((tenant, record))) => {
                    let seen = cached(record.clone(), &value);
                    self.client.cache().put(tenant.clone(), seen);
                    self.send(Change::Merged(tenant, record)).await;
                }
                Ok(None) => {}
                // The next merge of the tenant and the next load fail with the same record.
                Err(error) => {
                    crate::log::warn!(%store, %error, "invalid record by another writer");
                }
            }
        }
        if resync {
            self.send(Change::Resync).await;
        }
    }

    /// Waits until the reader of the stream has room for `change`. The log keeps the next ones
    /// until then; if it is trimmed, a resync follows.
    async fn send(&self, change: Change) {
        // A dropped receiver ends the task elsewhere.
        let _ = self.tx.send(change).await;
    }
}

async fn connect(client: &StoreClient) -> Result<Connection, StoreError> {
    let endpoint = &client.endpoint;
    let name = &endpoint.name;
    let work = async {
        let socket = endpoint.connect().await?;
        // Each request has its own time-out, after which the connection is dropped.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let made = MultiplexedConnection::new_with_config(&endpoint.login, socket, config).await;
        let (commands, driver) = made.map_err(|error| store_error(name, error))?;
        Ok(Connection { commands, driver: tokio::spawn(driver) })
    };
    timeout(endpoint.connect_timeout, work).await.unwrap_or_else(|_| Err(late(name)))
}
