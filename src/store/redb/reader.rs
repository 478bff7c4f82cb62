//! Reads all records from a snapshot, without blocking the writer.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
};

use futures_core::Stream;
use futures_util::stream;
use redb::{ReadTransaction, ReadableTable, TableDefinition, TableError};
use tokio::sync::mpsc;

use super::open::{damaged, failed};
use crate::{
    status::{Record, intern::Interner},
    store::{StoreError, value},
    tenant_id::TenantId,
};

type Page = Result<Vec<(TenantId, Record)>, StoreError>;

/// Maximum number of tenants in a page: enough to make its transfer cheap, few enough that decoding
/// it takes a few milliseconds.
const PAGE: usize = 512;

/// An encoded page.
///
/// Pages are decoded by the receiver: a record has many small allocations, and freeing them on
/// another thread than the one that made them costs more than decoding.
#[derive(Default)]
struct Raw {
    keys: String,
    values: Vec<u8>,
    /// End positions of each key, and of its value.
    ends: Vec<(usize, usize)>,
}

/// Reads the `snapshot` of `table` on a thread of its own, which drops `running` once it has closed
/// the snapshot.
pub(super) fn pages(
    name: String,
    table: String,
    snapshot: ReadTransaction,
    running: impl Send + 'static,
) -> Result<impl Stream<Item = Page> + Send + 'static, StoreError> {
    let (tx, mut rx) = mpsc::channel(2);
    let shown = name.clone();
    let read = move || {
        let work = AssertUnwindSafe(|| read(&name, &table, &snapshot, &tx));
        let result = catch_unwind(work).unwrap_or_else(|panic| Err(damaged(&name, &*panic)));
        if let Err(error) = result {
            // Fails when the receiver is dropped.
            let _ = tx.blocking_send(Err(error));
        }
        drop(snapshot);
        drop(running);
    };
    let started = thread::Builder::new().name("superoffice-load".to_owned()).spawn(read);
    started.map_err(|error| {
        StoreError::unavailable(format!("no thread can be started to read {shown}"))
            .caused_by(error)
    })?;
    let (mut failed, mut interner) = (false, Interner::default());
    Ok(stream::poll_fn(move |cx| {
        if failed {
            return std::task::Poll::Ready(None);
        }
        rx.poll_recv(cx).map(|raw| {
            let page = raw?.and_then(|raw| raw.decode(&shown, &mut interner));
            failed = page.is_err();
            Some(page)
        })
    }))
}

fn read(
    name: &str,
    table: &str,
    snapshot: &ReadTransaction,
    tx: &mpsc::Sender<Result<Raw, StoreError>>,
) -> Result<(), StoreError> {
    let table = match snapshot.open_table(TableDefinition::<&str, &[u8]>::new(table)) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(failed(name, error)),
    };
    let mut page = Raw::default();
    for entry in table.iter().map_err(|error| failed(name, error))? {
        let (key, value) = entry.map_err(|error| failed(name, error))?;
        page.push(key.value(), value.value());
        if page.ends.len() == PAGE {
            let full = std::mem::take(&mut page);
            if tx.blocking_send(Ok(full)).is_err() {
                return Ok(());
            }
        }
    }
    // Fails when the receiver is dropped.
    let _ = tx.blocking_send(Ok(page));
    Ok(())
}

impl Raw {
    fn push(&mut self, key: &str, value: &[u8]) {
        self.keys.push_str(key);
        self.values.extend_from_slice(value);
        self.ends.push((self.keys.len(), self.values.len()));
    }

    fn decode(&self, name: &str, interner: &mut Interner) -> Page {
        let mut start = (0, 0);
        let mut page = Vec::with_capacity(self.ends.len());
        for &end in &self.ends {
            let key = self.keys.get(start.0..end.0).unwrap_or_default();
            let value = self.values.get(start.1..end.1).unwrap_or_default();
            page.extend(value::decode_entry(name, key, value, interner)?);
            start = end;
        }
        Ok(page)
    }
}
