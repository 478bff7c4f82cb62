//! Log lines without control characters.

use std::fmt::Write;

/// Writes each control character of `line` as `\u001b` is written in JSON, but for the line feed at its
/// end.
///
/// Errors quote what servers sent. Their escapes must not reach a terminal, and one event must not look
/// like several.
pub(super) fn printable(line: &[u8]) -> Vec<u8> {
    let (text, end) = match line.strip_suffix(b"\n") {
        Some(text) => (text, "\n"),
        None => (line, ""),
    };
    let mut printable = String::with_capacity(line.len());
    for character in String::from_utf8_lossy(text).chars() {
        if character.is_control() {
            // Writing to memory never fails.
            let _infallible = write!(printable, "\\u{:04x}", u32::from(character));
        } else {
            printable.push(character);
        }
    }
    printable.push_str(end);
    printable.into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_written_as_escapes() {
        let cases: [(&[u8], &str); 6] = [
            (b"plain\n", "plain\n"),
            ("grüße".as_bytes(), "grüße"),
            (b"\x1b[31mred\x1b[0m\n", "\\u001b[31mred\\u001b[0m\n"),
            (b"one\ntwo\r\n", "one\\u000atwo\\u000d\n"),
            ("\u{9b}31m\u{7f}".as_bytes(), "\\u009b31m\\u007f"),
            (b"\xff\n", "\u{fffd}\n"),
        ];
        for (line, expected) in cases {
            assert_eq!(String::from_utf8(printable(line)).unwrap(), expected);
        }
    }
}
