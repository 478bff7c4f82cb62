//! The subscription to the changes of other writers: a reader of positions, on a connection of its
//! own.
//!
//! Each write gives a tenant's row the next position, so the changes are the rows after the
//! position that was read last, and a tenant that changed often is read once. Writes take turns, so
//! no smaller position appears later. The log of changes has a stamp for the last position of each
//! batch: while the stamp of the last position that was read is in there, nothing was lost.
//! Otherwise data was lost, replaced by an older state, or trimmed, and everything has to be
//! loaded.

use std::{convert::Infallible, sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};
use tokio_postgres::{Row, types::Type};

use super::{
    client::StoreClient,
    endpoint::Connected,
    error::{incomplete, late, store_error},
    link::{ANSWER, HEARTBEAT, Parameter},
    rows::{cached, column},
};
use crate::{
    backoff::{Attempts, STORE},
    status::intern::Interner,
    store::{Change, StoreError, first_subscription::FirstSubscription, value},
};

/// Number of positions that one statement reads.
const RANGE: i64 = 2000;

/// Pause after each reading. It bounds what reading costs the server: 200 readings a second for
/// each replica, however many changes there are.
const READ_PAUSE: Duration = Duration::from_millis(5);

/// Time between two readings where notifications do not arrive.
const POLL: Duration = Duration::from_millis(250);

/// Time for an own notification to arrive before notifications count as broken.
const ARRIVAL: Duration = Duration::from_secs(1);

/// A connection that lasted for this long counts as stable: the delays before attempts to connect
/// begin again with the shortest.
const STABLE: Duration = Duration::from_secs(60);

/// The position of a reader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Position {
    /// A number that the table of tenants got when it was created.
    table: i64,
    /// The last position whose stamp is known, and the stamp.
    stamped: i64,
    stamp: i64,
    /// The last position that was read.
    read: i64,
}

/// The end of the log.
struct End {
    position: i64,
    stamp: Option<i64>,
    table: Option<i64>,
    /// Whether the given position has the given stamp.
    is_known: bool,
}

/// Forwards changes to `tx`, without an end.
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

