//! A token, to what it proves.
//!
//! The bytes are the token. With a line feed in them they are its header and its claims instead: so
//! what is encoded can be changed, too. With a zero byte in front they are a recipe for claims: `exp`,
//! `nbf` and `iat`, each as minutes and seconds from now, and the text of the other claims, good ones
//! when there is none. So the edges of a token's life are near.
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

/// Claims with these dates, of which the lowest number of minutes stands for none.
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
