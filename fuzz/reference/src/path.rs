//! The tenant in a path: the rules of `UrlKey`, one after the other, without regard to speed.

/// Returns the first segment of `path` (without a query), unless it is reserved or no tenant id.
#[must_use]
pub fn tenant_in(path: &str) -> Option<String> {
    let mut segments: Vec<String> = Vec::new();
    for segment in decoded(path).replace('\\', "/").split('/') {
        if segment.trim_end_matches(' ') == ".." {
            segments.pop();
            continue;
        }
        // Windows drops these, and with them all of a segment that has nothing else.
        let segment = segment.trim_end_matches([' ', '.']);
        if !segment.is_empty() {
            segments.push(segment.to_owned());
        }
    }
    let lower: Vec<String> = segments.iter().map(|segment| segment.to_ascii_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    match lower.as_slice() {
        [] | ["login", ..] | ["api", "state", ..] => None,
        _ => segments.into_iter().next().filter(|first| is_tenant(first)),
    }
}

/// Decodes every `%NN` and `%uNNNN` once, to the characters of these numbers. An invalid escape
/// stays as it is.
fn decoded(path: &str) -> String {
    let mut decoded = String::new();
    let mut rest = path;
    while let Some(first) = rest.chars().next() {
        let escape = number(rest, "%u", 4).or_else(|| number(rest, "%U", 4));
        let escape = escape.map(|number| (number, 6));
        let escape = escape.or_else(|| number(rest, "%", 2).map(|number| (number, 3)));
        let (character, length) = match escape {
            Some((number, length)) => (char::from_u32(number).unwrap_or('\u{fffd}'), length),
            None => (first, first.len_utf8()),
        };
        decoded.push(character);
        rest = rest.get(length..).unwrap_or_default();
    }
    decoded
}

/// Returns the number of `digits` hexadecimal digits that follow `mark` at the start of `text`.
fn number(text: &str, mark: &str, digits: usize) -> Option<u32> {
    let digits = text.strip_prefix(mark)?.get(..digits)?;
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hexadecimal { u32::from_str_radix(digits, 16).ok() } else { None }
}

fn is_tenant(id: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    id.len() <= 64 && id.chars().all(allowed)
}
