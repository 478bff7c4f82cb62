//! Requests that can be sent elsewhere, and answers that say that they should be.

use http::{
    StatusCode,
    header::{HOST, HeaderValue},
};

use crate::environment::Environment;
use crate::environment::Origin;

/// A request whose scheme and host can be changed.
///
/// Implemented for `http::Request` and, with the feature `reqwest`, `reqwest::Request`.
pub trait Target {
    /// Whether the request goes to a host that serves tenants of `environment`.
    #[doc(hidden)]
    fn is_for_tenants(&self, environment: &Environment) -> bool;

    /// Whether the request goes to `origin` as it is.
    #[doc(hidden)]
    fn goes_to(&self, origin: &Origin) -> bool;

    /// Makes the request go to `origin`; path and query stay as they are.
    #[doc(hidden)]
    fn send_to(&mut self, origin: &Origin);
}

/// An answer with a status.
///
/// Implemented for `http::Response` and, with the feature `reqwest`, `reqwest::Response`.
pub trait Answered {
    #[doc(hidden)]
    fn is_misdirected(&self) -> bool;
}

impl<B> Target for http::Request<B> {
    fn is_for_tenants(&self, environment: &Environment) -> bool {
        // A URL without a host can't be sent elsewhere: whoever sends it has a connection already.
        self.uri().scheme().is_some()
            && self.uri().host().is_some_and(|host| environment.is_tenant_host(host))
    }

    fn goes_to(&self, origin: &Origin) -> bool {
        let (uri, own) = (self.uri(), origin.default_port());
        let port = |port: Option<u16>| port.unwrap_or(own);
        uri.scheme() == Some(origin.scheme())
            && uri.authority().is_some_and(|authority| {
                authority.host().eq_ignore_ascii_case(origin.authority().host())
                    && port(authority.port_u16()) == port(origin.authority().port_u16())
            })
    }

    fn send_to(&mut self, origin: &Origin) {
        let mut parts = std::mem::take(self.uri_mut()).into_parts();
        parts.scheme = Some(origin.scheme().clone());
        parts.authority = Some(origin.authority().clone());
        // It had a scheme, so it has a path, and the three of them always make a URL.
        *self.uri_mut() = http::Uri::from_parts(parts).unwrap_or_default();
        // Left as it is, it would name the old host to the new one.
        if let Some(host) = self.headers_mut().get_mut(HOST)
            && let Ok(value) = HeaderValue::from_str(origin.authority().as_str())
        {
            *host = value;
        }
    }
}

impl<B> Answered for http::Response<B> {
    fn is_misdirected(&self) -> bool {
        self.status() == StatusCode::MISDIRECTED_REQUEST
    }
}

#[cfg(feature = "reqwest")]
impl Target for reqwest::Request {
    fn is_for_tenants(&self, environment: &Environment) -> bool {
        self.url().host_str().is_some_and(|host| environment.is_tenant_host(host))
    }

    fn goes_to(&self, origin: &Origin) -> bool {
        let (url, own) = (self.url(), origin.default_port());
        url.scheme() == origin.scheme().as_str()
            && url.host_str() == Some(origin.authority().host())
            && url.port_or_known_default() == Some(origin.authority().port_u16().unwrap_or(own))
    }

    fn send_to(&mut self, origin: &Origin) {
        let url = self.url_mut();
        // None of these can fail between http and https with a plain host.
        let _ = url.set_scheme(origin.scheme().as_str());
        let _ = url.set_host(Some(origin.authority().host()));
        let _ = url.set_port(origin.authority().port_u16());
        if let Some(host) = self.headers_mut().get_mut(HOST)
            && let Ok(value) = HeaderValue::from_str(origin.authority().as_str())
        {
            *host = value;
        }
    }
}

#[cfg(feature = "reqwest")]
impl Answered for reqwest::Response {
    fn is_misdirected(&self) -> bool {
        self.status() == StatusCode::MISDIRECTED_REQUEST
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(url: &str) -> Origin {
        let environment = if url.contains("127.0.0.1") {
            Environment::custom("http://127.0.0.1:1".parse().unwrap())
        } else {
            Environment::Production
        };
        Origin::of_url(url, &environment).unwrap()
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
            assert!(!request.goes_to(&origin), "{from}");
            request.send_to(&origin);
            assert_eq!(request.uri().to_string(), expected);
            assert_eq!(request.headers()[HOST], origin.authority().as_str());
            assert!(request.goes_to(&origin), "{from}");
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
            assert!(request.goes_to(&origin("https://online2.superoffice.com")), "{url}");
        }
        for url in
            ["http://online2.superoffice.com/", "https://online2.superoffice.com:8443/", "/x"]
        {
            let request = http::Request::get(url).body(()).unwrap();
            assert!(!request.goes_to(&origin("https://online2.superoffice.com")), "{url}");
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
            assert!(!request.goes_to(&origin), "{from}");
            request.send_to(&origin);
            assert_eq!(request.url().as_str(), expected);
            assert_eq!(request.headers()[HOST], origin.authority().as_str());
            assert!(request.goes_to(&origin), "{from}");
        }
    }
}
