//! The thread that owns the database.
//!
//! Merges and removals wait in a channel. The thread receives all that wait, writes them in one
//! transaction, syncs once and answers them all. The next batch gathers during the sync: the slower
//! the disk, the larger the batches.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Mutex, PoisonError, mpsc::RecvTimeoutError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use futures_core::Stream;
use redb::{Database, ReadableDatabase, ReadableTable, Table, TableDefinition};
use tokio::sync::{mpsc, oneshot};

use super::{
    buffered::SyncFailed,
    medium::Medium,
    open::{self, damaged, failed},
    reader, rewrite,
};
use crate::{
    status::Record,
    store::{StoreError, value},
    tenant_id::TenantId,
};

/// Capacity of the job channel; senders wait for a slot when it is full.
const QUEUE: usize = 4096;

/// Most writes in one transaction, so that its memory stays bounded.
const BATCH: usize = 4096;

/// Pause before the database is opened again after a failure; it doubles up to the last.
const REOPEN_FIRST: Duration = Duration::from_millis(25);
const REOPEN_LAST: Duration = Duration::from_secs(5);

/// Longest wait for the thread when the store is dropped. A disk that hangs must not hold the
/// process.
const JOIN: Duration = Duration::from_secs(3);

enum Job {
    Write(Write),
    Load(oneshot::Sender<Result<redb::ReadTransaction, StoreError>>),
}

struct Write {
    kind: Kind,
    tenant: TenantId,
    given: Record,
    /// Gets the record that is stored afterwards.
    answer: oneshot::Sender<Result<Record, StoreError>>,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Merge,
    Remove,
}

/// The names of the tables of an environment.
#[derive(Debug, Clone)]
pub(super) struct Tables {
    /// A tenant's id in lower case to its value.
    pub(super) tenants: String,
    /// The last malformed value of a tenant, under the same key. At most one each, so that the
    /// table stays smaller than that of the tenants.
    pub(super) unreadable: String,
}

/// A handle on the thread. Dropping it ends the thread.
#[derive(Debug)]
pub(super) struct Writer {
    name: String,
    tables: Tables,
    /// `None` only during drop.
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
    /// Held by each thread that has the file open. `None` only during drop.
    running: Option<std::sync::mpsc::Sender<()>>,
    /// Disconnected when all of them have ended.
    ended: Mutex<std::sync::mpsc::Receiver<()>>,
}

impl Writer {
    /// Opens the database and starts the thread.
    pub(super) fn start(
        name: String,
        tables: Tables,
        medium: Box<dyn Medium>,
    ) -> Result<Self, StoreError> {
        let (jobs, queue) = mpsc::channel(QUEUE);
        let sync_failed = SyncFailed::default();
        let database = Some(open::open(&name, medium.open()?, &sync_failed)?);
        let work = Work {
            name: name.clone(),
            tables: tables.clone(),
            medium,
            database,
            sync_failed,
            distrusted: false,
            failure: None,
            pause: REOPEN_FIRST,
        };
        let thread = thread::Builder::new().name("superoffice-redb".to_owned());
        let (running, ended) = std::sync::mpsc::channel();
        let writing: std::sync::mpsc::Sender<()> = running.clone();
        let thread = thread.spawn(move || {
            work.run(queue);
            drop(writing);
        });
        let thread = thread.map_err(|error| {
            StoreError::unavailable(format!("no thread can be started to write {name}"))
                .caused_by(error)
        })?;
        let (jobs, thread, running) = (Some(jobs), Some(thread), Some(running));
        Ok(Self { name, tables, jobs, thread, running, ended: Mutex::new(ended) })
    }

    pub(super) async fn merge(
        &self,
        tenant: TenantId,
        given: Record,
    ) -> Result<Record, StoreError> {
        self.write(Kind::Merge, tenant, given).await
    }

    /// Removes the stored record that `given` contains, and returns the one that stays.
    pub(super) async fn remove(
        &self,
        tenant: TenantId,
        given: Record,
    ) -> Result<Record, StoreError> {
        self.write(Kind::Remove, tenant, given).await
    }

