//! The places of SuperOffice: login, keys, the state API and the hosts that serve tenants.
//!
//! This module alone decides which hosts are *tenant hosts*. The guard's key, the check of a moved
//! tenant's endpoint and the endpoint layer all use it, so they can't disagree.

mod authority;
mod custom;
mod host;
mod origin;
mod origins;

use std::fmt;

use http::Uri;

pub use self::custom::CustomEnvironment;
pub(crate) use self::{
    authority::is_plain_authority,
    host::is_loopback,
    origin::{Origin, default_port},
    origins::{Numbered, Origins},
};

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
    /// A SuperOffice somewhere else: a simulator, a recorded one, a private one. Made by
    /// [`custom`](Self::custom) and [`custom_with_hosts`](Self::custom_with_hosts).
    Custom(CustomEnvironment),
}

/// The domain of SuperOffice's hosts.
const SUPEROFFICE: &str = "superoffice.com";

/// SuperOffice's own environments.
const BUILT_IN: [Environment; 3] = [Environment::Sod, Environment::Stage, Environment::Production];

impl Environment {
    /// Creates an environment whose login, keys and state API live under `base`, and whose tenants
    /// live on `base`'s own host: on a loopback address at any port, elsewhere at its port.
    ///
    /// `base` must be an https URL without user name and query, or an http one on a loopback
    /// address, and not be one of SuperOffice's own. [`TenantGateBuilder::build`] refuses any
    /// other; until then it has no tenant host.
    ///
    /// [`TenantGateBuilder::build`]: crate::TenantGateBuilder::build
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
        Self::Custom(CustomEnvironment::new(&base, None))
    }

    /// Creates an environment like [`custom`](Self::custom) does, whose tenants live on `hosts`.
    ///
    /// Each is `HOST` or `HOST:PORT`; without a port it is the default port of `base`'s scheme.
    /// Case and one trailing dot make no difference. [`TenantGateBuilder::build`] refuses
    /// wildcards, anything else than host and port, and SuperOffice's own environments.
    ///
    /// [`TenantGateBuilder::build`]: crate::TenantGateBuilder::build
    ///
    /// ```
    /// use tower_superoffice::Environment;
    ///
    /// let base = "https://so.example.org".parse()?;
    /// let environment = Environment::custom_with_hosts(base, ["a.example.org", "b.example.org:8443"]);
    /// assert!(environment.is_tenant_host("b.example.org"));
    /// assert!(!environment.is_tenant_host("so.example.org"));
    /// # Ok::<(), http::uri::InvalidUri>(())
    /// ```
    #[must_use]
    pub fn custom_with_hosts<H: Into<String>>(
        base: Uri,
        hosts: impl IntoIterator<Item = H>,
    ) -> Self {
        let hosts = hosts.into_iter().map(Into::into).collect();
        Self::Custom(CustomEnvironment::new(&base, Some(hosts)))
    }

    /// Returns whether this is none of SuperOffice's own environments.
    #[must_use]
    pub fn is_custom(&self) -> bool {
        matches!(self, Self::Custom(_))
    }

    /// Returns the environment's origin, without a trailing slash:
    /// `https://online.superoffice.com`.
    ///
    /// For a custom environment this is its whole base, path included.
    #[must_use]
    pub fn origin(&self) -> String {
        match self {
            Self::Custom(custom) => custom.base().to_owned(),
            built_in => format!("https://{}", built_in.origin_host()),
        }
    }

    /// Returns the host of a built-in environment's login, keys and state API.
    fn origin_host(&self) -> &'static str {
        match self {
            Self::Sod => "sod.superoffice.com",
            Self::Stage => "qaonline.superoffice.com",
            Self::Production => "online.superoffice.com",
            Self::Custom(_) => "",
        }
    }

    /// Returns the issuers that notification tokens of this environment may name.
    ///
    /// SuperOffice's receiver sample shows the origin; every other token it sends to vendors says
    /// `SuperOffice AS`. Both are accepted because which of the two notifications carry is not
    /// documented.
    #[must_use]
    pub fn issuers(&self) -> Vec<String> {
        vec![self.origin(), "SuperOffice AS".to_owned()]
    }

    /// Returns the URL of the environment's signing keys, a JSON Web Key Set.
    #[must_use]
    pub fn key_url(&self) -> Uri {
        self.url_below("/login/.well-known/jwks")
    }

    /// Returns the URL of the state of `tenant`.
    #[must_use]
    pub fn state_url(&self, tenant: &crate::tenant_id::TenantId) -> Uri {
        self.url_below(&format!("/api/state/{tenant}"))
    }

    /// Returns the URL of `path` below the environment's origin.
    fn url_below(&self, path: &str) -> Uri {
        // An origin that parsed once and a path of known characters always parse together; were
        // that ever untrue, a URL without a host fails as soon as it is used, and says so.
        format!("{}{path}", self.origin()).parse().unwrap_or_default()
    }

    /// Returns whether `host` (a bare host name or address, no port) serves tenants of this
    /// environment.
    ///
    /// Case and one trailing dot make no difference. SuperOffice moves tenants between many hosts
    /// and adds new ones without notice, so every host below `superoffice.com` counts for each of
    /// its environments, except the host of another environment's login and state API, such as
    /// `sod.superoffice.com`. A custom environment has the hosts that it was made with.
    #[must_use]
    pub fn is_tenant_host(&self, host: &str) -> bool {
        match self {
            Self::Custom(custom) => custom.is_tenant_host(host),
            built_in => {
                let host = host.strip_suffix('.').unwrap_or(host).as_bytes();
                let Some(cut) = host.len().checked_sub(SUPEROFFICE.len()) else { return false };
                let (head, tail) = host.split_at(cut);
                tail.eq_ignore_ascii_case(SUPEROFFICE.as_bytes())
                    && head.strip_suffix(b".").is_some_and(|label| built_in.has_label(label))
            }
        }
    }

    /// Returns whether the host `label` below superoffice.com serves tenants of this built-in
    /// environment.
    #[inline]
    pub(crate) fn has_label(&self, label: &[u8]) -> bool {
        match label.len() {
            0 => false,
            3 if label.eq_ignore_ascii_case(b"sod") => matches!(self, Self::Sod),
            6 if label.eq_ignore_ascii_case(b"online") => matches!(self, Self::Production),
            8 if label.eq_ignore_ascii_case(b"qaonline") => matches!(self, Self::Stage),
            _ => true,
        }
    }

    /// Returns a name that keeps this environment's data apart from another's in a shared store.
    ///
    /// `sod`, `stage` or `production`; for a custom environment host, port and path of its base.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Sod => "sod".to_owned(),
            Self::Stage => "stage".to_owned(),
            Self::Production => "production".to_owned(),
            Self::Custom(custom) => custom.name().to_owned(),
        }
    }

    /// Returns the reason why no gate can be built for this environment, if there is one.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        match self {
            Self::Custom(custom) => custom.fault(),
            _ => None,
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests;
