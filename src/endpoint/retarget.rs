//! Requests that can be sent to another host.

use http::{
    HeaderMap,
    header::{HOST, HeaderValue},
    uri::{Authority, Scheme},
};

use crate::environment::{Environment, default_port, is_plain_authority};

/// A request that can be sent to another host.
///
/// Implemented for `http::Request` and, with the feature `reqwest`, `reqwest::Request`; sealed.
#[diagnostic::on_unimplemented(
    message = "a `{Self}` can't be sent to another host",
    note = "it is implemented for `http::Request`, and for reqwest 0.13's with tower-superoffice's feature `reqwest`"
)]
pub trait Retarget: sealed::Retarget {}

pub(super) mod sealed {
    use http::uri::{Authority, Scheme};

    use crate::environment::Environment;

    #[expect(unnameable_types, reason = "a sealed trait is one that can't be named")]
    pub trait Retarget {
        /// Returns whether the request goes to a host that serves tenants of `environment`.
        fn is_for_tenants(&self, environment: &Environment) -> bool;

        /// Returns whether the request goes to `authority` by `scheme` as it is.
        fn goes_to(&self, scheme: &Scheme, authority: &Authority) -> bool;

        /// Returns whether the request spells `authority` and `scheme` exactly so; if not, it may
        /// still go there.
        fn names(&self, scheme: &Scheme, authority: &Authority) -> bool;

        /// Sends the request to `authority` by `scheme`; path and query stay as they are.
        fn send_to(&mut self, scheme: &Scheme, authority: &Authority);
    }
}

impl<B> Retarget for http::Request<B> {}

impl<B> sealed::Retarget for http::Request<B> {
    fn is_for_tenants(&self, environment: &Environment) -> bool {
        // A URL without a host can't be sent elsewhere: its connection is chosen already.
        let is_tenant = |authority: &Authority| environment.is_tenant_authority(authority.as_str());
        self.uri().scheme().is_some() && self.uri().authority().is_some_and(is_tenant)
    }

    fn goes_to(&self, scheme: &Scheme, authority: &Authority) -> bool {
        let uri = self.uri();
        uri.scheme() == Some(scheme)
            && uri.authority().is_some_and(|own| {
                // Nearly all are spelled alike, and end here.
                own.as_str() == authority.as_str() || is_same_place(own, authority, scheme)
            })
    }

    #[inline]
    fn names(&self, scheme: &Scheme, authority: &Authority) -> bool {
        let own = self.uri();
        own.authority().is_some_and(|own| own.as_str() == authority.as_str())
            && own.scheme() == Some(scheme)
    }

    fn send_to(&mut self, scheme: &Scheme, authority: &Authority) {
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(scheme.clone());
        parts.authority = Some(authority.clone());
        parts.path_and_query = self.uri().path_and_query().cloned();
        // It had a scheme, so it has a path, and the three of them always make a URL.
        *self.uri_mut() = http::Uri::from_parts(parts).unwrap_or_default();
        rename_host(self.headers_mut(), authority);
    }
}

/// Returns whether both are the same host and port, by `scheme`.
fn is_same_place(one: &Authority, other: &Authority, scheme: &Scheme) -> bool {
    if is_plain_authority(one.as_str()) && is_plain_authority(other.as_str()) {
        return one.as_str().eq_ignore_ascii_case(other.as_str());
    }
    let port = |port: Option<u16>| port.unwrap_or(default_port(scheme));
    one.host().eq_ignore_ascii_case(other.host()) && port(one.port_u16()) == port(other.port_u16())
}

#[cfg(feature = "reqwest")]
impl Retarget for reqwest::Request {}

#[cfg(feature = "reqwest")]
impl sealed::Retarget for reqwest::Request {
    fn is_for_tenants(&self, environment: &Environment) -> bool {
        self.url().host_str().is_some_and(|host| environment.is_tenant_host(host))
    }

    fn goes_to(&self, scheme: &Scheme, authority: &Authority) -> bool {
        let url = self.url();
        let port = authority.port_u16().unwrap_or(default_port(scheme));
        url.scheme() == scheme.as_str()
            && url.host_str() == Some(authority.host())
            && url.port_or_known_default() == Some(port)
    }

    #[inline]
    fn names(&self, scheme: &Scheme, authority: &Authority) -> bool {
        self.goes_to(scheme, authority)
    }