    async fn write(
        &self,
        kind: Kind,
        tenant: TenantId,
        given: Record,
    ) -> Result<Record, StoreError> {
        self.request(|answer| Job::Write(Write { kind, tenant, given, answer })).await
    }

    pub(super) async fn load(
        &self,
    ) -> Result<
        impl Stream<Item = Result<Vec<(TenantId, Record)>, StoreError>> + Send + use<>,
        StoreError,
    > {
        let snapshot = self.request(Job::Load).await?;
        reader::pages(
            self.name.clone(),
            self.tables.tenants.clone(),
            snapshot,
            self.running.clone(),
        )
    }

    async fn request<T>(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<T, StoreError>>) -> Job,
    ) -> Result<T, StoreError> {
        let gone = || StoreError::unavailable(format!("the writer of {} has ended", self.name));
        let (answer, answered) = oneshot::channel();
        let jobs = self.jobs.as_ref().ok_or_else(gone)?;
        jobs.send(job(answer)).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop((self.jobs.take(), self.running.take()));
        if let Some(thread) = self.thread.take() {
            let ended = self.ended.get_mut().unwrap_or_else(PoisonError::into_inner);
            if ended.recv_timeout(JOIN) == Err(RecvTimeoutError::Timeout) {
                crate::log::warn!(store = %self.name, "store writer still busy; its thread is left behind");
                return;
            }
            // Panics are caught inside the thread: there is none to pass on.
            let _ = thread.join();
        }
    }
}

struct Work {
    name: String,
    tables: Tables,
    medium: Box<dyn Medium>,
    /// `None` after a failure, until it is reopened.
    database: Option<Database>,
    /// Of the storage that is open.
    sync_failed: SyncFailed,
    /// A sync has failed: nothing in the file counts as durable until a fresh one replaced it.
    distrusted: bool,
    /// The error that closed the database, and the time of the next attempt.
    failure: Option<(StoreError, Instant)>,
    pause: Duration,
}

