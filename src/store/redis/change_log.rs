//! The change log: a stream beside the hash of tenants, to which each write appends an entry.
//!
//! The entry of a merge names the tenant and the writer, not the record, which the reader takes
//! from the hash: so a change costs the server some 45 bytes instead of a second copy of the record
//! in memory, in its log and in each replica's answer, and a reader that was interrupted reads a
//! tenant once, however often it changed. The record may then be newer than the entry, never older,
//! because one script writes both; records are merged, so this makes no difference. The entry of a
//! removal has the record that was forgotten, because the hash has it no longer.
//!
//! A reader knows its *position*: the last entry that it has read. While that entry is in the log,
//! so are all that followed, because only the oldest are trimmed. If it is not, entries were
//! trimmed, or the data was lost or replaced by an older state, and everything has to be loaded.
//! The server's clock is in the ids, and the content of the entry is compared too, so that a log
//! that grew again after a loss does not pass for the same one.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{
    FromRedisValue, RedisError, Script, ScriptInvocation, Value, aio::MultiplexedConnection,
};
use tokio::time::timeout;

use super::{
    StoreClient,
    connection::ANSWER,
    error::{late, store_error},
};
use crate::store::StoreError;

/// Maximum number of entries that one answer covers. The server does nothing else for about 1 ms.
const BATCH: usize = 500;

/// The scripts of the log, and what this store has appended to it.
pub(super) struct ChangeLog {
    open: Script,
    read: Script,
    /// The newest entry of this store's writes since the last loss of data.
    written: Mutex<Option<EntryId>>,
}

/// The milliseconds and the number of an entry's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct EntryId(u64, u64);

/// The last entry that a reader has read. Only ids are sure to be text: an entry that another
/// program wrote is skipped like any other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Position {
    /// A random value that the hash got when it was created: another one, or none, tells that the
    /// hash was lost while the log was not.
    incarnation: Vec<u8>,
    id: String,
    fields: Vec<u8>,
}

/// Entries that follow a position.
pub(super) struct Batch {
    pub(super) position: Position,
    /// Whether others follow.
    pub(super) more: bool,
    pub(super) changes: Vec<LogEntry>,
}

/// A removal in a batch, or the last entry of a tenant.
pub(super) struct LogEntry {
    pub(super) kind: EntryKind,
    pub(super) key: String,
    /// The value that was removed, or that the hash has now; empty for none.
    pub(super) value: Vec<u8>,
}

/// The kind of a change of a tenant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EntryKind {
    Merged,
    Removed,
    /// Written by a newer version of this crate: only a load shows what it did.
    Unknown,
}

impl ChangeLog {
    pub(super) fn new() -> Self {
        Self {
            open: Script::new(include_str!("open.lua")),
            read: Script::new(include_str!("read.lua")),
            written: Mutex::default(),
        }
    }

    fn written(&self) -> MutexGuard<'_, Option<EntryId>> {
        // Every change under the lock is complete, so a poisoned lock is safe to use.
        self.written.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a write of this store has appended the entry `id`, which must not disappear
    /// before it has been read.
    pub(super) fn note_written(&self, id: &str) {
        let mut newest = self.written();
        *newest = (*newest).max(EntryId::parse(id));
    }

    /// Returns the newest own entry that a reader at `position` has not read; empty for none.
    fn unread_own(&self, position: &Position) -> String {
        let read = EntryId::parse(&position.id);
        let unread_own = (*self.written()).filter(|newest| Some(*newest) > read);
        unread_own.map(|EntryId(ms, number)| format!("{ms}-{number}")).unwrap_or_default()
    }
}

impl EntryId {
    fn parse(id: &str) -> Option<Self> {
        let (ms, number) = id.split_once('-')?;
        Some(Self(ms.parse().ok()?, number.parse().ok()?))
    }
}

