//! Strings, and their escapes.

use std::borrow::Cow;

use super::reader::Reader;
use crate::hex;

impl<'t> Reader<'t> {
    /// Reads a string. One without escapes is borrowed.
    pub(super) fn string(&mut self) -> Option<Cow<'t, str>> {
        self.expect(b'"')?;
        let start = self.position();
        self.advance(plain_length(self.rest()));
        let plain = self.since(start)?;
        match self.next()? {
            b'"' => Some(Cow::Borrowed(plain)),
            b'\\' => self.unescape(plain).map(Cow::Owned),
            // A control character.
            _ => None,
        }
    }

    /// Reads the rest of a string, whose text up to a first backslash is `plain`.
    #[cold]
    fn unescape(&mut self, plain: &str) -> Option<String> {
        let mut unescaped = plain.to_owned();
        loop {
            unescaped.push(self.escape()?);
            let start = self.position();
            self.advance(plain_length(self.rest()));
            unescaped.push_str(self.since(start)?);
            match self.next()? {
                b'"' => return Some(unescaped),
                b'\\' => {}
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
    let (words, rest) = bytes.as_chunks();
    for (index, word) in words.iter().enumerate() {
        let special = special_bits(u64::from_le_bytes(*word));
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let is_special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    words.len() * 8 + rest.iter().take_while(|byte| !is_special(**byte)).count()
}

/// Sets the highest bit of the first byte that is special, and perhaps of bytes behind it. Eight
/// bytes at once: tokens are long.
fn special_bits(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    // The highest bit of the lowest byte that is less than `limit`, which is at most 0x80.
    let less = |word: u64, limit: u64| word.wrapping_sub(ONES * limit) & !word;
    let equal = |byte: u8| less(word ^ (ONES * u64::from(byte)), 1);
    (less(word, 0x20) | equal(b'"') | equal(b'\\')) & (ONES << 7)
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
    fn every_byte_is_plain_or_special_beside_any_other() {
        for first in 0..=255_u8 {
            let is_special = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
            for second in 0..=255_u8 {
                let bytes = [b'x', b'x', first, second, b'x', 0x80, 0xff, b'x', b'x'];
                let expected = bytes.iter().take_while(|byte| !is_special(**byte)).count();
                assert_eq!(plain_length(&bytes), expected, "{first} {second}");
            }
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
