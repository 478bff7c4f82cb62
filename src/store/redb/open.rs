//! Opens a database, and distinguishes ours from others.

use std::{
    any::Any,
    io,
    panic::{AssertUnwindSafe, catch_unwind},
};

use redb::{
    Builder, Database, DatabaseError, ReadableDatabase, StorageBackend, StorageError,
    TableDefinition, TableHandle,
};

use super::buffered::{BufferedBackend, SyncFailed};
use crate::store::StoreError;

/// The table that identifies the file.
pub(super) const ABOUT: TableDefinition<'static, &str, &str> =
    TableDefinition::new("tower-superoffice");
const SCHEMA: &str = "schema";
const MAJOR: u32 = 1;
const MINOR: u32 = 0;

/// redb's default of 1 GiB is more than the records of a million tenants.
const CACHE: usize = 64 * 1024 * 1024;

/// Opens the database in `storage`, or creates one if it is empty. `name` is for errors.
///
/// Nothing is written unless the database is intact and ours.
pub(super) fn open(
    name: &str,
    storage: Box<dyn StorageBackend>,
    sync_failed: &SyncFailed,
) -> Result<Database, StoreError> {
    let (database, buffered) = open_buffered(name, storage, sync_failed)?;
    buffered.commit().map_err(|error| unwritable(name, error))?;
    Ok(database)
}

/// Opens the database in `storage` for reading. Nothing is written to it.
pub(super) fn open_unchanged(
    name: &str,
    storage: Box<dyn StorageBackend>,
) -> Result<Database, StoreError> {
    Ok(open_buffered(name, storage, &SyncFailed::default())?.0)
}

fn open_buffered(
    name: &str,
    storage: Box<dyn StorageBackend>,
    sync_failed: &SyncFailed,
) -> Result<(Database, BufferedBackend), StoreError> {
    let buffered = BufferedBackend::new(storage, sync_failed.clone());
    let buffered = buffered.map_err(|error| unreadable(name, error))?;
    let behind = buffered.clone();
    // redb returns an error for a damaged file when it checks the file, but a panic in it must not
    // end the program.
    let opened = catch_unwind(AssertUnwindSafe(move || {
        let database = Builder::new()
            .set_cache_size(CACHE)
            .set_check_integrity_on_open(true)
            .create_with_backend(behind)
            .map_err(|error| refused(name, error))?;
        identify(name, &database)?;
        Ok(database)
    }));
    let database = opened.unwrap_or_else(|panic| Err(damaged(name, &*panic)))?;
    Ok((database, buffered))
}

/// Checks that the database is ours, and initialises an empty one.
fn identify(name: &str, database: &Database) -> Result<(), StoreError> {
    let reading = database.begin_read().map_err(|error| failed(name, error))?;
    let tables: Vec<_> = reading.list_tables().map_err(|error| failed(name, error))?.collect();
    let others = reading.list_multimap_tables().map_err(|error| failed(name, error))?.count();
    if tables.is_empty() && others == 0 {
        drop(reading);
        return initialise(database).map_err(|error| failed(name, error));
    }
    let foreign = || {
        StoreError::foreign(format!(
            "{name} is another program's database: choose a file of its own"
        ))
    };
    if !tables.iter().any(|table| table.name() == ABOUT.name()) {
        return Err(foreign());
    }
    let about = reading.open_table(ABOUT).map_err(|error| foreign().caused_by(error))?;
    let schema = about.get(SCHEMA).map_err(|error| failed(name, error))?.ok_or_else(foreign)?;
    let major = schema.value().split_once('.').and_then(|(major, _)| major.parse::<u32>().ok());
    if major.ok_or_else(foreign)? > MAJOR {
        return Err(StoreError::newer_schema(format!(
            "{name} has schema {}, this program reads up to {MAJOR}: upgrade it before it uses this file",
            schema.value()
        )));
    }
    Ok(())
}

fn initialise(database: &Database) -> Result<(), redb::Error> {
    let writing = database.begin_write()?;
    writing.open_table(ABOUT)?.insert(SCHEMA, format!("{MAJOR}.{MINOR}").as_str())?;
    Ok(writing.commit()?)
}

fn refused(name: &str, error: DatabaseError) -> StoreError {
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::in_use(format!(
            "{name} is in use: stop the other program, or give each a file of its own"
        ))
        .caused_by(error),
        DatabaseError::UpgradeRequired(_) => StoreError::foreign(format!(
            "{name} has an old format of redb that this program never wrote: choose a file of its own"
        ))
        .caused_by(error),
        error => failed(name, error),
    }
}

/// Converts an error of redb.
pub(super) fn failed(name: &str, error: impl Into<redb::Error>) -> StoreError {
    match error.into() {
        redb::Error::Corrupted(what) => corrupt(name).caused_by(StorageError::Corrupted(what)),
        redb::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            StoreError::foreign(format!(
                "{name} is not a store: choose another file, or remove this one if it is not needed"
            ))
            .caused_by(error)
        }
        redb::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            corrupt(name).caused_by(error)
        }
        redb::Error::Io(error) => unwritable(name, error),
        error @ (redb::Error::TableTypeMismatch { .. } | redb::Error::TableIsMultimap(_)) => {
            corrupt(name).caused_by(error)
        }
        error => {
            StoreError::unavailable(format!("{name} failed: it is reopened at the next write"))
                .caused_by(error)
        }
    }
}

fn corrupt(name: &str) -> StoreError {
    StoreError::corrupt(format!(
        "{name} is damaged: restore it from a backup, or move it away to start with an empty one"
    ))
}

/// Converts a panic in redb.
pub(super) fn damaged(name: &str, panic: &(dyn Any + Send)) -> StoreError {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default();
    corrupt(name).caused_by(text)
}

pub(super) fn unreadable(name: &str, error: io::Error) -> StoreError {
    StoreError::unavailable(format!("{name} can't be read: check its disk and its permissions"))
        .caused_by(error)
}

pub(super) fn unwritable(name: &str, error: io::Error) -> StoreError {
    StoreError::unavailable(format!(
        "{name} can't be written: check its disk, space and permissions"
    ))
    .caused_by(error)
}
