//! Strings, and their escapes.

use std::borrow::Cow;

use super::reader::Reader;
use crate::hex;

impl<'t> Reader<'t> {
    /// Reads a string. One without escapes is borrowed.
    pub(super) fn string(&mut self) -> Option<Cow<'t, str>> {
        self.expect(b'"')?;
        let mut start = self.position();
        let mut unescaped = String::new();
        loop {
            self.advance(plain_length(self.rest()));
            let plain = self.since(start)?;
            match self.next()? {
                b'"' if unescaped.is_empty() => return Some(Cow::Borrowed(plain)),
                b'"' => {
                    unescaped.push_str(plain);
                    return Some(Cow::Owned(unescaped));
                }
                b'\\' => {
                    unescaped.push_str(plain);
                    unescaped.push(self.escape()?);
                    start = self.position();
                }
                // A control character.
                _ => return None,
            }
        }
    }

    /// Reads what follows a backslash.
    fn escape(&mut self) -> Option<char> {
        Some(match self.next()? {
            character @ (b'"' | b'\\' | b'/') => char::from(character),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.code_point(),
            _ => return None,
        })
    }

    /// Reads the digits of `\uXXXX`, and the second escape of a surrogate pair. A surrogate alone
    /// is no character.
    fn code_point(&mut self) -> Option<char> {
        let unit = self.code_unit()?;
        if !(0xd800..0xdc00).contains(&unit) {
            return char::from_u32(unit);
        }
        self.expect(b'\\')?;
        self.expect(b'u')?;
        let low = self.code_unit()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + low)
    }

    fn code_unit(&mut self) -> Option<u32> {
        let [a, b, c, d] = *self.rest().first_chunk()?;
        let [high, low] = [hex::byte(a, b)?, hex::byte(c, d)?];
        self.advance(4);
        Some(u32::from(high) << 8 | u32::from(low))
    }
}

/// Returns the number of bytes before the first quotation mark, backslash or control character.
fn plain_length(bytes: &[u8]) -> usize {
    // Whole blocks are tested at once: a token is long. Keys are short.
    let plain = plain_blocks::<64>(bytes);
    let plain = plain + plain_blocks::<16>(bytes.get(plain..).unwrap_or_default());
    let rest = bytes.get(plain..).unwrap_or_default();
    plain + rest.iter().take_while(|byte| !is_special(**byte)).count()
}

/// Returns the bytes of the blocks before the first one with a special byte.
fn plain_blocks<const SIZE: usize>(bytes: &[u8]) -> usize {
    // Without a branch for each byte, so that it compiles to vector instructions.
    let is_plain = |block: &&[u8; SIZE]| !block.iter().fold(false, |any, b| any | is_special(*b));
    let (blocks, _) = bytes.as_chunks();
    blocks.iter().take_while(is_plain).count() * SIZE
}

fn is_special(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

#[cfg(test)]
mod tests {
    use super::{super::reader::Numbers, *};

    fn string(text: &str) -> Option<Cow<'_, str>> {
        Reader::new(text, Numbers::Any).string()
    }

    #[test]
    fn string_without_escapes_is_borrowed() {
        for text in ["", "a", "\u{e9}\u{1f600}\u{7f}", &"x".repeat(1000)] {
            let quoted = format!("\"{text}\"");
            assert!(matches!(string(&quoted), Some(Cow::Borrowed(own)) if own == text));
        }
    }

    #[test]
    fn escapes_are_decoded() {
        for (text, expected) in [
            (r#""\"\\\/\b\f\n\r\t""#, "\"\\/\u{8}\u{c}\n\r\t"),
            (r#""\u0041\u00e9\u00E9\uFFFF\u0000""#, "A\u{e9}\u{e9}\u{ffff}\0"),
            (r#""a\ud83d\ude00b""#, "a\u{1f600}b"),
            (r#""\ud800\udc00\udbff\udfff""#, "\u{10000}\u{10ffff}"),
        ] {
            assert_eq!(string(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn malformed_strings_are_refused() {
        for text in [
            r#"""#,
            r#""\"#,
            r#""\""#,
            r#""\x41""#,
            r#""\u""#,
            r#""\u004""#,
            r#""\u+041""#,
            r#""\u00g1""#,
            r#""\ud800""#,
            r#""\ud800x""#,
            r#""\ud800\n""#,
            r#""\ud800\ud800""#,
            r#""\ud800\u0041""#,
            r#""\udc00""#,
            r#""\udc00\ud800""#,
            r#""\ud83d\ue000""#,
            "\"\n\"",
            "\"\u{1f}\"",
            "\"\0\"",
            "'a'",
        ] {
            assert_eq!(string(text), None, "{text}");
        }
    }

    #[test]
    fn special_byte_is_found_at_every_place() {
        for special in [b'"', b'\\', b'\n', 0, 0x1f] {
            for at in 0..200 {
                let mut bytes = [b'x'; 200];
                bytes[at] = special;
                assert_eq!(plain_length(&bytes), at);
            }
        }
        assert_eq!(plain_length(&[b' ', 0x7f, 0x80, 0xff]), 4);
    }
}
