//! The requests that may read and drive the simulator.
//!
//! It listens on loopback, where pages in the user's browser can send requests too. They can't
//! leave out `Sec-Fetch-Site`, or `Origin` in browsers without it, and a page whose own name was
//! made to resolve to 127.0.0.1 (DNS rebinding) can't send another `Host` than that name.

use std::net::IpAddr;

use http::{HeaderMap, Method, StatusCode, header, request::Parts, uri::Authority};

use super::problem::Problem;

pub(super) fn check(request: &Parts) -> Result<(), Problem> {
    let refused = |detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, detail));
    if !is_addressed_directly(request) {
        return refused("The Host is an IP address or localhost.");
    }
    if request.method != Method::GET
        && request.method != Method::HEAD
        && comes_from_another_site(&request.headers)
    {
        return refused("Pages of another site may not drive the simulator.");
    }
    Ok(())
}

/// Whether a page of another origin sent the request.
fn comes_from_another_site(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").iter();
    if sites.any(|site| site != "same-origin" && site != "none") {
        return true;
    }
    let own = headers.get(header::HOST).and_then(|host| host.to_str().ok());
    let own = own.map(|host| format!("http://{host}"));
    let mut origins = headers.get_all(header::ORIGIN).iter();
    origins.any(|origin| own.as_ref().is_none_or(|own| origin != own))
}

/// Whether the request names the simulator by an IP address or as `localhost`, in each place that
/// can have a name.
fn is_addressed_directly(request: &Parts) -> bool {
    let in_headers = request.headers.get_all(header::HOST).iter();
    let in_headers = in_headers.map(|host| Authority::try_from(host.as_bytes()).ok());
    let in_uri = request.uri.authority().cloned().map(Some);
    let mut names = in_headers.chain(in_uri).peekable();
    names.peek().is_some() && names.all(|name| name.is_some_and(|name| is_direct(name.host())))
}

fn is_direct(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use http::Request;

    use super::*;

    fn allows(method: &str, headers: &[(&str, &str)]) -> bool {
        let mut request = Request::builder().method(method).uri("/simulator/tenants/Cust1/suspend");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        check(&request.body(()).unwrap().into_parts().0).is_ok()
    }

    #[test]
    fn host_is_an_address_or_localhost() {
        for host in ["127.0.0.1", "127.0.0.1:4711", "[::1]:80", "LocalHost:4711"] {
            assert!(allows("GET", &[("host", host)]), "{host}");
            assert!(allows("POST", &[("host", host)]), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "a@b"]
        {
            assert!(!allows("GET", &[("host", host)]), "{host}");
        }
        assert!(!allows("GET", &[]), "no name at all");
        assert!(!allows("GET", &[("host", "127.0.0.1"), ("host", "evil.example")]));
    }

    #[test]
    fn pages_of_other_sites_read_at_most() {
        let host = ("host", "127.0.0.1:4711");
        for (name, value, allowed) in [
            ("sec-fetch-site", "same-origin", true),
            ("sec-fetch-site", "none", true),
            ("sec-fetch-site", "same-site", false),
            ("sec-fetch-site", "cross-site", false),
            ("origin", "http://127.0.0.1:4711", true),
            ("origin", "http://127.0.0.1:8080", false),
            ("origin", "https://127.0.0.1:4711", false),
            ("origin", "http://evil.example", false),
            ("origin", "null", false),
        ] {
            for method in ["POST", "PUT", "DELETE"] {
                assert_eq!(allows(method, &[host, (name, value)]), allowed, "{name}: {value}");
            }
            assert!(allows("GET", &[host, (name, value)]), "a link leads to the page");
        }
    }
}
