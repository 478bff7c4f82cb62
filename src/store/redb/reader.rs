//! Reading everything, without keeping the writer from its work.

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
    Record, TenantId,
    store::{StoreError, stored},
};

type Page = Result<Vec<(TenantId, Record)>, StoreError>;

/// A page holds up to this many tenants: enough to make handing it over cheap.
const PAGE: usize = 1024;

/// Reads `table` on a thread of its own, as it was when the `snapshot` was taken.
///
/// Decoding takes most of the time, so a thread ahead of the reader halves the time to start.
pub(super) fn pages(
    name: String,
    table: String,
    snapshot: ReadTransaction,
) -> Result<impl Stream<Item = Page> + Send + 'static, StoreError> {
    let (give, mut take) = mpsc::channel(2);
    let shown = name.clone();
    let read = move || {
        let work = AssertUnwindSafe(|| read(&name, &table, &snapshot, &give));
        let result = catch_unwind(work).unwrap_or_else(|panic| Err(damaged(&name, &*panic)));
        if let Err(error) = result {
            // It fails when nobody reads any more, and then nobody wants to know.
            let _ = give.blocking_send(Err(error));
        }
    };
    let started = thread::Builder::new().name("superoffice-load".to_owned()).spawn(read);
    started.map_err(|error| {
        StoreError::unavailable(format!("no thread can be started to read {shown}"))
            .caused_by(error)
    })?;
    Ok(stream::poll_fn(move |cx| take.poll_recv(cx)))
}

fn read(
    name: &str,
    table: &str,
    snapshot: &ReadTransaction,
    give: &mpsc::Sender<Page>,
) -> Result<(), StoreError> {
    let table = match snapshot.open_table(TableDefinition::<&str, &[u8]>::new(table)) {
        Ok(table) => table,
        Err(TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(failed(name, error)),
    };
    let mut page = Vec::with_capacity(PAGE);
    for entry in table.iter().map_err(|error| failed(name, error))? {
        let (key, value) = entry.map_err(|error| failed(name, error))?;
        page.push(stored::decode(name, key.value(), value.value())?);
        if page.len() == PAGE {
            let full = std::mem::replace(&mut page, Vec::with_capacity(PAGE));
            if give.blocking_send(Ok(full)).is_err() {
                return Ok(());
            }
        }
    }
    // As above: a reader that is gone needs no last page.
    let _ = give.blocking_send(Ok(page));
    Ok(())
}
