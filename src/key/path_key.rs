//! A key that reads the path of one's own routes.

use std::{error::Error, fmt, str::FromStr};

use http::Request;

use super::{TenantKey, normalize};
use crate::tenant_id::TenantId;

/// Finds the tenant in the path of one's own routes, such as `/v1/tenants/{tenant}`.
///
/// A pattern is a path with one segment `{tenant}`; any other segment in braces matches any text.
/// A path that goes on behind its pattern matches too. The tenant is read twice, and both must be
/// open: as a router reads it, segment by segment, and as [`UrlKey`](crate::UrlKey) does, with
/// escapes, backslashes and dot segments resolved, because another server may stand behind the
/// router.
///
/// A request that matches no pattern is for no tenant and passes: add
/// [`require_tenant`](crate::GuardLayer::require_tenant) where that must not happen.
///
/// axum strips the prefix of a nested router from the path. With the feature `axum` the whole path
/// is found all the same, so one pattern is right inside and outside of a nested router. Without
/// the feature, write the pattern for the path that is left.
///
/// ```
/// use tower_superoffice::guard::PathKey;
///
/// # fn of(gate: &tower_superoffice::TenantGate) -> Result<(), Box<dyn std::error::Error>> {
/// let key = PathKey::new("/v1/tenants/{tenant}")?;
/// let layer = gate.guard_layer().key(key).require_tenant();
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct PathKey {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Literal(String),
    Any,
    Tenant,
}

impl PathKey {
    /// Creates a key for paths that match `pattern`.
    ///
    /// # Errors
    ///
    /// When `pattern` does not begin with a slash, or has not exactly one segment `{tenant}`, or a
    /// segment that is partly in braces.
    pub fn new(pattern: &str) -> Result<Self, InvalidPathPattern> {
        let path = pattern.strip_prefix('/').ok_or(InvalidPathPattern::NoSlash)?;
        let parts: Vec<_> = path.split('/').map(Part::parse).collect::<Result<_, _>>()?;
        match parts.iter().filter(|part| **part == Part::Tenant).count() {
            1 => Ok(Self { parts }),
            _ => Err(InvalidPathPattern::NotOneTenant),
        }
    }

    /// Returns the tenant in `path`, read segment by segment, as a router does.
    fn literal(&self, path: &str) -> Option<TenantId> {
        let mut segments = path.strip_prefix('/')?.split('/');
        self.find(|| Some(normalize::decoded(segments.next()?)))
    }

    /// Returns the tenant in `path`, read as by [`UrlKey`](crate::UrlKey).
    fn normalized(&self, path: &str) -> Option<TenantId> {
        let mut segments = normalize::segments(path, self.parts.len()).into_iter();
        self.find(|| segments.next()?)
    }

    fn find(&self, mut next: impl FnMut() -> Option<Vec<u8>>) -> Option<TenantId> {
        let mut tenant = None;
        for part in &self.parts {
            let segment = next()?;
            match part {
                Part::Literal(literal) if literal.as_bytes() != segment => return None,
                Part::Literal(_) | Part::Any => {}
                Part::Tenant => tenant = TenantId::new(str::from_utf8(&segment).ok()?).ok(),
            }
        }
        tenant
    }

    /// Returns the tenants of `request` by each reading.
    fn readings<'a, B>(&'a self, request: &'a Request<B>) -> impl Iterator<Item = TenantId> + 'a {
        let paths = std::iter::once(request.uri().path()).chain(original_path(request));
        paths.flat_map(|path| [self.literal(path), self.normalized(path)]).flatten()
    }
}

#[cfg(feature = "axum")]
fn original_path<B>(request: &Request<B>) -> Option<&str> {
    Some(request.extensions().get::<axum::extract::OriginalUri>()?.0.path())
}

#[cfg(not(feature = "axum"))]
fn original_path<B>(_: &Request<B>) -> Option<&str> {
    None
}

impl Part {
    fn parse(segment: &str) -> Result<Self, InvalidPathPattern> {
        let inner = segment.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        match inner {
            Some("tenant") => Ok(Self::Tenant),
            Some(name) if !name.is_empty() && !name.contains(['{', '}']) => Ok(Self::Any),
            None if !segment.contains(['{', '}']) => Ok(Self::Literal(segment.to_owned())),
            _ => Err(InvalidPathPattern::Braces),
        }
    }
}

