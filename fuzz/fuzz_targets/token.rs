//! A token, to what it proves.
//!
//! The bytes are the token. With a line feed in them they are its header and its claims instead: so
//! what is encoded can be changed, too.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_superoffice::fuzzing::{compact, token};

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let _ = match (parts.next(), parts.next()) {
        (Some(header), Some(claims)) => token(&compact(header, claims)),
        _ => str::from_utf8(bytes).ok().and_then(token),
    };
});
