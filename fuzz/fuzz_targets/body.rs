//! Fuzzes the handling of a notification's body.
//!
//! The input is the body. An input with a zero byte is the claims of a token and a body in which
//! `TOKEN` stands for the token, so that the fuzzer can change the claims behind their encoding.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_superoffice_reference::{body, compact};

fuzz_target!(|bytes: &[u8]| {
    let mut parts = bytes.splitn(2, |byte| *byte == 0);
    let _ = match (parts.next(), parts.next()) {
        (Some(claims), Some(rest)) => {
            let token = compact(br#"{"alg":"RS256"}"#, claims);
            body(&with_token(rest, &token))
        }
        _ => body(bytes),
    };
});

fn with_token(body: &[u8], token: &str) -> Vec<u8> {
    match body.windows(5).position(|window| window == b"TOKEN") {
        Some(at) => [&body[..at], token.as_bytes(), &body[at + 5..]].concat(),
        None => body.to_vec(),
    }
}
