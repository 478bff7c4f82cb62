//! The tenant that a path leads to.
//!
//! The guard decides about the tenant that is read here, and the tenant's server reads the path
//! again, by rules of its own: IIS decodes `%uNNNN`, some servers decode twice, Windows drops dots
//! and blanks at the end of a name. A path in which another rule could find another tenant is
//! refused, so that no spelling leads around the guard.

use tower_superoffice::TenantId;

use super::decode::{Character, decode};

/// First segments that are the gateway's own or SuperOffice's, in any case.
const RESERVED: [&str; 11] = [
    "live",
    "ready",
    "healthz",
    "status",
    "metrics",
    "tenants",
    "events",
    "check",
    "api",
    "openapi.json",
    "login",
];

/// Why a path leads to no tenant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum NoTenant {
    /// Servers may read it in different ways.
    Ambiguous,
    /// Its first segment is one of the [`RESERVED`].
    Reserved,
    /// Its first segment is no tenant id, or there is none.
    NoId,
}

/// Returns the tenant of `path`, which has no query. Escapes are decoded, empty segments skipped,
/// and plain dot segments followed. A path is ambiguous when it had another tenant if `..` removed
/// an empty segment, as in RFC 3986, section 5.2.4.
pub(super) fn tenant_of(path: &str) -> Result<TenantId, NoTenant> {
    let first = first_of(path)?.ok_or(NoTenant::NoId)?;
    if is_reserved(&first) {
        return Err(NoTenant::Reserved);
    }
    str::from_utf8(&first).ok().and_then(|id| TenantId::new(id).ok()).ok_or(NoTenant::NoId)
}

/// Returns the first segment of `path`, decoded, as [`tenant_of`] reads it; `None` when there is
/// none.
pub(super) fn first_of(path: &str) -> Result<Option<Vec<u8>>, NoTenant> {
    let characters = decode(path);
    if has_suspicious_escape(&characters) {
        return Err(NoTenant::Ambiguous);
    }
    first_segment(&split(&characters))
}

fn is_reserved(segment: &[u8]) -> bool {
    RESERVED.iter().any(|name| segment.eq_ignore_ascii_case(name.as_bytes()))
}

/// Whether there is a control byte, or still an escape, which another server may decode.
fn has_suspicious_escape(characters: &[Character]) -> bool {
    let byte = |index: usize| characters.get(index).map(|character| character.byte);
    let is_hex = |byte: Option<u8>| byte.is_some_and(|byte| byte.is_ascii_hexdigit());
    characters.iter().enumerate().any(|(index, character)| match character.byte {
        b'%' => {
            matches!(byte(index + 1), Some(b'u' | b'U'))
                || (is_hex(byte(index + 1)) && is_hex(byte(index + 2)))
        }
        byte => byte.is_ascii_control(),
    })
}

/// A part of a path between two separators.
#[derive(Debug)]
struct Segment {
    text: Vec<u8>,
    /// Whether it has no escapes, and slashes without an escape on both sides.
    plain: bool,
    /// Whether the separators on both sides are slashes without an escape.
    plainly_separated: bool,
}

/// Splits at slashes and backslashes, escaped or not.
fn split(characters: &[Character]) -> Vec<Segment> {
    let is_separator = |character: &Character| matches!(character.byte, b'/' | b'\\');
    let is_plain = |separator: &Character| separator.byte == b'/' && !separator.escaped;
    let mut segments = Vec::new();
    let mut before_is_plain = true;
    let mut separators = characters.iter().filter(|character| is_separator(character));
    for characters in characters.split(is_separator) {
        let after_is_plain = separators.next().is_none_or(is_plain);
        let plainly_separated = before_is_plain && after_is_plain;
        segments.push(Segment {
            text: characters.iter().map(|character| character.byte).collect(),
            plain: plainly_separated && !characters.iter().any(|character| character.escaped),
            plainly_separated,
        });
        before_is_plain = after_is_plain;
    }
    segments
}

/// Follows the dot segments and returns the first segment of what is left, if anything is.
fn first_segment(segments: &[Segment]) -> Result<Option<Vec<u8>>, NoTenant> {
    // Positions of the segments that lead to where the path is so far, without empty segments and
    // with them.
    let (mut place, mut place_with_empty) = (Vec::new(), Vec::new());
    for (position, segment) in segments.iter().enumerate() {
        match &*segment.text {
            b"" => place_with_empty.push(position),
            b"." if segment.plain => {}
            b".." if segment.plain => {
                place.pop();
                place_with_empty.pop();
            }
            text if is_dots_and_blanks(text) => return Err(NoTenant::Ambiguous),
            _ => {
                place.push(position);
                place_with_empty.push(position);
            }
        }
    }
    let text = |position: &usize| segments.get(*position).map(|segment| &*segment.text);
    let first_with_empty = place_with_empty.iter().filter_map(text).find(|text| !text.is_empty());
    if place.first().and_then(text) != first_with_empty {
        return Err(NoTenant::Ambiguous);
    }
    let Some(&first) = place.first() else { return Ok(None) };
    let mut up_to_first = segments.iter().take(first + 1);
    if up_to_first.any(|segment| !segment.plainly_separated || ends_in_dot_or_blank(segment)) {
        return Err(NoTenant::Ambiguous);
    }
    Ok(segments.get(first).map(|segment| segment.text.clone()))
}