    fn send_to(&mut self, scheme: &Scheme, authority: &Authority) {
        let url = self.url_mut();
        // None of these can fail between http and https with a plain host.
        let _ = url.set_scheme(scheme.as_str());
        let _ = url.set_host(Some(authority.host()));
        let _ = url.set_port(authority.port_u16());
        rename_host(self.headers_mut(), authority);
    }
}

/// Makes a `Host` header that was set by hand name the new host: the old one would mislead it.
fn rename_host(headers: &mut HeaderMap, authority: &Authority) {
    if headers.is_empty() {
        return;
    }
    if let Some(host) = headers.get_mut(HOST)
        && let Ok(value) = HeaderValue::from_str(authority.as_str())
    {
        *host = value;
    }
}

#[cfg(test)]
mod tests {
    use super::{sealed::Retarget, *};
    use crate::environment::Origin;

    fn goes_to(request: &impl Retarget, origin: &Origin) -> bool {
        request.goes_to(origin.scheme(), origin.authority())
    }

    fn origin(url: &str) -> Origin {
        let environment = if url.contains("127.0.0.1") {
            Environment::custom("http://127.0.0.1:1".parse().unwrap())
        } else {
            Environment::Production
        };
        Origin::from_url(url, &environment).unwrap()
    }

    const URLS: [(&str, &str, &str); 6] = [
        (
            "https://online1.superoffice.com/Cust1/api//v1/%41?b=%2F&c",
            "https://online2.superoffice.com",
            "https://online2.superoffice.com/Cust1/api//v1/%41?b=%2F&c",
        ),
        (
            "http://ONLINE1.superoffice.com:8080/Cust1",
            "https://online2.superoffice.com",
            "https://online2.superoffice.com/Cust1",
        ),
        (
            "https://me:secret@online1.superoffice.com/Cust1",
            "https://online2.superoffice.com",
            "https://online2.superoffice.com/Cust1",
        ),
        ("http://127.0.0.1:9000/Cust1?x", "http://127.0.0.1:9001", "http://127.0.0.1:9001/Cust1?x"),
        ("http://127.0.0.1:9000/Cust1", "http://127.0.0.1", "http://127.0.0.1/Cust1"),
        (
            "https://online1.superoffice.com",
            "https://app.superoffice.com",
            "https://app.superoffice.com/",
        ),
    ];

    #[test]
    fn only_scheme_and_host_change() {
        for (from, to, expected) in URLS {
            let mut request = http::Request::get(from).header(HOST, "old").body(()).unwrap();
            let origin = origin(to);
            assert!(!goes_to(&request, &origin), "{from}");
            request.send_to(origin.scheme(), origin.authority());
            assert_eq!(request.uri().to_string(), expected);
            assert_eq!(request.headers()[HOST], origin.authority().as_str());
            assert!(goes_to(&request, &origin), "{from}");
        }
    }

    #[test]
    fn the_same_place_is_known_in_any_spelling() {
        for url in [
            "https://online2.superoffice.com/x",
            "https://ONLINE2.superoffice.com:443/x",
            "HTTPS://online2.superoffice.com?x",
        ] {
            let request = http::Request::get(url).body(()).unwrap();
            assert!(goes_to(&request, &origin("https://online2.superoffice.com")), "{url}");
        }
        for url in
            ["http://online2.superoffice.com/", "https://online2.superoffice.com:8443/", "/x"]
        {
            let request = http::Request::get(url).body(()).unwrap();
            assert!(!goes_to(&request, &origin("https://online2.superoffice.com")), "{url}");
        }
    }

    #[test]
    fn relative_and_foreign_urls_are_for_no_tenant() {
        for (url, expected) in [
            ("https://online2.superoffice.com/Cust1", true),
            ("/Cust1", false),
            ("online2.superoffice.com:443", false),
            ("https://superoffice.com.evil.example/Cust1", false),
        ] {
            let request = http::Request::get(url).body(()).unwrap();
            assert_eq!(request.is_for_tenants(&Environment::Production), expected, "{url}");
        }
    }

    #[cfg(feature = "reqwest")]
    #[test]
    fn reqwest_requests_go_the_same_way() {
        let client = reqwest::Client::new();
        for (from, to, expected) in URLS {
            let mut request = client.get(from).header(HOST, "old").build().unwrap();
            let origin = origin(to);
            assert!(!goes_to(&request, &origin), "{from}");
            request.send_to(origin.scheme(), origin.authority());
            assert_eq!(request.url().as_str(), expected);
            assert_eq!(request.headers()[HOST], origin.authority().as_str());
            assert!(goes_to(&request, &origin), "{from}");
        }
    }
}
