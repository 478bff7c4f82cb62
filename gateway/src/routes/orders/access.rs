//! Access to the operator's orders.
//!
//! Pages in an operator's browser can send requests to any address that the browser reaches. They
//! can't send JSON to another origin without a preflight request, they can't leave out
//! `Sec-Fetch-Site`, and a page whose own name was made to resolve to the gateway's address (DNS
//! rebinding) can't send another `Host` than that name.

use std::net::IpAddr;

use axum::http::{
    HeaderMap, HeaderValue, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, HOST, WWW_AUTHENTICATE},
    request::Parts,
    uri::Authority,
};

use crate::{cli::OperatorToken, forward::problem, log::Limit, routes::tenant::Refusal};

static REFUSALS: Limit = Limit::per_minute(30);

/// The proof that a request has to show.
#[derive(Debug, Clone)]
pub(crate) enum Access {
    /// The operator's token.
    Token(OperatorToken),
    /// Nothing: only the operator's own hosts reach the listener.
    Address,
}

/// Refuses requests that no operator sent.
pub(super) fn check(access: &Access, request: &Parts) -> Result<(), Refusal> {
    match access {
        Access::Token(token) => check_token(token, request)?,
        Access::Address if is_addressed_directly(request) => {}
        Access::Address => {
            return Err(refused(
                StatusCode::FORBIDDEN,
                "Without --operator-token-file the Host of an order is an IP address or localhost.",
            ));
        }
    }
    let sites = request.headers.get_all("sec-fetch-site");
    if sites.iter().any(|site| site != "same-origin" && site != "none") {
        return Err(refused(StatusCode::FORBIDDEN, "Orders are not taken from another site."));
    }
    if !is_json(&request.headers) {
        return Err(refused(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "An order has the Content-Type application/json.",
        ));
    }
    Ok(())
}

fn refused(status: StatusCode, detail: &str) -> Refusal {
    Box::new(problem(status, detail))
}

fn check_token(token: &OperatorToken, request: &Parts) -> Result<(), Refusal> {
    let (challenge, detail) = match only(&request.headers, AUTHORIZATION.as_str()).map(bearer) {
        Some(Some(presented)) if token.equals(presented) => return Ok(()),
        Some(_) => (
            r#"Bearer realm="superoffice-gateway", error="invalid_token""#,
            "The operator's token is not the right one.",
        ),
        None => (r#"Bearer realm="superoffice-gateway""#, "An order needs the operator's token."),
    };
    if let Some(suppressed) = REFUSALS.pass() {
        let client = super::client(request);
        tracing::warn!(client, suppressed, "order without the operator's token refused");
    }
    let mut refusal = refused(StatusCode::UNAUTHORIZED, detail);
    refusal.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
    Err(refusal)
}

/// Returns the value of a header that comes once.
fn only<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    value.filter(|_| values.next().is_none())
}

/// Returns the token of a `Bearer` authorization.
fn bearer(value: &HeaderValue) -> Option<&[u8]> {
    let (scheme, token) = value.as_bytes().split_at_checked(7)?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| token.trim_ascii())
}

/// Whether the request names the gateway by an IP address or as `localhost`, in each place that can
/// have a name.
fn is_addressed_directly(request: &Parts) -> bool {
    let in_headers = request.headers.get_all(HOST).iter();
    let in_headers = in_headers.map(|host| Authority::try_from(host.as_bytes()).ok());
    let in_uri = request.uri.authority().cloned().map(Some);
    let mut names = in_headers.chain(in_uri).peekable();
    names.peek().is_some() && names.all(|name| name.is_some_and(|name| is_direct(name.host())))
}

fn is_direct(host: &str) -> bool {
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    bare.parse::<IpAddr>().is_ok() || host.eq_ignore_ascii_case("localhost")
}

/// Whether the content is JSON, whatever the parameters.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = only(headers, CONTENT_TYPE.as_str()).and_then(|kind| kind.to_str().ok());
    let essence = kind.and_then(|kind| kind.split(';').next()).map(str::trim);
    essence.is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"))
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn parts(uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::post(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn name_of_the_gateway_is_an_address_or_localhost() {
        for host in ["127.0.0.1", "127.0.0.1:8080", "[::1]:80", "[fd00::1]", "LocalHost:8080"] {
            assert!(is_addressed_directly(&parts("/", &[("host", host)])), "{host}");
            assert!(is_addressed_directly(&parts(&format!("http://{host}/"), &[])), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example", "", "a@b"]
        {
            assert!(!is_addressed_directly(&parts("/", &[("host", host)])), "{host}");
        }
        let two = [("host", "127.0.0.1"), ("host", "evil.example")];
        assert!(!is_addressed_directly(&parts("/", &two)));
        assert!(!is_addressed_directly(&parts("http://evil.example/", &two[..1])));
        assert!(!is_addressed_directly(&parts("/", &[])), "no name at all");
    }

    #[test]
    fn content_is_json_with_any_parameters() {
        for kind in ["application/json", "Application/JSON; charset=utf-8", "application/json;x"] {
            assert!(is_json(&parts("/", &[("content-type", kind)]).headers), "{kind}");
        }
        for kind in ["", "text/plain", "application/jsonp", "text/plain; application/json"] {
            assert!(!is_json(&parts("/", &[("content-type", kind)]).headers), "{kind}");
        }
        let two = [("content-type", "application/json"), ("content-type", "text/plain")];
        assert!(!is_json(&parts("/", &two).headers));
    }
}
