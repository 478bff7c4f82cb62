//! Errors of stores.

use std::{borrow::Cow, error::Error, fmt, sync::Arc};

use crate::{status::DecodeError, tenant_id::TenantId};

/// A failed operation of a store.
///
/// Its kind is available through predicates, so that new kinds can be added. The message says what
/// to do next and contains no secret: a password in a store's URL is left out. The underlying
/// error, if any, is the [`source`](Error::source).
///
/// ```
/// use tower_superoffice::store::StoreError;
///
/// let error = StoreError::unavailable("the disk is full: free some space");
/// assert!(error.is_unavailable());
/// assert_eq!(error.to_string(), "the disk is full: free some space");
/// ```
#[derive(Clone)]
pub struct StoreError {
    kind: Kind,
    message: Cow<'static, str>,
    /// Shared, because a store that writes in batches returns one failure to many callers.
    source: Option<Arc<dyn Error + Send + Sync>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Unavailable,
    InUse,
    Corrupt,
    Foreign,
    NewerSchema,
    Misconfigured,
}

impl StoreError {
    /// Creates an error for a store that can't be reached or written now. A retry may succeed.
    #[must_use]
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Unavailable, message)
    }

    /// Creates an error for a store that another process has open, and that allows only one.
    #[must_use]
    pub fn in_use(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::InUse, message)
    }

    /// Creates an error for damaged content.
    #[must_use]
    pub fn corrupt(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Corrupt, message)
    }

    /// Creates an error for intact content of another program.
    #[must_use]
    pub fn foreign(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Foreign, message)
    }

    /// Creates an error for content of a newer version of this crate, in a schema this one can't
    /// read.
    #[must_use]
    pub fn newer_schema(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::NewerSchema, message)
    }

    /// Creates an error for a wrong configuration, where no retry helps.
    #[must_use]
    pub fn misconfigured(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(Kind::Misconfigured, message)
    }

    /// Creates an error for a stored record of `tenant` that can't be decoded. `store` is the
    /// store's [`name`](super::Store::name).
    #[must_use]
    pub fn unreadable(store: &str, tenant: &TenantId, error: DecodeError) -> Self {
        let made = match error {
            DecodeError::NewerSchema { .. } => Self::newer_schema(format!(
                "{store} holds a record of {tenant} that a newer version wrote: upgrade this program before it uses this store"
            )),
            DecodeError::Malformed { .. } => Self::corrupt(format!(
                "{store} holds a damaged record of {tenant}: restore it from a backup or remove it"
            )),
        };
        made.caused_by(error)
    }

    /// Adds the underlying error.
    #[must_use]
    pub fn caused_by(self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self { source: Some(Arc::from(source.into())), ..self }
    }

    fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        Self { kind, message: message.into(), source: None }
    }

    /// Returns whether the store can't be reached or written now, so that a retry may succeed.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        self.kind == Kind::Unavailable
    }

    /// Returns whether another process has the store open.
    #[must_use]
    pub fn is_in_use(&self) -> bool {
        self.kind == Kind::InUse
    }

    /// Returns whether the content of the store is damaged.
    #[must_use]
    pub fn is_corrupt(&self) -> bool {
        self.kind == Kind::Corrupt
    }

    /// Returns whether the content belongs to something else, such as another program's database.
    #[must_use]
    pub fn is_foreign(&self) -> bool {
        self.kind == Kind::Foreign
    }

    /// Returns whether a newer version of this crate wrote content that this one can't read.
    #[must_use]
    pub fn is_newer_schema(&self) -> bool {
        self.kind == Kind::NewerSchema
    }

    /// Returns whether the configuration is wrong: an invalid URL, a wrong password.
    #[must_use]
    pub fn is_misconfigured(&self) -> bool {
        self.kind == Kind::Misconfigured
    }
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl fmt::Debug for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoreError")
            .field("kind", &self.kind)
            .field("message", &self.message)
            .field("source", &self.source)
            .finish()
    }
}

impl Error for StoreError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