impl StoreClient {
    /// Returns the end of the log. It creates what is missing, so that a later loss shows even if
    /// nothing was stored before it.
    pub(super) async fn open_log(
        &self,
        connection: &mut MultiplexedConnection,
    ) -> Result<Position, StoreError> {
        // What was written to lost data is gone with it.
        *self.log.written() = None;
        let mut call = self.log.open.key(&self.names.tenants);
        call.key(&self.names.changes);
        call.arg(format!("{:016x}", fastrand::u64(..))).arg(&self.writer);
        let (incarnation, id, fields) = self.run(&call, connection).await?;
        Ok(Position { incarnation, id, fields })
    }

    /// Returns what follows `position`; `None` when something in between is missing.
    pub(super) async fn read_log(
        &self,
        connection: &mut MultiplexedConnection,
        position: &Position,
    ) -> Result<Option<Batch>, StoreError> {
        let Position { incarnation, id, fields } = position;
        let mut call = self.log.read.key(&self.names.tenants);
        call.key(&self.names.changes);
        call.arg(incarnation).arg(id).arg(fields).arg(self.log.unread_own(position));
        call.arg(&self.writer).arg(BATCH);
        let answer: Option<Answer> = self.run(&call, connection).await?;
        Ok(answer.map(|(id, fields, more, changes)| Batch {
            position: Position { incarnation: incarnation.clone(), id, fields },
            more,
            changes: changes.into_iter().map(LogEntry::from).collect(),
        }))
    }

    /// Waits until there is an entry after `position`, at most for `longest`.
    pub(super) async fn wait_for_entry(
        &self,
        connection: &mut MultiplexedConnection,
        position: &Position,
        longest: Duration,
    ) -> Result<(), StoreError> {
        let mut read = redis::cmd("XREAD");
        read.arg("COUNT").arg(1).arg("BLOCK").arg(longest.as_millis().to_string());
        read.arg("STREAMS").arg(&self.names.changes).arg(&position.id);
        let answer = timeout(longest + ANSWER, read.query_async::<Value>(connection)).await;
        self.check(answer.map_err(|_| late(&self.endpoint.name))?).map(drop)
    }

    async fn run<T: FromRedisValue>(
        &self,
        call: &ScriptInvocation<'_>,
        connection: &mut MultiplexedConnection,
    ) -> Result<T, StoreError> {
        let answer = timeout(ANSWER, call.invoke_async(connection)).await;
        self.check(answer.map_err(|_| late(&self.endpoint.name))?)
    }

    fn check<T>(&self, answer: Result<T, RedisError>) -> Result<T, StoreError> {
        answer.map_err(|error| store_error(&self.endpoint.name, error))
    }
}

/// The answer of the script: the id and the fields of the last entry, whether others follow, and a
/// kind, key and value of each tenant.
type Answer = (String, Vec<u8>, bool, Vec<(Vec<u8>, Vec<u8>, Vec<u8>)>);

impl From<(Vec<u8>, Vec<u8>, Vec<u8>)> for LogEntry {
    fn from((kind, key, value): (Vec<u8>, Vec<u8>, Vec<u8>)) -> Self {
        let kind = match kind.as_slice() {
            b"merged" => EntryKind::Merged,
            b"removed" => EntryKind::Removed,
            _ => EntryKind::Unknown,
        };
        Self { kind, key: String::from_utf8_lossy(&key).into_owned(), value }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_entry_is_unread_until_the_position_reaches_it() {
        let log = ChangeLog::new();
        let at =
            |id: &str| Position { incarnation: Vec::new(), id: id.to_owned(), fields: Vec::new() };
        assert_eq!(log.unread_own(&at("1-0")), "");
        for id in ["9-1", "10-0", "9-12", "invalid"] {
            log.note_written(id);
        }
        assert_eq!(log.unread_own(&at("9-12")), "10-0");
        assert_eq!(log.unread_own(&at("10-0")), "");
        assert_eq!(log.unread_own(&at("10-1")), "");
    }
}
