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
/// It is an [`Error`] for *any* client error that can be shown, `BoxError` included, so `?`
/// converts it into `Box<dyn Error>` and `anyhow::Error`.
///
/// A client's error is shown with its own text. Its cause is this error's [`source`](Error::source)
/// where the type of the client's error is known to this crate: `BoxError`, [`io::Error`], those of
/// `http` and tokio, hyper's and hyper-util's with the feature `client`, and reqwest's with the
/// feature `reqwest`. For any other type there is no source: match [`Inner`](Self::Inner).
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

impl<E: Display + 'static> Display for GuardError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unavailable(unavailable) => write!(
                f,
                "refused a call to tenant {} ({})",
                unavailable.tenant(),
                unavailable.reason()
            ),
            Self::Inner(inner) => inner.fmt(f),
        }
    }
}

// `E: Error` would leave out `BoxError`, which is no `Error` itself; a second impl for it would
// overlap. So the bound is what both have, and the cause is found by type.
impl<E: Debug + Display + 'static> Error for GuardError<E> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Unavailable(unavailable) => Some(unavailable),
            // As it shows the inner error's text, a reporter of the whole chain says nothing twice.
            Self::Inner(inner) => as_known_error(inner)?.source(),
        }
    }
}

/// Calls `$each!` with every error type that is known here, alone and inside a guard's error.
macro_rules! for_known_errors {
    ($each:ident) => {
        #[cfg(feature = "reqwest")]
        $each!(reqwest::Error);
        #[cfg(any(feature = "client", feature = "client-ring"))]
        $each!(hyper_util::client::legacy::Error);
        #[cfg(any(feature = "client", feature = "client-ring"))]
        $each!(hyper::Error);
        $each!(io::Error);
        $each!(http::Error);
        $each!(tokio::time::error::Elapsed);
        $each!(Arc<dyn Error + Send + Sync>);
        $each!(TenantUnavailable);
        $each!(Infallible);
        $each!(fmt::Error);
    };
}

/// The same for pointers to an error of any type, which are no errors themselves.
macro_rules! for_known_boxes {
    ($each:ident) => {
        $each!(Box<dyn Error + Send + Sync>);
        $each!(Box<dyn Error + Send>);
        $each!(Box<dyn Error>);
    };
}

/// Returns `inner` as an error, if it is of a type known here.
///
/// For each `E` the compiler keeps one comparison of this list at most.
fn as_known_error<E: 'static>(inner: &E) -> Option<&(dyn Error + 'static)> {
    let any: &dyn Any = inner;
    macro_rules! cast {
        ($known:ty) => {
            if let Some(error) = any.downcast_ref::<$known>() {
                return Some(error);
            }
            if let Some(error) = any.downcast_ref::<GuardError<$known>>() {
                return Some(error);
            }
        };
    }
    macro_rules! unbox {
        ($known:ty) => {
            if let Some(error) = any.downcast_ref::<$known>() {
                return Some(&**error);
            }
            if let Some(error) = any.downcast_ref::<GuardError<$known>>() {
                return Some(error);
            }
        };
    }
    for_known_boxes!(unbox);
    for_known_errors!(cast);
    None
}

/// Returns the client's error in `error`, if that is a [`GuardError`] whose client's error is of a
/// type known here. Its `source` would step over it.
pub(super) fn inner_of_guard_error<'e>(
    error: &'e (dyn Error + 'static),
) -> Option<&'e (dyn Error + 'static)> {
    macro_rules! cast {
        ($known:ty) => {
            if let Some(GuardError::Inner(inner)) = error.downcast_ref::<GuardError<$known>>() {
                return as_known_error(inner);
            }
            if let Some(GuardError::Inner(inner)) =
                error.downcast_ref::<GuardError<GuardError<$known>>>()
            {
                return as_known_error(inner);
            }
        };
    }
    for_known_boxes!(cast);
    for_known_errors!(cast);
    None
}
