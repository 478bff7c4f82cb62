//! The error of a guarded client.

use std::{
    any::Any,
    convert::Infallible,
    error::Error,
    fmt::{self, Debug, Display},
    io,
    sync::Arc,
};

use super::TenantUnavailable;

/// The reason why a call through a [`Guard`](super::Guard) failed: the tenant is closed, or the
/// wrapped client failed.
///
/// It is an [`Error`] for *any* client error that can be shown, `BoxError` included, so `?` takes
/// it into `Box<dyn Error>` and `anyhow::Error`. Both variants have a source: the
/// [`TenantUnavailable`], or the client's error where its type is known to this crate (`BoxError`,
/// [`io::Error`], hyper-util's, reqwest's and others). A client error of an unknown type can't be a
/// source, so its text is shown instead.
#[derive(Debug, Clone)]
pub enum GuardError<E> {
    /// The tenant is closed. Nothing was sent.
    Unavailable(TenantUnavailable),
    /// The wrapped client failed.
    Inner(E),
}

impl<E> GuardError<E> {
    /// Returns what closes the tenant, if that is why the call failed.
    pub fn unavailable(&self) -> Option<&TenantUnavailable> {
        match self {
            Self::Unavailable(unavailable) => Some(unavailable),
            Self::Inner(_) => None,
        }
    }

    /// Converts into what closes the tenant, if that is why the call failed.
    ///
    /// # Errors
    ///
    /// The wrapped client's error, if the client failed.
    pub fn into_unavailable(self) -> Result<TenantUnavailable, E> {
        match self {
            Self::Unavailable(unavailable) => Ok(unavailable),
            Self::Inner(inner) => Err(inner),
        }
    }

    /// Returns the wrapped client's error, if the client failed.
    pub fn inner(&self) -> Option<&E> {
        match self {
            Self::Unavailable(_) => None,
            Self::Inner(inner) => Some(inner),
        }
    }

    /// Converts the wrapped client's error with `map`.
    pub fn map_inner<F>(self, map: impl FnOnce(E) -> F) -> GuardError<F> {
        match self {
            Self::Unavailable(unavailable) => GuardError::Unavailable(unavailable),
            Self::Inner(inner) => GuardError::Inner(map(inner)),
        }
    }
}

impl<E> From<TenantUnavailable> for GuardError<E> {
    fn from(unavailable: TenantUnavailable) -> Self {
        Self::Unavailable(unavailable)
    }
}

/// Shows what its source does not: a reporter that prints the whole chain says nothing twice.
impl<E: Display + 'static> Display for GuardError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(unavailable) => write!(
                f,
                "refused a call to tenant {} ({})",
                unavailable.tenant(),
                unavailable.reason()
            ),
            Self::Inner(inner) if known(inner).is_some() => {
                f.write_str("the call to the tenant failed")
            }
            Self::Inner(inner) => inner.fmt(f),
        }
    }
}

// `E: Error` would leave out `BoxError`, which is no `Error` itself; a second impl for it would
// overlap. So the bound is what both have, and the source is found by type.
impl<E: Debug + Display + 'static> Error for GuardError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unavailable(unavailable) => Some(unavailable),
            Self::Inner(inner) => known(inner),
        }
    }
}

/// Casts `$any` to each type of the list, alone and inside another guard's error. That one is
/// stepped over: it would only say the same again.
macro_rules! cast_to_any_of {
    ($any:ident: $($(#[$when:meta])* $known:ty),+ $(,)?) => {$(
        $(#[$when])*
        if let Some(error) = $any.downcast_ref::<$known>() {
            return Some(error);
        }
        $(#[$when])*
        if let Some(error) = $any.downcast_ref::<GuardError<$known>>() {
            return error.source();
        }
    )+};
}

/// The same for pointers to an error of any type, which are no errors themselves.
macro_rules! deref_any_of {
    ($any:ident: $($known:ty),+ $(,)?) => {$(
        if let Some(error) = $any.downcast_ref::<$known>() {
            return Some(&**error);
        }
        if let Some(error) = $any.downcast_ref::<GuardError<$known>>() {
            return error.source();
        }
    )+};
}

/// `inner` as an error, if it is of a type known here.
///
/// For each `E` the compiler keeps one comparison of this list at most.
fn known<E: 'static>(inner: &E) -> Option<&(dyn Error + 'static)> {
    let any: &dyn Any = inner;
    deref_any_of!(any:
        Box<dyn Error + Send + Sync>,
        Box<dyn Error + Send>,
        Box<dyn Error>,
    );
    cast_to_any_of!(any:
        #[cfg(feature = "reqwest")]
        reqwest::Error,
        #[cfg(feature = "client")]
        hyper_util::client::legacy::Error,
        #[cfg(feature = "client")]
        hyper::Error,
        io::Error,
        http::Error,
        tokio::time::error::Elapsed,
        Arc<dyn Error + Send + Sync>,
        TenantUnavailable,
        Infallible,
        fmt::Error,
    );
    None
}
