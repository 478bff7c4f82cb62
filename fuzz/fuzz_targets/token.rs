//! Fuzzes the verification of a token.
//!
//! The input is the token. An input with a line feed is its header and its claims, so that the
//! fuzzer can change these behind their encoding. An input that begins with a zero byte describes
//! the claims: `exp`, `nbf` and `iat`, each as minutes and seconds from now, and the text of the
//! other claims (valid ones if empty). So the fuzzer reaches the limits of a token's validity.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tower_superoffice_reference::{NOW, TENANT, compact, token};

fuzz_target!(|bytes: &[u8]| {
    if let [0, a, b, c, d, e, f, others @ ..] = bytes {
        let dates = [[*a, *b], [*c, *d], [*e, *f]].map(|date| date.map(u8::cast_signed));
        let _ = token(&compact(br#"{"alg":"RS256"}"#, &claims(dates, others)));
        return;
    }
    let mut parts = bytes.splitn(2, |byte| *byte == b'\n');
    let _ = match (parts.next(), parts.next()) {
        (Some(header), Some(claims)) => token(&compact(header, claims)),
        _ => str::from_utf8(bytes).ok().and_then(token),
    };
});

/// Builds claims with these dates. The lowest number of minutes stands for an absent date.
fn claims(dates: [[i8; 2]; 3], others: &[u8]) -> Vec<u8> {
    let mut claims = b"{".to_vec();
    for (name, [minutes, seconds]) in ["exp", "nbf", "iat"].into_iter().zip(dates) {
        if minutes != i8::MIN {
            let date = NOW + i64::from(minutes) * 60 + i64::from(seconds);
            claims.extend(format!("\"{name}\":{date},").bytes());
        }
    }
    if others.is_empty() {
        claims.extend(format!(r#""iss":"I","aud":"app","{TENANT}":"Cust1""#).bytes());
    }
    claims.extend(others);
    claims.push(b'}');
    claims
}
