//! Origins: a scheme and a host that calls to a tenant may be sent to.

use std::{fmt, str::FromStr};

use http::uri::{Authority, Scheme, Uri};

use super::{
    Environment,
    host::{self, is_loopback, split_port},
};

/// The origin of a tenant's calls, `https://online2.superoffice.com`.
///
/// Calls carry a bearer token, and it goes wherever this says. So a value exists only for a tenant
/// host of the environment, and only for https (http on loopback), whichever source named it: the
/// state API, a notification or a record from a shared store.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: Scheme,
    authority: Authority,
}

impl Origin {
    /// Parses a URL of the state API: `https://online2.superoffice.com:443/Cust12345`.
    pub(crate) fn from_url(url: &str, environment: &Environment) -> Option<Self> {
        let (scheme, rest) = url.split_once("://")?;
        let scheme = match () {
            () if scheme.eq_ignore_ascii_case("https") => Scheme::HTTPS,
            () if scheme.eq_ignore_ascii_case("http") => Scheme::HTTP,
            () => return None,
        };
        // A backslash ends the host in a browser's parser and not in others: it is refused below.
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        Self::new(scheme, rest.get(..end)?, environment)
    }

    /// Parses a bare host, as a Move names it: `sod3.superoffice.com`.
    pub(crate) fn from_host(host: &str, environment: &Environment) -> Option<Self> {
        let scheme = match environment {
            Environment::Custom(custom) => custom.scheme().clone(),
            _ => Scheme::HTTPS,
        };
        Self::new(scheme, host, environment)
    }

    fn new(scheme: Scheme, authority: &str, environment: &Environment) -> Option<Self> {
        let (host, port) = split_port(authority)?;
        // A name with a trailing dot is another one to TLS and to a server's virtual hosts.
        let host = host::normalize(host).filter(|_| !host.ends_with('.'))?;
        let port = port.unwrap_or(default_port(&scheme));
        let serves = match environment {
            Environment::Custom(custom) => custom.serves(&host, port),
            built_in => built_in.is_tenant_host(&host) && port == default_port(&scheme),
        };
        if !serves || (scheme != Scheme::HTTPS && !is_loopback(&host)) {
            return None;
        }
        let authority = if port == default_port(&scheme) { host } else { format!("{host}:{port}") };
        Some(Self { scheme, authority: Authority::from_str(&authority).ok()? })
    }

    pub(crate) fn scheme(&self) -> &Scheme {
        &self.scheme
    }

    pub(crate) fn authority(&self) -> &Authority {
        &self.authority
    }

    pub(crate) fn to_uri(&self) -> Option<Uri> {
        Uri::builder()
            .scheme(self.scheme.clone())
            .authority(self.authority.clone())
            .path_and_query("/")
            .build()
            .ok()
    }
}

/// Returns the port of a URL that names none.
pub(crate) fn default_port(scheme: &Scheme) -> u16 {
    if *scheme == Scheme::HTTPS { 443 } else { 80 }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme, self.authority)
    }
}

