//! Where a tenant is served from: a scheme and a host that calls may be sent to.

use std::{fmt, str::FromStr};

use http::uri::{Authority, Scheme, Uri};

use crate::environment::{Environment, is_loopback};

/// The origin of a tenant's calls, `https://online2.superoffice.com`.
///
/// Calls carry a bearer token, and it goes wherever this says. So a value exists only for a tenant
/// host of the environment, and only for https (http on loopback), whoever named it: the state API,
/// a notification or a record out of a shared store.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    scheme: Scheme,
    authority: Authority,
}

impl Origin {
    /// The origin of `url`, as the state API gives it:
    /// `https://online2.superoffice.com:443/Cust12345`.
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

    /// The origin of a bare host, as a Move names it: `sod3.superoffice.com`.
    pub(crate) fn from_host(host: &str, environment: &Environment) -> Option<Self> {
        let scheme = match environment {
            Environment::Custom { base, .. } if base.scheme() == Some(&Scheme::HTTP) => {
                Scheme::HTTP
            }
            _ => Scheme::HTTPS,
        };
        Self::new(scheme, host, environment)
    }

    fn new(scheme: Scheme, authority: &str, environment: &Environment) -> Option<Self> {
        let (host, port) = split_port(authority)?;
        let host = host.to_ascii_lowercase();
        let loopback = is_loopback(&host);
        let port = port.filter(|&port| port != default_port(&scheme));
        let any_port = loopback || matches!(environment, Environment::Custom { .. });
        let fits = is_plain(&host)
            && environment.is_tenant_host(&host)
            && (scheme == Scheme::HTTPS || loopback)
            && (port.is_none() || any_port);
        if !fits {
            return None;
        }
        let authority = match port {
            Some(port) => format!("{host}:{port}"),
            None => host,
        };
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

/// The port of a URL that names none.
pub(crate) fn default_port(scheme: &Scheme) -> u16 {
    if *scheme == Scheme::HTTPS { 443 } else { 80 }
}

/// Host and port of an authority without a user name.
fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
    // The colons of an IPv6 address stand in brackets.
    let after = authority.find(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = authority.get(after..)?.find(':') else { return Some((authority, None)) };
    let (host, port) = authority.split_at_checked(after + colon)?;
    let port = port.strip_prefix(':')?;
    let digits = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    match port.parse() {
        Ok(port) if digits && port != 0 => Some((host, Some(port))),
        _ => None,
    }
}

/// Whether every parser of URLs reads `host` alike: labels of letters, digits, `-` and `_`, or
/// `[::1]`.
///
/// Left out are `@`, `%`, backslashes, empty labels and anything beyond ASCII, which is what hosts
/// that look like SuperOffice's and lead elsewhere are made of.
fn is_plain(host: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    host == "[::1]" || (host.len() <= 253 && host.split('.').all(is_label))
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
    fn keeps_scheme_and_host_of_what_the_state_api_gives() {
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
    fn a_hostile_endpoint_is_no_origin() {
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
    fn a_custom_environment_may_use_any_port_and_http_on_loopback_only() {
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

        let remote = Environment::custom("https://so.example:8443".parse().unwrap());
        assert!(Origin::from_url("https://so.example:9443/Cust1", &remote).is_some());
        assert_eq!(Origin::from_url("http://so.example/Cust1", &remote), None);
    }
}
