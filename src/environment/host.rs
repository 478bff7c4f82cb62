//! Host names: their normal form, and what can be told from them.

use std::net::{Ipv4Addr, Ipv6Addr};

/// Returns `host` in lower case, without a trailing dot, an IPv6 address in its shortest form.
///
/// `None` unless every parser of URLs reads `host` alike: labels of letters, digits, `-` and `_`,
/// an IPv4 address of four numbers, or an IPv6 address in brackets. Left out are `@`, `%`, `*`,
/// backslashes, empty labels, short forms of addresses and anything beyond ASCII, which is what
/// hosts are made of that look like one and lead to another.
pub(super) fn normalize(host: &str) -> Option<String> {
    if let Some(address) = in_brackets(host) {
        return Some(format!("[{address}]"));
    }
    let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let is_number = |label: &str| {
        let hex = label.strip_prefix("0x");
        hex.is_some_and(|hex| hex.bytes().all(|byte| byte.is_ascii_hexdigit()))
            || label.bytes().all(|byte| byte.is_ascii_digit())
    };
    let ends_in_number = host.rsplit('.').next().is_some_and(is_number);
    let plain = host.len() <= 253
        && host.split('.').all(is_label)
        && (!ends_in_number || host.parse::<Ipv4Addr>().is_ok());
    plain.then_some(host)
}

/// Returns whether `host` is the same as `normal`, which is in normal form.
pub(super) fn matches(host: &str, normal: &str) -> bool {
    match in_brackets(host) {
        Some(address) => in_brackets(normal) == Some(address),
        None => host.strip_suffix('.').unwrap_or(host).eq_ignore_ascii_case(normal),
    }
}

/// Returns whether `host` names this very machine: `localhost`, `127.0.0.0/8` or `[::1]`.
pub(crate) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || in_brackets(host).is_some_and(|address| address.is_loopback())
        || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// Splits an authority without a user name into host and port.
///
/// `None` when what follows the host is no port from 1 to 65535.
pub(super) fn split_port(authority: &str) -> Option<(&str, Option<u16>)> {
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

fn in_brackets(host: &str) -> Option<Ipv6Addr> {
    host.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn normal_form_ignores_case_and_one_trailing_dot() {
        for (host, normal) in [
            ("Online3.SuperOffice.COM.", "online3.superoffice.com"),
            ("localhost", "localhost"),
            ("a_b-1.example", "a_b-1.example"),
            ("127.0.0.1", "127.0.0.1"),
            ("[0:0:0:0:0:0:0:1]", "[::1]"),
            ("[2001:DB8::A]", "[2001:db8::a]"),
        ] {
            assert_eq!(normalize(host).as_deref(), Some(normal), "{host}");
            assert!(matches(host, normal), "{host}");
        }
    }

    #[test]
    fn ambiguous_host_has_no_normal_form() {
        for host in [
            "",
            ".",
            "a..b",
            "a..",
            ".a",
            "*.example",
            "a%2eb",
            "a\\b",
            "a@b",
            "a:1",
            "::1",
            "[::1",
            "[::g]",
            "[::1%1]",
            "127.1",
            "1",
            "0x7f.1",
            "a.0x7f",
            "256.0.0.1",
            "a b",
            "b\u{fc}ro",
        ] {
            assert_eq!(normalize(host), None, "{host}");
        }
    }

    #[test]
    fn port_is_a_number_from_1_to_65535() {
        assert_eq!(split_port("a"), Some(("a", None)));
        assert_eq!(split_port("a:443"), Some(("a", Some(443))));
        assert_eq!(split_port("[::1]:9"), Some(("[::1]", Some(9))));
        for authority in ["a:", "a:0", "a:65536", "a:+1", "a:1:2", "::1", "[::1]x:1:"] {
            assert_eq!(split_port(authority), None, "{authority}");
        }
    }
}