impl Subscriber {
    async fn run(mut self, starting: FirstSubscription) {
        let mut starting = Some(starting);
        let mut attempts = Attempts::new(STORE);
        loop {
            let store = &self.client.endpoint.name.clone();
            match connect(&self.client).await {
                Ok(connected) => {
                    if self.disconnected {
                        self.client.link.reconnect();
                    }
                    let since = Instant::now();
                    let Err(error) = self.follow(&connected, &mut starting).await;
                    // Otherwise a connection that fails again and again would be a busy loop.
                    if since.elapsed() >= STABLE {
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
        connected: &Connected,
        starting: &mut Option<FirstSubscription>,
    ) -> Result<Infallible, StoreError> {
        let mut interval = None;
        loop {
            let Some(position) = self.position else {
                self.open(connected, starting).await?;
                continue;
            };
            match self.client.end(connected, position).await? {
                Some(end) if end.is_known && end.table == Some(position.table) => {
                    self.read_to(connected, position, &end).await?;
                }
                _ => {
                    let store = &self.client.endpoint.name;
                    crate::log::warn!(%store, "change log trimmed or data lost; loading everything");
                    self.client.clear_cache();
                    self.position = None;
                    continue;
                }
            }
            if std::mem::take(&mut self.disconnected) {
                self.send(Change::Resumed).await;
            }
            let Some(interval) = interval else {
                // What was written before the server listened is read at once.
                interval = Some(self.listen(connected).await?);
                continue;
            };
            tokio::time::sleep(READ_PAUSE).await;
            // Without a notification the reading is a heartbeat.
            let _ = timeout(interval, connected.woken.notified()).await;
        }
    }

    /// Begins at the end of the log.
    async fn open(
        &mut self,
        connected: &Connected,
        starting: &mut Option<FirstSubscription>,
    ) -> Result<(), StoreError> {
        self.position = Some(self.client.open_log(connected).await?);
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

    /// Subscribes to notifications, and returns the time between two readings without one.
    ///
    /// A pooler that gives each transaction another connection takes the subscription and forgets
    /// it. So one notification is sent on the other connection, and has to arrive here.
    async fn listen(&self, connected: &Connected) -> Result<Duration, StoreError> {
        let name = &self.client.endpoint.name;
        let listen = connected.client.batch_execute(&self.client.statements.listen);
        let listening = timeout(ANSWER, listen).await.map_err(|_| late(name))?;
        listening.map_err(|error| store_error(name, error))?;
        self.client.link.query(&self.client.statements.notify, &[]).await?;
        let listens = timeout(ARRIVAL, connected.woken.notified()).await.is_ok();
        if self.client.set_listens(listens) && !listens {
            crate::log::warn!(store = %name, "store notifications do not arrive; polling");
        }
        Ok(if listens { HEARTBEAT } else { POLL })
    }

    /// Reads and forwards what follows `position`, up to the end.
    async fn read_to(
        &mut self,
        connected: &Connected,
        mut position: Position,
        end: &End,
    ) -> Result<(), StoreError> {
        let client = self.client.clone();
        while position.read < end.position {
            let to = end.position.min(position.read.saturating_add(RANGE));
            let parameters: [Parameter<'_>; 3] =
                [(&position.read, Type::INT8), (&to, Type::INT8), (&client.writer, Type::INT8)];
            let rows = query(&client, connected, &client.statements.changes, &parameters).await?;
            self.forward(&rows).await?;
            position.read = to;
            self.position = Some(position);
        }
        if let Some(stamp) = end.stamp {
            self.position = Some(Position { stamped: end.position, stamp, ..position });
        }
        Ok(())
    }

    async fn forward(&mut self, rows: &[Row]) -> Result<(), StoreError> {
        let (client, mut interner) = (self.client.clone(), Interner::default());
        let store = &client.endpoint.name;
        for row in rows {
            let (position, key): (i64, &str) = (column(store, row, 0)?, column(store, row, 1)?);
            let (bytes, is_removal): (&[u8], bool) =
                (column(store, row, 2)?, column(store, row, 3)?);
            match value::decode_entry(store, key, bytes, &mut interner) {
                Ok(Some((tenant, record))) if is_removal => {
                    client.cache().remove(&tenant);
                    self.send(Change::Removed(tenant, record)).await;
                }
                Ok(Some((tenant, record))) => {
                    let seen = cached(record.clone(), bytes, position, true);
                    client.remember(tenant.clone(), seen);
                    self.send(Change::Merged(tenant, record)).await;
                }
                Ok(None) => {}
                // The next merge of the tenant and the next load fail with the same record.
                Err(error) => {
                    crate::log::warn!(%store, %error, "invalid record by another writer");
                }
            }
        }
        Ok(())
    }

    /// Waits until the reader of the stream has room for `change`. The table keeps the next ones
    /// until then.
    async fn send(&self, change: Change) {
        // A dropped receiver ends the task elsewhere.
        let _ = self.tx.send(change).await;
    }
}

impl StoreClient {
    /// Returns the end of the log; `None` when the rows of the store are missing.
    async fn end(
        &self,
        connected: &Connected,
        position: Position,
    ) -> Result<Option<End>, StoreError> {
        let name = &self.endpoint.name;
        // What this store has written and its reader has not read must be there too.
        let written = self.written().filter(|written| written.position > position.stamped);
        let (own, own_stamp) = written.map(|written| (written.position, written.stamp)).unzip();
        let parameters: [Parameter<'_>; 4] = [
            (&position.stamped, Type::INT8),
            (&position.stamp, Type::INT8),
            (&own, Type::INT8),
            (&own_stamp, Type::INT8),
        ];
        let rows = query(self, connected, &self.statements.position, &parameters).await?;
        let Some(row) = rows.first() else { return Ok(None) };
        Ok(Some(End {
            position: column(name, row, 1)?,
            stamp: column(name, row, 2)?,
            table: column(name, row, 3)?,
            is_known: column(name, row, 4)?,
        }))
    }

    /// Returns the position at the end of the log. It creates what is missing, so that a later loss
    /// shows even if nothing was stored before it.
    async fn open_log(&self, connected: &Connected) -> Result<Position, StoreError> {
        // What was written to lost data is gone with it.
        self.set_written(None);
        for _ in 0..2 {
            let nowhere = Position { table: 0, stamped: -1, stamp: -1, read: 0 };
            if let Some(End { position, stamp: Some(stamp), table: Some(table), .. }) =
                self.end(connected, nowhere).await?
            {
                return Ok(Position { table, stamped: position, stamp, read: position });
            }
            self.link.repair().await?;
        }
        Err(incomplete(&self.endpoint.name))
    }
}

async fn connect(client: &StoreClient) -> Result<Connected, StoreError> {
    // The other connection checks the server and creates the tables.
    client.link.query("SELECT 1", &[]).await?;
    let endpoint = &client.endpoint;
    let connected = timeout(endpoint.connect_timeout, endpoint.connect()).await;
    let connected = connected.map_err(|_| late(&endpoint.name))?;
    connected.map_err(|error| store_error(&endpoint.name, error))
}

async fn query(
    client: &StoreClient,
    connected: &Connected,
    statement: &str,
    parameters: &[Parameter<'_>],
) -> Result<Vec<Row>, StoreError> {
    let name = &client.endpoint.name;
    let answered = timeout(ANSWER, connected.client.query_typed(statement, parameters)).await;
    answered.map_err(|_| late(name))?.map_err(|error| store_error(name, error))
}
