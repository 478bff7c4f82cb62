//! An environment that is none of SuperOffice's own.

use http::{Uri, uri::Scheme};

use super::{
    BUILT_IN, SUPEROFFICE, default_port,
    host::{self, is_loopback, split_port},
};

/// The place of a custom [`Environment`](crate::Environment): its base URL and the hosts that
/// serve its tenants.
///
/// [`Environment::custom`](crate::Environment::custom) and
/// [`Environment::custom_with_hosts`](crate::Environment::custom_with_hosts) make one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CustomEnvironment {
    /// The base URL in normal form, without a trailing slash.
    base: String,
    scheme: Scheme,
    /// Host and port of the base in normal form, and its path.
    name: String,
    hosts: Vec<TenantHost>,
    /// The reason why no gate can be built for it. It serves no tenants then.
    fault: Option<&'static str>,
}

/// A host that serves tenants.
#[derive(Debug, Clone, PartialEq, Eq)]
struct TenantHost {
    host: String,
    /// `None` for any.
    port: Option<u16>,
}

impl CustomEnvironment {
    pub(super) fn new(base: &Uri, hosts: Option<Vec<String>>) -> Self {
        Self::parse(base, hosts).unwrap_or_else(|fault| Self {
            base: base.to_string(),
            scheme: Scheme::HTTPS,
            name: base.to_string(),
            hosts: Vec::new(),
            fault: Some(fault),
        })
    }

    fn parse(base: &Uri, hosts: Option<Vec<String>>) -> Result<Self, &'static str> {
        let (Some(scheme), Some(authority)) = (base.scheme(), base.authority()) else {
            return Err("its base is not an absolute URL: give one such as https://so.example.org");
        };
        if authority.as_str().contains('@') {
            return Err("its base carries a user name: leave it out");
        }
        if base.query().is_some() {
            return Err("its base carries a query: leave it out");
        }
        let own = TenantHost::parse(authority.as_str(), scheme)
            .ok_or("its base has no host and port that can be matched: give a plain host name")?;
        let loopback = is_loopback(&own.host);
        if *scheme == Scheme::HTTP && !loopback {
            return Err(
                "its base is http, which is accepted on loopback addresses only: use https",
            );
        }
        if *scheme != Scheme::HTTP && *scheme != Scheme::HTTPS {
            return Err("its base is neither https nor http");
        }
        own.check()?;
        let port = own.port.filter(|port| *port != default_port(scheme));
        let authority = match port {
            Some(port) => format!("{}:{port}", own.host),
            None => own.host.clone(),
        };
        let path = base.path().trim_end_matches('/');
        let name = format!("{authority}{path}");
        if BUILT_IN.iter().any(|built_in| built_in.name() == name) {
            return Err(
                "its host is the name of one of SuperOffice's environments: a store could \
                 not keep them apart. Use a host name with a dot",
            );
        }
        let hosts = match hosts {
            Some(hosts) if hosts.is_empty() => return Err("it names no tenant host"),
            Some(hosts) => hosts
                .iter()
                .map(|host| TenantHost::named(host, scheme))
                .collect::<Result<_, _>>()?,
            // A test set-up: a simulator's hosts differ in their ports.
            None if loopback => vec![TenantHost { port: None, ..own }],
            None => vec![own],
        };
        let base = format!("{scheme}://{name}");
        Ok(Self { base, scheme: scheme.clone(), name, hosts, fault: None })
    }

    /// Returns the base URL, without a trailing slash: login, keys and state API are below it.
    #[must_use]
    pub fn base(&self) -> &str {
        &self.base
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    pub(super) fn fault(&self) -> Option<&'static str> {
        self.fault
    }

    /// Returns whether `host` serves tenants, at whichever port.
    pub(super) fn is_tenant_host(&self, host: &str) -> bool {
        self.hosts.iter().any(|own| host::matches(host, &own.host))
    }

    /// Returns whether `host`, in normal form, serves tenants at `port`.
    pub(super) fn serves(&self, host: &str, port: u16) -> bool {
        self.hosts.iter().any(|own| own.host == host && own.port.is_none_or(|own| own == port))
    }
}

impl TenantHost {
    /// Parses a host that was named as `HOST` or `HOST:PORT`.
    fn named(authority: &str, scheme: &Scheme) -> Result<Self, &'static str> {
        if authority.contains('*') {
            return Err("a tenant host has a wildcard: name each host");
        }
        let host = Self::parse(authority, scheme)
            .ok_or("a tenant host is neither HOST nor HOST:PORT: give no scheme and no path")?;
        host.check()?;
        Ok(host)
    }

    fn parse(authority: &str, scheme: &Scheme) -> Option<Self> {
        let (host, port) = split_port(authority)?;
        let port = Some(port.unwrap_or(default_port(scheme)));
        Some(Self { host: host::normalize(host)?, port })
    }

    /// Refuses the hosts that no custom environment can have.
    fn check(&self) -> Result<(), &'static str> {
        if self.host == SUPEROFFICE || BUILT_IN.iter().any(|own| own.origin_host() == self.host) {
            return Err("one of its hosts belongs to SuperOffice's own environments: use \
                 Environment::Sod, Stage or Production");
        }
        Ok(())
    }
}
