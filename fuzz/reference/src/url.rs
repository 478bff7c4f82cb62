//! The rules for the tenant of a URL.

use std::net::Ipv6Addr;

use http::{
    HeaderValue, Request, Uri,
    header::HOST,
    uri::{Authority, InvalidUri},
};

use tower_superoffice::{Environment, TenantId, TenantKey, UrlKey, fuzzing};

use super::{guard, path};

/// Finds the tenant of `url` on a production host, or on `127.0.0.1` or `[::1]` as a custom
/// environment's; `host` is the `Host` header of a URL that has no host.
///
/// Panics unless the fast path, the full normalisation and the plain implementation agree on the
/// path, the host of a URL that [`Uri`] accepts is the one that a client connects to, and a guard
/// refuses the request exactly while that tenant is closed.
#[must_use]
pub fn url(url: &[u8], host: &[u8]) -> Option<String> {
    if let Ok(path) = str::from_utf8(url) {
        path_is_read_alike(path);
    }
    let mut request = Request::new(());
    *request.uri_mut() = Uri::try_from(url).ok()?;
    if let Ok(host) = HeaderValue::from_bytes(host) {
        request.headers_mut().insert(HOST, host);
    }
    let tenants: Vec<String> =
        environments().filter_map(|environment| tenant_in(environment, &request)).collect();
    tenants.into_iter().next()
}

fn tenant_in(environment: Environment, request: &Request<()>) -> Option<String> {
    let found = text(UrlKey::new(environment.clone()).tenant(request));
    if let Ok(host) = dialled(request) {
        let serves = host.is_some_and(|host| serves(&environment, &host));
        let expected = if serves { path::tenant_in(request.uri().path()) } else { None };
        assert_eq!(found, expected, "the tenant in {environment}, and what the rules say");
        if matches!(environment, Environment::Production) {
            guard::decides_as_expected(request, expected.as_deref());
        }
    }
    found
}

fn path_is_read_alike(path: &str) {
    let whole = text(UrlKey::tenant_of_path(path));
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let expected = path::tenant_in(path);
    assert_eq!(
        text(fuzzing::exact_tenant(path)),
        expected,
        "the exact reading, and what the rules say"
    );
    assert_eq!(whole, expected, "the quick look, and what the rules say");
}

fn environments() -> impl Iterator<Item = Environment> {
    let local = ["http://127.0.0.1:9000", "http://[::1]:9000"];
    let local = local.into_iter().map(|base| Environment::custom(Uri::from_static(base)));
    std::iter::once(Environment::Production).chain(local)
}

/// Returns the host that a client connects to for `request`, in lower case; an error when
/// the `Host` header is invalid.
fn dialled(request: &Request<()>) -> Result<Option<String>, InvalidUri> {
    let host = match (request.uri().host(), request.headers().get(HOST)) {
        (Some(host), _) => Some(host.to_owned()),
        (None, Some(header)) => {
            let authority = Authority::try_from(header.as_bytes().trim_ascii())?;
            Some(authority.host().to_owned())
        }
        (None, None) => None,
    };
    Ok(host.map(|host| host.to_ascii_lowercase()))
}

fn serves(environment: &Environment, host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    // An IPv6 address is the same host however it is written.
    let shortest = address_in(host).map(|address| format!("[{address}]"));
    let host = shortest.as_deref().unwrap_or(host);
    match environment {
        Environment::Custom(_) => format!("http://{host}:9000") == environment.origin(),
        _ => host
            .strip_suffix(".superoffice.com")
            .is_some_and(|label| !label.is_empty() && label != "sod" && label != "qaonline"),
    }
}

