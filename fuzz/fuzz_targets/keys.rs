//! Fuzzes the parsing of keys from a key set, a PEM text or a certificate.
//!
//! The input is one of these. An input that begins with a zero byte describes a key set of one key:
//! the length of its modulus in bits, as a multiple of 1024 and an offset, the length of its
//! exponent, the exponent, and the text of its other members (the key type if empty). So the fuzzer
//! reaches the limits of numbers that take hundreds of characters.
#![no_main]

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use libfuzzer_sys::fuzz_target;
use tower_superoffice_reference::keys;

fuzz_target!(|bytes: &[u8]| {
    let _ = match bytes {
        [0, kilobits, added, exponent, rest @ ..] => {
            let bits = usize::from(*kilobits % 9) * 1024;
            let bits = bits.saturating_add_signed(isize::from(added.cast_signed()));
            let (e, members) = rest.split_at(usize::from(*exponent % 9).min(rest.len()));
            keys(&key_set(&modulus(bits), e, members))
        }
        _ => keys(bytes),
    };
});

/// Returns the largest number of `bits` bits.
fn modulus(bits: usize) -> Vec<u8> {
    let mut number = vec![0xff; bits.div_ceil(8)];
    if let Some(first) = number.first_mut() {
        *first >>= bits.next_multiple_of(8) - bits;
    }
    number
}

fn key_set(n: &[u8], e: &[u8], members: &[u8]) -> Vec<u8> {
    let [n, e] = [n, e].map(|number| URL_SAFE_NO_PAD.encode(number));
    let numbers = format!(r#"{{"keys":[{{"n":"{n}","e":"{e}","#);
    let members = if members.is_empty() { br#""kty":"RSA""# } else { members };
    [numbers.as_bytes(), members, b"}]}"].concat()
}
