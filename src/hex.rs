//! Hexadecimal digits.

/// Returns the value of a digit in either case.
#[inline]
pub(crate) fn value(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// Returns the byte of two digits.
#[inline]
pub(crate) fn byte(high: u8, low: u8) -> Option<u8> {
    Some(value(high)? << 4 | value(low)?)
}

/// Encodes `bytes` in lower case.
#[cfg(any(feature = "postgres", feature = "redis"))]
pub(crate) fn lower(bytes: &[u8]) -> String {
    text(bytes, b"0123456789abcdef")
}

/// Encodes `bytes` in upper case.
pub(crate) fn upper(bytes: &[u8]) -> String {
    text(bytes, b"0123456789ABCDEF")
}

fn text(bytes: &[u8], digits: &[u8; 16]) -> String {
    let digit = |value: u8| digits.get(usize::from(value)).copied().map(char::from);
    bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]).filter_map(digit).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_written_and_read_back() {
        for number in 0..=u8::MAX {
            let text = upper(&[number]);
            assert_eq!(text, format!("{number:02X}"));
            let digits = text.as_bytes();
            assert_eq!(byte(digits[0], digits[1]), Some(number));
            let digits = text.to_ascii_lowercase();
            assert_eq!(byte(digits.as_bytes()[0], digits.as_bytes()[1]), Some(number));
        }
    }

    #[test]
    fn only_hexadecimal_digits_have_a_value() {
        for digit in 0..=u8::MAX {
            let expected = char::from(digit).to_digit(16).and_then(|value| value.try_into().ok());
            assert_eq!(value(digit), expected, "{digit}");
        }
        assert_eq!((byte(b'g', b'0'), byte(b'0', b' ')), (None, None));
    }
}
