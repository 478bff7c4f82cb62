//! Where login, keys, the state API and the tenants of SuperOffice live.
//!
//! This module alone decides which hosts are *tenant hosts*. The guard's key, the check of a moved
//! tenant's endpoint and the endpoint layer all ask it, so they can't disagree.

mod origin;

use std::{fmt, net::Ipv4Addr};

use http::Uri;

pub(crate) use self::origin::{Origin, default_port};

/// One of SuperOffice's environments, or one of your own.
///
/// Notification keys, application ids and tenants differ between environments: a gate serves one.
///
/// ```
/// use tower_superoffice::Environment;
///
/// let production = Environment::Production;
/// assert_eq!(production.key_url().to_string(), "https://online.superoffice.com/login/.well-known/jwks");
/// assert!(production.is_tenant_host("online3.superoffice.com"));
/// assert!(!production.is_tenant_host("superoffice.com.example.org"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Environment {
    /// Development: `sod.superoffice.com`.
    Sod,
    /// Stage: `qaonline.superoffice.com`.
    Stage,
    /// Production: `online.superoffice.com`.
    Production,
    /// A SuperOffice somewhere else: a simulator, a recorded one, a private one.
    Custom {
        /// Login, keys and state API live under this URL.
        base: Uri,
        /// The host names that serve tenants, compared whole, ignoring case and port.
        hosts: Vec<String>,
    },
}

/// Every host of SuperOffice is this one or lies below it.
const SUPEROFFICE: &str = "superoffice.com";

impl Environment {
    /// An environment whose login, keys and state API live under `base`, and whose tenants live on
    /// `base`'s own host, at any port.
    ///
    /// `base` must be https, or http on a loopback address; building a gate checks it.
    ///
    /// ```
    /// use tower_superoffice::Environment;
    ///
    /// let local = Environment::custom("http://127.0.0.1:9000".parse()?);
    /// assert!(local.is_tenant_host("127.0.0.1"));
    /// # Ok::<(), http::uri::InvalidUri>(())
    /// ```
    #[must_use]
    pub fn custom(base: Uri) -> Self {
        let hosts = base.host().map(str::to_owned).into_iter().collect();
        Self::Custom { base, hosts }
    }

    /// The environment's origin, without a trailing slash: `https://online.superoffice.com`.
    ///
    /// For a custom environment this is its whole base, path included.
    #[must_use]
    pub fn origin(&self) -> String {
        match self {
            Self::Sod => "https://sod.superoffice.com".to_owned(),
            Self::Stage => "https://qaonline.superoffice.com".to_owned(),
            Self::Production => "https://online.superoffice.com".to_owned(),
            Self::Custom { base, .. } => {
                let base = base.to_string();
                let end = base.find('?').unwrap_or(base.len());
                base.get(..end).unwrap_or_default().trim_end_matches('/').to_owned()
            }
        }
    }

    /// The issuers that notification tokens of this environment may name.
    ///
    /// SuperOffice's receiver sample shows the origin; every other token it sends to vendors says
    /// `SuperOffice AS`. Both are accepted because which of the two notifications carry is not
    /// documented.
    #[must_use]
    pub fn issuers(&self) -> Vec<String> {
        vec![self.origin(), "SuperOffice AS".to_owned()]
    }

    /// Where the environment publishes its signing keys as a JSON Web Key Set.
    #[must_use]
    pub fn key_url(&self) -> Uri {
        self.under("/login/.well-known/jwks")
    }

    /// Where the environment answers for the state of `tenant`.
    #[must_use]
    pub fn state_url(&self, tenant: &crate::tenant_id::TenantId) -> Uri {
        self.under(&format!("/api/state/{tenant}"))
    }

    /// `path` below the environment's origin.
    fn under(&self, path: &str) -> Uri {
        // An origin that parsed once and a path of known characters always parse together; were
        // that ever untrue, a URL without a host fails as soon as it is used, and says so.
        format!("{}{path}", self.origin()).parse().unwrap_or_default()
    }

