//! Keys: the tenant of a request.

use std::sync::Arc;

use http::header::HOST;

mod fast_path;
mod header_key;
mod key_fn;
mod normalize;
mod path_key;

#[cfg(feature = "test-util")]
pub(crate) use self::normalize::tenant_in as exact_tenant_in;
pub use self::{
    header_key::HeaderKey,
    key_fn::KeyFn,
    path_key::{InvalidPathPattern, PathKey},
};
use crate::{environment::Environment, tenant_id::TenantId};

/// Finds the tenant that a request is for.
///
/// Implemented by [`UrlKey`]; for one's own routes by [`HeaderKey`](crate::guard::HeaderKey) and
/// [`PathKey`](crate::guard::PathKey); and by [`KeyFn`](crate::guard::KeyFn) for a function
/// `Fn(&R) -> Option<TenantId>`. It runs for every call while any tenant is closed: it should be
/// quick, and must not block.
#[diagnostic::on_unimplemented(
    message = "`{Self}` can't find the tenant of a `{R}`",
    label = "no `TenantKey<{R}>`",
    note = "`UrlKey` reads `http::Request`, and `reqwest::Request` of reqwest 0.13 with tower-superoffice's feature `reqwest`",
    note = "a function `Fn(&{R}) -> Option<TenantId>` becomes a key with `.key_fn(..)`"
)]
pub trait TenantKey<R> {
    /// Returns the tenant that `request` is for; `None` for a request that is for no tenant, which
    /// is then always allowed.
    fn tenant(&self, request: &R) -> Option<TenantId>;

    /// Returns another tenant that `request` may be for; `None` by default.
    ///
    /// Called when [`tenant`](Self::tenant) is open: a call is allowed when both are. A key that
    /// wraps another one passes this on too.
    fn second_tenant(&self, request: &R) -> Option<TenantId> {
        let _ = request;
        None
    }

    /// Returns the only tenant that `request` can be for, as the request spells it, when that is
    /// cheap to find; `None`, the default, when the other two methods have to find it.
    ///
    /// While that tenant is open, the call is allowed without the other two methods. A call is
    /// refused only after these.
    fn glance<'r>(&self, request: &'r R) -> Option<&'r str> {
        let _ = request;
        None
    }
}

/// Finds the tenant in a request's URL: on a host that serves tenants, the first segment of the
/// path.
///
/// Takes `http::Request` and, with the feature `reqwest`, `reqwest::Request`. In this order:
///
/// 1. A [`TenantId`] in the extensions of an `http::Request` is the tenant. The tenant of the URL,
///    if it has another one, must then be open too: a redirect that is followed keeps the
///    extensions.
/// 2. The host must be one of the environment's tenant hosts
///    ([`Environment::is_tenant_host`]): its case, a trailing dot, a port and a user name make no
///    difference. The host of a URL that has none is the `Host` header's.
/// 3. The path is read as SuperOffice's servers read it: escapes, `%NN` and `%uNNNN`, are decoded
///    once, `\` is a slash, blanks and dots at the end of a segment are dropped, empty segments
///    too, `.` and `..` are followed. So `/Cust1/x`, `//%u0043ust1./x` and `/login/..%2FCust1/x`
///    are calls to the same tenant.
/// 4. `/login` and `/api/state`, in any case, belong to the environment and are no tenant.
#[derive(Debug, Clone)]
pub struct UrlKey {
    environment: Arc<Environment>,
}

impl UrlKey {
    /// Creates a key for the tenant hosts of `environment`.
    #[must_use]
    pub fn new(environment: Environment) -> Self {
        Self { environment: Arc::new(environment) }
    }

    /// Returns the tenant of the URL with `authority` (user name and port may be part of it) and
    /// `path` (a query may follow).
    ///
    /// For code that has no request at hand, such as a proxy's check of a request line.
    #[must_use]
    pub fn tenant_of(&self, authority: &str, path: &str) -> Option<TenantId> {
        self.decide(authority, without_query(path))
    }

    /// Returns the tenant of `path` (a query may follow) on a host that is known to serve tenants.
    ///
    /// For code that knows the host, such as a gateway that forwards `/{ContextIdentifier}/...`.
    ///
    /// ```
    /// use tower_superoffice::UrlKey;
    ///
    /// let tenant = UrlKey::tenant_of_path("//%43ust12345/api/v1/Contact/1?$select=name").unwrap();
    /// assert_eq!(tenant.as_str(), "Cust12345");
    /// assert_eq!(UrlKey::tenant_of_path("/login/common/oauth/authorize"), None);
    /// ```
    #[must_use]
    pub fn tenant_of_path(path: &str) -> Option<TenantId> {
        fast_path::tenant_in(without_query(path))
    }

    #[inline]
    fn decide(&self, authority: &str, path: &str) -> Option<TenantId> {
        if self.environment.is_tenant_authority(authority) {
            fast_path::tenant_in(path)
        } else {
            None
        }
    }
}

fn without_query(path: &str) -> &str {
    path.split(['?', '#']).next().unwrap_or_default()
}

impl<B> TenantKey<http::Request<B>> for UrlKey {
    #[inline]
    fn tenant(&self, request: &http::Request<B>) -> Option<TenantId> {
        match request.extensions().get::<TenantId>() {
            Some(tenant) => Some(tenant.clone()),
            None => self.tenant_of_url(request),
        }
    }

    /// Returns the tenant of the URL when the extensions name one: a client that follows a redirect
    /// keeps the extensions of the first request.
    #[inline]
    fn second_tenant(&self, request: &http::Request<B>) -> Option<TenantId> {
        request.extensions().get::<TenantId>()?;
        self.tenant_of_url(request)
    }

    #[inline]
    fn glance<'r>(&self, request: &'r http::Request<B>) -> Option<&'r str> {
        let extensions = request.extensions();
        if !extensions.is_empty() && extensions.get::<TenantId>().is_some() {
            return None;
        }
        fast_path::glance(request.uri().path())
    }
}

impl UrlKey {
    #[inline]
    fn tenant_of_url<B>(&self, request: &http::Request<B>) -> Option<TenantId> {
        let uri = request.uri();
        let authority = match uri.authority() {
            Some(authority) => authority.as_str(),
            None => str::from_utf8(request.headers().get(HOST)?.as_bytes()).ok()?,
        };
        self.decide(authority, uri.path())
    }
}

#[cfg(feature = "reqwest")]
impl TenantKey<reqwest::Request> for UrlKey {
    #[inline]
    fn tenant(&self, request: &reqwest::Request) -> Option<TenantId> {
        let url = request.url();
        // Both come back normalised, and without user name and port.
        self.decide(url.host_str()?, url.path())
    }

    #[inline]
    fn glance<'r>(&self, request: &'r reqwest::Request) -> Option<&'r str> {
        fast_path::glance(request.url().path())
    }
}
