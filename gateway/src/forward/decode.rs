//! The bytes that the escapes in a path stand for.

/// A byte of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Character {
    pub(super) byte: u8,
    /// Whether it was written as an escape.
    pub(super) escaped: bool,
}

/// Decodes each escape once. An ASCII character in two to four bytes, which UTF-8 forbids for it,
/// counts as that character: old servers decode it.
pub(super) fn decode(path: &str) -> Vec<Character> {
    let mut rest = path.as_bytes();
    let mut characters = Vec::with_capacity(rest.len());
    while let Some((&byte, after)) = rest.split_first() {
        let Some((decoded, after_escape)) = escape(rest) else {
            characters.push(Character { byte, escaped: false });
            rest = after;
            continue;
        };
        let (byte, after) = overlong(rest).unwrap_or((decoded, after_escape));
        characters.push(Character { byte, escaped: true });
        rest = after;
    }
    characters
}

/// Reads an ASCII character in the escapes of more bytes than one at the start of `text`, and what
/// follows it.
fn overlong(text: &[u8]) -> Option<(u8, &[u8])> {
    let (lead, mut rest) = escape(text)?;
    let zeros = match lead {
        0xC0..=0xC1 => 0,
        0xE0 => 1,
        0xF0 => 2,
        _ => return None,
    };
    // The last bit but six: in the first byte of two, and otherwise in the last byte but one.
    let mut high = lead & 1;
    for zero in 0..zeros {
        let (byte, after) = escape(rest)?;
        let may_have_bit = zero + 1 == zeros;
        if byte != 0x80 && !(may_have_bit && byte == 0x81) {
            return None;
        }
        (high, rest) = (byte & 1, after);
    }
    match escape(rest)? {
        (low @ 0x80..=0xBF, rest) => Some((high << 6 | (low & 0x3F), rest)),
        _ => None,
    }
}

/// Reads an escape at the start of `text`: its byte, and what follows it.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let [b'%', high, low, rest @ ..] = text else { return None };
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some((digit(*high)? << 4 | digit(*low)?, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(path: &str) -> Vec<u8> {
        decode(path).iter().map(|character| character.byte).collect()
    }

    #[test]
    fn ascii_in_too_many_bytes_is_that_character() {
        for (path, character) in [
            ("%2e", b'.'),
            ("%c0%ae", b'.'),
            ("%C1%83", b'C'),
            ("%e0%80%af", b'/'),
            ("%e0%81%83", b'C'),
            ("%f0%80%80%ae", b'.'),
            ("%f0%80%81%9c", b'\\'),
        ] {
            assert_eq!(bytes(path), [character], "{path}");
            assert!(decode(path).iter().all(|character| character.escaped), "{path}");
        }
    }

    #[test]
    fn other_characters_and_broken_ones_stay_bytes() {
        for (path, expected) in [
            ("%c3%a9", &b"\xc3\xa9"[..]),
            ("%e0%a4%80", b"\xe0\xa4\x80"),
            ("%e0%82%80", b"\xe0\x82\x80"),
            ("%f0%9f%98%80", b"\xf0\x9f\x98\x80"),
            ("%f0%81%80%80", b"\xf0\x81\x80\x80"),
            ("%c0%2e", b"\xc0."),
            ("%c0x", b"\xc0x"),
            ("%e0%80", b"\xe0\x80"),
            ("%zz%", b"%zz%"),
        ] {
            assert_eq!(bytes(path), expected, "{path}");
        }
    }
}
