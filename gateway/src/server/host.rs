//! The host that a request names: RFC 9112, section 3.2, and RFC 9113, section 8.3.1.

use std::net::Ipv6Addr;

use axum::http::{
    HeaderValue, Request, Version,
    header::HOST,
    uri::{Authority, Scheme},
};

/// Leaves the host that `request` names in `Host`, whichever form the request has. A program that
/// reads another of several names would judge another request.
///
/// # Errors
///
/// With what is wrong, when there is no single valid host.
pub(super) fn settle<B>(request: &mut Request<B>) -> Result<(), &'static str> {
    let host = parse_host(request)?;
    let uri = request.uri();
    if uri.scheme().is_some_and(|scheme| ![Scheme::HTTP, Scheme::HTTPS].contains(scheme)) {
        return Err("The scheme of the request is neither http nor https.");
    }
    let version = request.version();
    let Some(target) = uri.authority() else {
        return match host {
            None if version > Version::HTTP_10 => Err("The request has no Host."),
            _ => Ok(()),
        };
    };
    if !is_valid(target) {
        return Err("The host of the request's target is invalid.");
    }
    match host {
        None if version == Version::HTTP_11 => return Err("The request has no Host."),
        // HTTP/1.1 has the target overrule it.
        Some(host) if version >= Version::HTTP_2 && !is_same(&host, target, uri.scheme()) => {
            return Err("Host and :authority differ.");
        }
        _ => {}
    }
    let target = HeaderValue::from_str(target.as_str()).map_err(|_| "The host is invalid.")?;
    request.headers_mut().insert(HOST, target);
    Ok(())
}

fn parse_host<B>(request: &Request<B>) -> Result<Option<Authority>, &'static str> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = match (hosts.next(), hosts.next()) {
        (None, _) => return Ok(None),
        (Some(host), None) => Authority::try_from(host.as_bytes()).ok(),
        _ => return Err("The request has more than one Host."),
    };
    host.filter(is_valid).map(Some).ok_or("The request's Host is invalid.")
}

/// Whether it is a host, not empty, and maybe a port: no user, which deceives people.
fn is_valid(authority: &Authority) -> bool {
    let host = authority.host();
    let is_host = match host.strip_prefix('[') {
        Some(literal) => {
            literal.strip_suffix(']').is_some_and(|literal| literal.parse::<Ipv6Addr>().is_ok())
        }
        None => !host.is_empty(),
    };
    let port = authority.as_str().strip_prefix(host);
    let is_port = |port: &str| match port.strip_prefix(':') {
        Some(digits) => {
            digits.bytes().all(|byte| byte.is_ascii_digit())
                && (digits.is_empty() || digits.parse::<u16>().is_ok())
        }
        None => port.is_empty(),
    };
    is_host && port.is_some_and(is_port)
}

fn is_same(one: &Authority, other: &Authority, scheme: Option<&Scheme>) -> bool {
    let default = if scheme == Some(&Scheme::HTTPS) { 443 } else { 80 };
    one.host().eq_ignore_ascii_case(other.host())
        && one.port_u16().unwrap_or(default) == other.port_u16().unwrap_or(default)
}