    /// Whether `host` (a bare host name or address, no port) serves tenants of this environment.
    ///
    /// Case and one trailing dot make no difference. SuperOffice moves tenants between many hosts
    /// and adds new ones without notice, so every host at or below `superoffice.com` counts.
    #[must_use]
    pub fn is_tenant_host(&self, host: &str) -> bool {
        let host = host.strip_suffix('.').unwrap_or(host);
        match self {
            Self::Sod | Self::Stage | Self::Production => {
                let Some(cut) = host.len().checked_sub(SUPEROFFICE.len()) else { return false };
                let (head, tail) = host.as_bytes().split_at(cut);
                tail.eq_ignore_ascii_case(SUPEROFFICE.as_bytes())
                    && (head.is_empty() || head.ends_with(b"."))
            }
            Self::Custom { hosts, .. } => hosts.iter().any(|own| own.eq_ignore_ascii_case(host)),
        }
    }

    /// A name that keeps this environment's data apart from another's in a shared store.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Sod => "sod".to_owned(),
            Self::Stage => "stage".to_owned(),
            Self::Production => "production".to_owned(),
            // Two under one host have keys and a state API of their own, each below its path.
            Self::Custom { base, .. } => {
                let host = base.authority().map(|a| a.as_str().to_ascii_lowercase());
                host.unwrap_or_default() + base.path().trim_end_matches('/')
            }
        }
    }

    /// Says what is wrong with a custom environment, if anything is.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        let Self::Custom { base, hosts } = self else { return None };
        let Some(host) = base.host().filter(|host| !host.is_empty()) else {
            return Some("its base is not an absolute URL");
        };
        if base.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Some("its base carries a user name");
        }
        if hosts.is_empty() {
            return Some("it names no tenant host");
        }
        match base.scheme_str() {
            Some("https") => None,
            Some("http") if is_loopback(host) => None,
            Some("http") => Some("its base is http, which is taken on loopback addresses only"),
            _ => Some("its base is neither https nor http"),
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

/// Whether `host` names this very machine: `localhost`, `127.0.0.0/8` or `[::1]`.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host == "[::1]"
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_hosts_are_superoffice_com_and_below() {
        for host in [
            "superoffice.com",
            "SOD2.SuperOffice.com",
            "app-stage.superoffice.com",
            "a.b.superoffice.com.",
        ] {
            assert!(Environment::Production.is_tenant_host(host), "{host}");
        }
        for host in [
            "evilsuperoffice.com",
            "superoffice.com.evil.org",
            "superoffice.co",
            "",
            ".",
            "superoffice.com..",
            "\u{e9}uperoffice.com",
        ] {
            assert!(!Environment::Production.is_tenant_host(host), "{host}");
        }
    }

    #[test]
    fn a_custom_base_keeps_its_path_and_loses_its_slash() {
        let custom = Environment::custom("http://localhost:9000/so/".parse().unwrap());
        assert_eq!(custom.key_url(), "http://localhost:9000/so/login/.well-known/jwks");
        assert_eq!(custom.issuers()[0], "http://localhost:9000/so");
        assert_eq!(custom.fault(), None);
    }

    #[test]
    fn http_is_for_loopback_only() {
        for (base, ok) in [
            ("http://127.0.0.1:1", true),
            ("http://127.9.9.9", true),
            ("http://[::1]:8", true),
            ("http://LOCALHOST", true),
            ("http://10.0.0.1", false),
            ("http://127.0.0.1.evil.org", false),
            ("https://10.0.0.1", true),
            ("https://me@so.example", false),
            ("ftp://localhost", false),
            ("/only/a/path", false),
        ] {
            assert_eq!(Environment::custom(base.parse().unwrap()).fault().is_none(), ok, "{base}");
        }
    }
}