fn address_in(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

fn text(tenant: Option<TenantId>) -> Option<String> {
    tenant.map(|tenant| tenant.to_string())
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use proptest::{collection::vec, prelude::*, sample::select};

    use super::*;

    #[test]
    fn the_host_is_the_url_s_or_the_header_s() {
        let of = |url_text: &str, host: &str| url(url_text.as_bytes(), host.as_bytes());
        let cust1 = Some("Cust1".to_owned());
        assert_eq!(of("https://a.superoffice.com/x/../Cust1", ""), cust1);
        assert_eq!(of("http://[::1]:9/Cust1", "a.superoffice.com"), cust1);
        assert_eq!(of("http://[0:0::1]:9/Cust1", ""), cust1);
        assert_eq!(of("http://[0:0::2]:9/Cust1", ""), None);
        assert_eq!(of("/Cust1", "A.superoffice.com.:443"), cust1);
        assert_eq!(of("/Cust1", " a.superoffice.com"), cust1);
        assert_eq!(of("/Cust1", " sod.superoffice.com"), None);
        assert_eq!(of("/Cust1", " .superoffice.com"), None);
        assert_eq!(of("/Cust1", "example.org"), None);
        assert_eq!(of("https://example.org/Cust1", "a.superoffice.com"), None);
        assert_eq!(of("https://a.superoffice.com/login/Cust1", ""), None);
    }

    fn authority() -> impl Strategy<Value = String> {
        let whole = select(vec![
            "online3.superoffice.com",
            "Online.SuperOffice.Com.:443",
            "me:secret@superoffice.com",
            "127.0.0.1:9000",
            "[::1]",
            "[0::1]",
            "example.org",
        ]);
        let piece = select(vec![
            "a",
            "superoffice.com",
            ".superoffice.com",
            "127.0.0.1",
            "[::1]",
            ".",
            ":",
            "@",
            "443",
            " ",
            "[",
            "]",
            "%41",
            "a-long-enough-name-for-a-host",
            "",
        ]);
        prop_oneof![
            3 => whole.prop_map(str::to_owned),
            1 => vec(piece, 0..6).prop_map(|pieces| pieces.concat()),
        ]
    }

    fn path() -> impl Strategy<Value = String> {
        let piece = select(vec![
            "/",
            "/",
            "/",
            "\\",
            "%2F",
            "%5c",
            ".",
            "..",
            "/../",
            "%2e",
            "Cust1",
            "%43ust1",
            "login",
            "LOGIN",
            "%6Cogin",
            "api",
            "state",
            "s%74ate",
            "x.y",
            "%",
            "%zz",
            "%25",
            "?",
            "#",
            "~",
            "\u{e9}",
            "a-quite-long-segment-of-text",
            "/api/v1/Contact",
            "a0123456789012345678901234567890123456789012345678901234567890123",
        ]);
        vec(piece, 0..9).prop_map(|pieces| format!("/{}", pieces.concat()))
    }

    #[test]
    fn urls_lead_to_the_tenants_that_the_rules_say() {
        let scheme = select(vec!["https://", "http://", "https://", "ftp://", "//", ""]);
        let (accepted, read) = (Cell::new(0), Cell::new(0));
        let parts = (scheme, authority(), path(), authority());
        proptest!(ProptestConfig::with_cases(4000), |((scheme, authority, path, host) in parts)| {
            let in_header = scheme.is_empty();
            let text = if in_header { path } else { format!("{scheme}{authority}{path}") };
            read.set(read.get() + i32::from(text.parse::<Uri>().is_ok()));
            if url(text.as_bytes(), host.as_bytes()).is_some() {
                accepted.set(accepted.get() + 1);
            }
        });
        assert!(read.get() > 2000 && accepted.get() > 200, "{read:?}, {accepted:?}");
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "\\PC{0,80}", host in "\\PC{0,40}") {
            drop(url(text.as_bytes(), host.as_bytes()));
        }

        #[test]
        fn any_bytes_are_read(bytes in vec(any::<u8>(), 0..80), host in vec(any::<u8>(), 0..40)) {
            drop(url(&bytes, &host));
        }
    }
}