impl FromStr for PathKey {
    type Err = InvalidPathPattern;

    fn from_str(pattern: &str) -> Result<Self, InvalidPathPattern> {
        Self::new(pattern)
    }
}

impl<B> TenantKey<Request<B>> for PathKey {
    fn tenant(&self, request: &Request<B>) -> Option<TenantId> {
        self.readings(request).next()
    }

    fn second_tenant(&self, request: &Request<B>) -> Option<TenantId> {
        let mut readings = self.readings(request);
        let first = readings.next()?;
        readings.find(|tenant| *tenant != first)
    }
}

/// The error for a pattern that [`PathKey`] can't use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidPathPattern {
    /// It does not begin with a slash.
    NoSlash,
    /// It has no segment `{tenant}`, or more than one.
    NotOneTenant,
    /// A segment has braces, but is not one name in braces.
    Braces,
}

impl fmt::Display for InvalidPathPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoSlash => "invalid path pattern: begin it with a slash",
            Self::NotOneTenant => "invalid path pattern: write exactly one segment `{tenant}`",
            Self::Braces => {
                "invalid path pattern: a segment in braces is `{name}` and nothing else"
            }
        })
    }
}

impl Error for InvalidPathPattern {}

#[cfg(test)]
mod tests {
    use super::*;

    fn tenants(pattern: &str, path: &str) -> (Option<String>, Option<String>) {
        let key = PathKey::new(pattern).unwrap();
        let request = Request::get(path).body(()).unwrap();
        let shown = |tenant: Option<TenantId>| tenant.map(|tenant| tenant.to_string());
        (shown(key.tenant(&request)), shown(key.second_tenant(&request)))
    }

    #[test]
    fn path_is_read_as_a_router_and_as_a_server_does() {
        let table = [
            ("/v1/tenants/Cust1", Some("Cust1"), None),
            ("/v1/tenants/Cust1/contacts?x", Some("Cust1"), None),
            ("/v1/tenants/%43ust1", Some("Cust1"), None),
            ("/v1/tenants/%u0043ust1", Some("Cust1"), None),
            ("/v1//tenants/Cust1", Some("Cust1"), None),
            ("/v1/tenants/Cust1/../Cust2", Some("Cust1"), Some("Cust2")),
            ("/x/../v1/tenants/Cust1", Some("Cust1"), None),
            ("/v1\\tenants\\Cust1", Some("Cust1"), None),
            ("/v1/tenants/Cust1./x", Some("Cust1"), None),
            ("/v1/tenants/Cust1%2f..%2fCust2", Some("Cust2"), None),
            ("/v1/tenants", None, None),
            ("/v1/tenants/", None, None),
            ("/v2/tenants/Cust1", None, None),
            ("/V1/tenants/Cust1", None, None),
            ("/v1/tenants/Cust1/../..", Some("Cust1"), None),
            ("/", None, None),
        ];
        for (path, first, second) in table {
            let (found, other) = tenants("/v1/tenants/{tenant}", path);
            assert_eq!((found.as_deref(), other.as_deref()), (first, second), "{path}");
        }
        let (found, _) = tenants("/{region}/{tenant}/x", "/eu/Cust1/x/y");
        assert_eq!(found.as_deref(), Some("Cust1"));
    }

    #[test]
    fn malformed_pattern_is_refused() {
        for (pattern, error) in [
            ("v1/{tenant}", InvalidPathPattern::NoSlash),
            ("/v1", InvalidPathPattern::NotOneTenant),
            ("/{tenant}/{tenant}", InvalidPathPattern::NotOneTenant),
            ("/x{tenant}", InvalidPathPattern::Braces),
            ("/{}/{tenant}", InvalidPathPattern::Braces),
            ("/{{a}}/{tenant}", InvalidPathPattern::Braces),
        ] {
            assert_eq!(PathKey::new(pattern).unwrap_err(), error, "{pattern}");
        }
    }
}
