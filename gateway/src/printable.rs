//! Texts that others wrote, for people and terminals.

use std::fmt::{self, Display, Write};

/// Displays `text` with each character that is invisible, or turns the direction of a line, written as
/// it is in JSON.
///
/// Errors, notes and tenants' names quote what servers and people sent. Their escapes must not reach
/// a terminal, one event must not look like several, and no text may pass for another.
pub(crate) fn printable(text: &str) -> impl Display {
    Printable(text)
}

struct Printable<'a>(&'a str);

impl Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            if character.is_control() || is_invisible(character) {
                write!(f, "\\u{:04x}", u32::from(character))?;
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Returns whether it has no shape of its own but moves others: marks and overrides of direction,
/// zero-width spaces, line separators.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200b}' | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}' | '\u{feff}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_and_invisible_characters_are_written_as_escapes() {
        for (text, expected) in [
            ("plain", "plain"),
            ("Grüße, עולם", "Grüße, עולם"),
            ("\x1b[31mred\x1b[0m", "\\u001b[31mred\\u001b[0m"),
            ("one\ntwo\r", "one\\u000atwo\\u000d"),
            ("\u{9b}31m\u{7f}", "\\u009b31m\\u007f"),
            ("a\u{202e}b\u{feff}", "a\\u202eb\\ufeff"),
        ] {
            assert_eq!(printable(text).to_string(), expected);
        }
    }
}
