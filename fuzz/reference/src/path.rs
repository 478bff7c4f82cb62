//! The tenant in a path: the rules of `UrlKey`, one after the other, without regard to speed.

/// Returns the first segment of `path` (without a query), unless it is reserved or no tenant id.
#[must_use]
pub fn tenant_in(path: &str) -> Option<String> {
    let text: String = decoded(path.as_bytes()).iter().map(|byte| char::from(*byte)).collect();
    let mut segments: Vec<String> = Vec::new();
    for segment in text.replace('\\', "/").split('/') {
        match segment {
            "" | "." => {}
            ".." => _ = segments.pop(),
            segment => segments.push(segment.to_owned()),
        }
    }
    let lower: Vec<String> = segments.iter().map(|segment| segment.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    match lower.as_slice() {
        [] | ["login", ..] | ["api", "state", ..] => None,
        _ => segments.into_iter().next().filter(|first| is_tenant(first)),
    }
}

/// Decodes every escape once. An invalid escape stays as it is.
fn decoded(mut text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::new();
    while let [first, rest @ ..] = text {
        let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let digits = digits.filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match escaped {
            Some(byte) if *first == b'%' => {
                decoded.push(byte);
                text = rest.get(2..).unwrap_or_default();
            }
            _ => {
                decoded.push(*first);
                text = rest;
            }
        }
    }
    decoded
}

fn is_tenant(id: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    id.len() <= 64 && id.chars().all(allowed)
}