impl fmt::Debug for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Origin({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(url: &str) -> Option<String> {
        Origin::from_url(url, &Environment::Production).map(|origin| origin.to_string())
    }

    fn host(host: &str) -> Option<String> {
        Origin::from_host(host, &Environment::Production).map(|origin| origin.to_string())
    }

    #[test]
    fn scheme_and_host_of_a_url_are_kept() {
        for given in [
            "https://online2.superoffice.com",
            "https://online2.superoffice.com/",
            "https://online2.superoffice.com:443/Cust12345",
            "https://online2.superoffice.com/Cust12345/api?x=https://evil.example#y",
            "HTTPS://Online2.SuperOffice.COM?Cust12345",
        ] {
            assert_eq!(url(given).as_deref(), Some("https://online2.superoffice.com"), "{given}");
        }
        assert_eq!(host("SOD3.superoffice.com").as_deref(), Some("https://sod3.superoffice.com"));
        assert_eq!(
            host("sod3.superoffice.com:443").as_deref(),
            Some("https://sod3.superoffice.com")
        );
    }

    #[test]
    fn hostile_endpoint_is_no_origin() {
        for given in [
            "http://online2.superoffice.com/",
            "https://online2.superoffice.com:8443/",
            "https://online2.superoffice.com:0443x/",
            "https://online2.superoffice.com:/",
            "https://me@online2.superoffice.com/",
            "https://online2.superoffice.com@evil.example/",
            "https://evil.example/online2.superoffice.com",
            "https://evil.example\\.superoffice.com/",
            "https://evil.example%2f.superoffice.com/",
            "https://evil.example\u{ff0f}.superoffice.com/",
            "https://evilsuperoffice.com/",
            "https://superoffice.com.evil.example/",
            "https://online2..superoffice.com/",
            "https://.superoffice.com/",
            "https://127.0.0.1/",
            "https://[::1]/",
            "https:online2.superoffice.com",
            "//online2.superoffice.com/",
            "ftp://online2.superoffice.com/",
            "javascript://online2.superoffice.com/",
            " https://online2.superoffice.com/",
            "https:///superoffice.com",
            "",
        ] {
            assert_eq!(url(given), None, "{given}");
        }
        for given in [
            "sod3.superoffice.com/path",
            "me@sod3.superoffice.com",
            "sod3.superoffice.com:8443",
            "sod3.superoffice.com.",
            "https://sod3.superoffice.com",
            "evil.example",
            "sod3.superoffice.com evil.example",
            "sod3.superoffice.com\u{0}",
            "s\u{f6}d3.superoffice.com",
            "10.0.0.1",
            "",
        ] {
            assert_eq!(host(given), None, "{given}");
        }
    }

    #[test]
    fn loopback_without_named_hosts_has_any_port() {
        let local = Environment::custom("http://127.0.0.1:9000".parse().unwrap());
        let of = |text: &str| Origin::from_url(text, &local).map(|origin| origin.to_string());
        assert_eq!(of("http://127.0.0.1:9001/Cust1").as_deref(), Some("http://127.0.0.1:9001"));
        assert_eq!(of("http://127.0.0.1:80/").as_deref(), Some("http://127.0.0.1"));
        assert_eq!(of("http://127.0.0.2:9001/Cust1"), None);
        assert_eq!(of("https://online2.superoffice.com/"), None);
        let moved = Origin::from_host("127.0.0.1:9002", &local).unwrap();
        assert_eq!(moved.to_uri().unwrap().to_string(), "http://127.0.0.1:9002/");

        let sixth = Environment::custom("http://[::1]:9000".parse().unwrap());
        let found = Origin::from_url("http://[::1]:7/Cust1", &sixth).unwrap();
        assert_eq!(found.to_string(), "http://[::1]:7");
    }

    #[test]
    fn named_host_is_matched_with_its_port() {
        let own = Environment::custom("https://so.example:8443".parse().unwrap());
        let base = "https://so.example:8443".parse().unwrap();
        let hosts = ["a.example", "B.example.:9443", "127.0.0.1:9000"];
        let named = Environment::custom_with_hosts(base, hosts);
        for (environment, url, expected) in [
            (&own, "https://SO.example:8443/Cust1", Some("https://so.example:8443")),
            (&own, "https://so.example/Cust1", None),
            (&own, "https://so.example:9443/Cust1", None),
            (&own, "http://so.example:8443/Cust1", None),
            (&named, "https://a.example:443/Cust1", Some("https://a.example")),
            (&named, "https://a.example:8443/Cust1", None),
            (&named, "https://b.example:9443/Cust1", Some("https://b.example:9443")),
            (&named, "https://b.example.:9443/Cust1", None),
            (&named, "https://b.example/Cust1", None),
            (&named, "https://so.example:8443/Cust1", None),
            (&named, "http://127.0.0.1:9000/", Some("http://127.0.0.1:9000")),
            (&named, "http://127.0.0.1:9001/", None),
        ] {
            let found = Origin::from_url(url, environment).map(|origin| origin.to_string());
            assert_eq!(found.as_deref(), expected, "{url}");
            let (_, rest) = url.split_once("://").unwrap();
            let host = rest.split('/').next().unwrap();
            let moved = Origin::from_host(host, environment).map(|origin| origin.to_string());
            let secure = expected.filter(|found| found.starts_with("https"));
            assert_eq!(moved.filter(|_| url.starts_with("https")).as_deref(), secure, "{host}");
        }
    }

    #[test]
    fn other_environments_own_host_is_no_origin() {
        assert_eq!(url("https://sod.superoffice.com/Cust1"), None);
        assert_eq!(host("qaonline.superoffice.com"), None);
        assert_eq!(host("superoffice.com"), None);
        assert!(host("online.superoffice.com").is_some());
    }
}
