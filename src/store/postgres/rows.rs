//! The values in rows that the statements return.

use aws_lc_rs::digest::{SHA256, digest};
use tokio_postgres::{Row, types::FromSql};

use super::error::store_error;
use crate::{
    status::Record,
    store::{StoreError, cache::Cached},
};

/// The mark of a stored value: its digest and position, and whether the gate has got it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Mark {
    /// The digest of the value, by which a statement tells whether it is still stored.
    pub(super) digest: [u8; 32],
    pub(super) position: i64,
    /// Whether the gate has got all of the record: from a load, from the changes, or as its own.
    pub(super) is_published: bool,
}

pub(super) type CachedValue = Cached<Mark>;

impl Mark {
    pub(super) fn new(value: &[u8], position: i64, is_published: bool) -> Self {
        let sum = digest(&SHA256, value);
        Self { digest: sum.as_ref().try_into().unwrap_or_default(), position, is_published }
    }
}

/// Creates the entry for the stored `value`, of which `record` is the decoded record.
pub(super) fn cached(
    record: Record,
    value: &[u8],
    position: i64,
    is_published: bool,
) -> CachedValue {
    Cached { record, mark: Mark::new(value, position, is_published) }
}

/// Reads a column of `row`. `store` is the store's name, for the error.
pub(super) fn column<'a, T: FromSql<'a>>(
    store: &str,
    row: &'a Row,
    column: usize,
) -> Result<T, StoreError> {
    row.try_get(column).map_err(|error| store_error(store, error))
}
