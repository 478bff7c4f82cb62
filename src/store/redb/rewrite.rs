//! Replacing a file whose sync has failed.
//!
//! After a failed sync the kernel may have dropped the pages that it could not write, and a later
//! sync of the same file succeeds without them. So nothing in that file counts as durable: what can
//! be read of it is written to a fresh file, which is synced before it takes the name.

use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition, TableHandle};

use super::{
    buffered::SyncFailed,
    medium::Medium,
    open::{self, ABOUT, failed},
};
use crate::store::StoreError;

/// Copies the database in `medium` to a fresh one, which takes its name.
///
/// The old one stays open, and so locked, until then. `sync_failed` is the fresh one's.
pub(super) fn rewrite(
    name: &str,
    medium: &dyn Medium,
    sync_failed: &SyncFailed,
) -> Result<Database, StoreError> {
    let old = open::open_unchanged(name, medium.open()?)?;
    let fresh = open::open(name, medium.draft()?, sync_failed)?;
    copy(&old, &fresh).map_err(|error| failed(name, error))?;
    medium.publish()?;
    Ok(fresh)
}

fn copy(old: &Database, fresh: &Database) -> Result<(), redb::Error> {
    let reading = old.begin_read()?;
    let writing = fresh.begin_write()?;
    for table in reading.list_tables()?.filter(|table| table.name() != ABOUT.name()) {
        let definition = TableDefinition::<&str, &[u8]>::new(table.name());
        let mut copy = writing.open_table(definition)?;
        for entry in reading.open_table(definition)?.iter()? {
            let (key, value) = entry?;
            copy.insert(key.value(), value.value())?;
        }
    }
    // Commits with redb's default durability: it returns once everything is synced.
    writing.commit()?;
    Ok(())
}
