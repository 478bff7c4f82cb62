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
                for unit in character.encode_utf16(&mut [0; 2]) {
                    write!(f, "\\u{unit:04x}")?;
                }
            } else {
                f.write_char(character)?;
            }
        }
        Ok(())
    }
}

/// Returns whether it has no shape of its own: marks and overrides of direction, zero-width spaces,
/// line separators, fillers, soft hyphens, annotations, tags.
///
/// The zero-width joiner and non-joiner are none of them. Persian, the scripts of India and emoji
/// are written with them, and between other letters they hide a difference and nothing more.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}'
            | '\u{200e}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{2800}' | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e0fff}'
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
            ("a\u{ad}b\u{34f}\u{180e}", "a\\u00adb\\u034f\\u180e"),
            ("\u{115f}\u{1160}\u{3164}\u{ffa0}", "\\u115f\\u1160\\u3164\\uffa0"),
            ("\u{2800}\u{206f}\u{fff9}", "\\u2800\\u206f\\ufff9"),
            ("\u{e0041}\u{e0fff}", "\\udb40\\udc41\\udb43\\udfff"),
            // Persian and emoji are written with these.
            ("می\u{200c}خواهم", "می\u{200c}خواهم"),
            ("👩\u{200d}🔧", "👩\u{200d}🔧"),
        ] {
            assert_eq!(printable(text).to_string(), expected);
        }
    }
}
