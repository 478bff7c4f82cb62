//! The place of the database's file, and its replacement by a fresh one.

use redb::StorageBackend;

use crate::store::StoreError;

/// Storage for a database, and for the fresh copy that replaces it after a failed sync.
#[cfg_attr(
    not(feature = "test-util"),
    allow(unreachable_pub, reason = "exported with test-util only")
)]
pub trait Medium: Send + 'static {
    /// Opens the storage that bears the store's name.
    ///
    /// # Errors
    ///
    /// When it can't be read and written.
    fn open(&self) -> Result<Box<dyn StorageBackend>, StoreError>;

    /// Makes empty storage beside it; what an earlier draft left is dropped.
    ///
    /// # Errors
    ///
    /// When there is no room for it, or no right to make it.
    fn draft(&self) -> Result<Box<dyn StorageBackend>, StoreError>;

    /// Gives the draft the store's name. After `Ok` the next [`open`](Medium::open) finds the
    /// draft, power cuts included.
    ///
    /// # Errors
    ///
    /// When that could not be made durable. The name may then belong to either.
    fn publish(&self) -> Result<(), StoreError>;
}