impl Work {
    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        let mut batch = Vec::new();
        while queue.blocking_recv_many(&mut batch, BATCH) > 0 {
            let mut writes = Vec::with_capacity(batch.len());
            for job in batch.drain(..) {
                match job {
                    // The caller has given up: it does not rely on the write.
                    Job::Write(write) if write.answer.is_closed() => {}
                    Job::Write(write) => writes.push(write),
                    Job::Load(answer) => {
                        // Fails when the caller has given up.
                        let _ = answer.send(self.with_database(|work, database| {
                            database.begin_read().map_err(|error| failed(&work.name, error))
                        }));
                    }
                }
            }
            if !writes.is_empty() {
                self.write(writes);
            }
        }
    }

    fn write(&mut self, writes: Vec<Write>) {
        let written = self.with_database(|work, database| {
            work.transact(database, &writes).map_err(|error| failed(&work.name, error))
        });
        let answers: Vec<_> = match written {
            Ok(answers) => answers,
            Err(error) => writes.iter().map(|_| Err(error.clone())).collect(),
        };
        for (write, answer) in writes.into_iter().zip(answers) {
            // Fails when the caller has given up.
            let _ = write.answer.send(answer);
        }
    }

    /// Makes all `writes` in one transaction. A record of a newer schema fails its own only.
    fn transact(
        &self,
        database: &Database,
        writes: &[Write],
    ) -> Result<Vec<Result<Record, StoreError>>, redb::Error> {
        let writing = database.begin_write()?;
        let mut answers = Vec::with_capacity(writes.len());
        let mut wrote = false;
        let mut malformed = Vec::new();
        {
            let tenants = TableDefinition::<&str, &[u8]>::new(&self.tables.tenants);
            let mut table = writing.open_table(tenants)?;
            for Write { kind, tenant, given, .. } in writes {
                let key = value::key(tenant);
                if let Kind::Remove = kind {
                    let (removed, left) = self.remove(&mut table, &key, tenant, given)?;
                    wrote |= removed;
                    answers.push(left);
                    continue;
                }
                let mut joined = {
                    let there = table.get(key.as_str())?;
                    let there = there.as_ref().map(|value| value.value());
                    value::join(&self.name, tenant, there, given)
                };
                if let Ok(value::Joined { value: Some(value), .. }) = &joined {
                    table.insert(key.as_str(), value.as_slice())?;
                    wrote = true;
                }
                if let Ok(joined) = &mut joined {
                    malformed.extend(joined.malformed.take().map(|value| (key, value)));
                }
                answers.push(joined.map(|joined| joined.record));
            }
        }
        if !malformed.is_empty() {
            let unreadable = TableDefinition::<&str, &[u8]>::new(&self.tables.unreadable);
            let mut table = writing.open_table(unreadable)?;
            for (key, value) in &malformed {
                table.insert(key.as_str(), value.as_slice())?;
            }
        }
        if wrote {
            writing.commit()?;
        } else {
            // Everything is on disk already, so no sync is needed.
            writing.abort()?;
        }
        Ok(answers)
    }

    /// Removes the record of `tenant` from `table` if `given` contains it. Returns whether it did,
    /// and the record that stays.
    fn remove(
        &self,
        table: &mut Table<'_, &str, &[u8]>,
        key: &str,
        tenant: &TenantId,
        given: &Record,
    ) -> Result<(bool, Result<Record, StoreError>), redb::Error> {
        let left =
            table.get(key)?.map(|value| value::remainder(&self.name, tenant, value.value(), given));
        let Some(left) = left else { return Ok((false, Ok(Record::default()))) };
        let removes = left.as_ref().is_ok_and(|left| *left == Record::default());
        if removes {
            table.remove(key)?;
        }
        Ok((removes, left))
    }

    /// Calls `work` with the database, which is reopened first if necessary, and closed when `work`
    /// fails: after an I/O error redb accepts no further work.
    fn with_database<T>(
        &mut self,
        work: impl FnOnce(&Self, &Database) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let database = match self.database.take() {
            Some(database) => database,
            None => self.reopen()?,
        };
        let done = catch_unwind(AssertUnwindSafe(|| {
            let done = work(self, &database);
            (done, database)
        }));
        let error = match done {
            Ok((Ok(done), database)) => {
                self.database = Some(database);
                return Ok(done);
            }
            Ok((Err(error), database)) => {
                // Closing fails with the same error.
                let _ = catch_unwind(AssertUnwindSafe(|| drop(database)));
                error
            }
            Err(panic) => damaged(&self.name, &*panic),
        };
        self.distrusted |= self.sync_failed.get();
        crate::log::warn!(
            store = %self.name, error = %chain(&error), rewrite = self.distrusted, "store failed"
        );
        self.failure = Some((error.clone(), Instant::now() + REOPEN_FIRST));
        self.pause = REOPEN_FIRST;
        Err(error)
    }

    fn reopen(&mut self) -> Result<Database, StoreError> {
        if let Some((error, again)) = &self.failure
            && Instant::now() < *again
        {
            return Err(error.clone());
        }
        self.sync_failed = SyncFailed::default();
        let opened = if self.distrusted {
            rewrite::rewrite(&self.name, &*self.medium, &self.sync_failed)
        } else {
            let storage = self.medium.open();
            storage.and_then(|storage| open::open(&self.name, storage, &self.sync_failed))
        };
        match opened {
            Ok(database) => {
                crate::log::info!(store = %self.name, rewritten = self.distrusted, "store recovered");
                self.failure = None;
                self.distrusted = false;
                Ok(database)
            }
            Err(error) => {
                self.distrusted |= self.sync_failed.get();
                self.pause = (self.pause * 2).min(REOPEN_LAST);
                self.failure = Some((error.clone(), Instant::now() + self.pause));
                Err(error)
            }
        }
    }
}

/// Formats an error with its causes, for a log line.
fn chain(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