/// Whether a segment may be a dot segment to a server that drops dots or blanks at its end.
fn is_dots_and_blanks(text: &[u8]) -> bool {
    text.contains(&b'.') && text.iter().all(|byte| matches!(byte, b'.' | b' '))
}

fn ends_in_dot_or_blank(segment: &Segment) -> bool {
    let is_plain_dots = segment.plain && matches!(&*segment.text, b"." | b"..");
    !is_plain_dots && matches!(segment.text.last(), Some(b'.' | b' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_that_servers_may_read_differently_is_ambiguous() {
        for path in [
            // %u
            "/%u0043ust1/x",
            "/Cust2/%u002e%u002e/Cust1",
            "/Cust2/x%U002f..%u002f/Cust1",
            "/Cust1/%u00e9",
            "/Cust1/%25u002e",
            // Escaped twice.
            "/%2543ust1/x",
            "/Cust2/%252e%252e/Cust1",
            "/Cust2/%25%32%65%25%32%65/Cust1",
            "/Cust2/%%32e%%32e/Cust1",
            "/Cust1/%25c3%25a9",
            // Control bytes.
            "/Cust1%00/x",
            "/Cust1/..%00/Cust2",
            "/%0aCust1/",
            "/Cust1/%7f",
            // Separators before or in the tenant's segment.
            "/%2FCust1/x",
            "/%5CCust1/x",
            "/\\Cust1/x",
            "/%2f/Cust1/x",
            "/Cust1%2Fx",
            "/Cust1\\x",
            "/Cust1%5cx/y",
            "/x%2f../../Cust1",
            "/x\\y/../Cust1",
            "/%c0%afCust1",
            // Dot segments that are not plain.
            "/x/%2e%2e/Cust1/y",
            "/x/.%2E/Cust1",
            "/%2e/Cust1",
            "/Cust1/a/%2e%2e/b",
            "/Cust1/%2e",
            "/Cust2/..%2fCust1",
            "/Cust2/..%5cCust1",
            "/Cust2/..\\Cust1",
            "/Cust1/a%2f..%2fb",
            "/Cust2/%c0%ae%c0%ae/Cust1",
            "/Cust2/%e0%80%ae%e0%80%ae/Cust1",
            "/Cust2/%f0%80%80%ae./Cust1",
            "/%e0%80%afCust1",
            "/%f0%80%80%afCust1",
            "/%e0%81%9cCust1",
            // An empty segment that `..` removes, or skips.
            "/Cust2//../Cust1",
            "/x//../Cust1/y",
            "/login//../Cust1",
            "/Cust1//..",
            "/Cust2/..%20/Cust1",
            "/Cust2/%20../Cust1",
            "/Cust2/.../Cust1",
            // Dots or blanks at the end of the first segment.
            "/Cust1./x",
            "/Cust1%2e/x",
            "/Cust1%20/x",
            "/Cust1%20%20",
            "/Cust1../x",
            "/%20/Cust1",
            "/x./../Cust1",
        ] {
            assert_eq!(tenant_of(path), Err(NoTenant::Ambiguous), "{path}");
        }
    }

    #[test]
    fn path_that_reads_in_one_way_only_leads_to_its_tenant() {
        for path in [
            "/Cust1",
            "/CUST1/",
            "/Cust1/api/v1/Contact/1",
            "//Cust1//Remote/Services88/",
            "/%43ust%31/x",
            "/Cust1/a%20b%2Fc%5cd/%C3%A9",
            "/Cust1/a%20/b./c%2e",
            "/Cust1/a\\b",
            "/Cust1/100%25/x",
            "/Cust1/100%25zz",
            "/Cust1/100%/%zz/%",
            "/Cust1/a./b",
            "/Cust1/%2ehidden",
            "/Cust1/a..b/..c/d..",
            "/Cust1/%20",
            "/Cust1/%c0/%c1x",
            "/./Cust1/",
            "/x/../Cust1/y",
            "/login/../Cust1/x",
            "/api/state/../../Cust1/x",
            "/Cust1/a/../../Cust1/./b",
            "/../Cust1",
            "/Cust1/a//../b",
            "/Cust1//./x",
            "//../Cust1",
            "/x/..//Cust1",
            "/%c1%83ust1/x",
            "/%e0%81%83ust1/x",
            "/Cust1/%e0%a4%80/%f0%9f%98%80/%e0%80",
        ] {
            let tenant = tenant_of(path);
            assert_eq!(tenant, Ok(TenantId::new("Cust1").unwrap()), "{path}");
        }
    }

    #[test]
    fn first_segment_of_the_gateway_is_no_tenant() {
        for path in [
            "/live",
            "/READY",
            "/Healthz/x",
            "//status",
            "/%6detrics",
            "/tenants/Cust1",
            "/events/",
            "/check/Cust1",
            "/api/state/Cust1",
            "/API/v1",
            "/openapi.json",
            "/login/x",
            "/x/../Login",
        ] {
            assert_eq!(tenant_of(path), Err(NoTenant::Reserved), "{path}");
        }
    }

    #[test]
    fn first_segment_that_is_no_id_is_no_tenant() {
        for path in
            ["", "/", "//", "*", "/~", "/a.b/x", "/Cust1/..", "/Cust%C3%A9", "/a b", "/Cust1;x/"]
        {
            assert_eq!(tenant_of(path), Err(NoTenant::NoId), "{path}");
        }
    }
}
