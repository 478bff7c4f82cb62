//! Tokens that are almost a token.

use serde_json::{Value, json};
use tower_superoffice::token::TokenError::{self, Malformed, Missing, Signature, TooLong};

use super::env::{AdversarialEnv, part};

pub(crate) const CASES: usize = BASE64 + DOTS + TYPES + JSON;
const BASE64: usize = 20;
const DOTS: usize = 9;
const TYPES: usize = 8;
const JSON: usize = 19;

#[tokio::test]
async fn non_canonical_base64_is_refused() {
    let env = AdversarialEnv::new().await;
    let token = env.resume().token();
    let parts: Vec<&str> = token.split('.').collect();
    let [header, claims, signature] = parts[..] else { panic!() };
    // 256 bytes end in two characters of which the last carries four unused bits.
    let last = signature.chars().last().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let next = alphabet.chars().nth(alphabet.find(last).unwrap() + 1).unwrap();
    let non_canonical = format!("{}{next}", &signature[..signature.len() - 1]);
    let join = |parts: &[&str]| parts.join(".");
    let cases: [(&str, String, TokenError); BASE64] = [
        ("a character short", token[..token.len() - 1].to_owned(), Malformed),
        ("two characters short", token[..token.len() - 2].to_owned(), Signature),
        ("half", token[..token.len() / 2].to_owned(), Malformed),
        ("header alone", header.to_owned(), Malformed),
        ("no signature", join(&[header, claims]), Malformed),
        ("an empty signature", join(&[header, claims, ""]), Malformed),
        ("empty claims", join(&[header, "", signature]), Malformed),
        ("an empty header", join(&["", claims, signature]), Malformed),
        ("padding", format!("{token}=="), Malformed),
        ("padded header", join(&[&format!("{header}="), claims, signature]), Malformed),
        ("bits beyond the end", join(&[header, claims, &non_canonical]), Malformed),
        ("claims first", join(&[claims, header, signature]), TokenError::Algorithm),
        ("signature first", join(&[signature, header, claims]), Malformed),
        ("signature in the middle", join(&[header, signature, claims]), Malformed),
        (
            "the other alphabet",
            join(&[header, claims, &signature.replace(['-', '_'], "+")]),
            Malformed,
        ),
        ("a line break", format!("{token}\n"), Malformed),
        ("a space before", format!(" {token}"), Malformed),
        ("Bearer", format!("Bearer {token}"), Malformed),
        ("a NUL", format!("{token}\0"), Malformed),
        ("a look-alike", format!("{}\u{430}", &token[..token.len() - 1]), Malformed),
    ];
    for (case, token, error) in cases {
        // A signature may happen to hold neither of the two characters that differ.
        if case == "the other alphabet" && !signature.contains(['-', '_']) {
            continue;
        }
        env.refuses_token(case, token, error).await;
    }
    env.still_works().await;
}

#[tokio::test]
async fn misplaced_dots_are_refused() {
    let env = AdversarialEnv::new().await;
    let token = env.resume().token();
    let cases: [(String, TokenError); DOTS] = [
        (".".to_owned(), Malformed),
        ("..".to_owned(), Malformed),
        ("...".to_owned(), Malformed),
        (".".repeat(5000), Malformed),
        (".".repeat(9000), TooLong),
        (format!("{token}."), Malformed),
        (format!(".{token}"), Malformed),
        (token.replace('.', ".."), Malformed),
        (format!("{token}.{}", token.rsplit('.').next().unwrap()), Malformed),
    ];
    for (token, error) in cases {
        let case = format!("{} misplaced_dots_are_refused", token.matches('.').count());
        env.refuses_token(&case, token, error).await;
    }
    env.still_works().await;
}

#[tokio::test]
async fn token_of_another_type_is_refused() {
    let env = AdversarialEnv::new().await;
    let token = env.resume().token();
    let cases: [(Value, TokenError); TYPES] = [
        (json!(null), Missing),
        (json!(""), Missing),
        (json!(1), Missing),
        (json!(true), Missing),
        (json!([token]), Missing),
        (json!({"Token": token}), Missing),
        (json!("a".repeat(8 * 1024 + 1)), TooLong),
        (json!("a".repeat(8 * 1024)), Malformed),
    ];
    for (token, error) in cases {
        env.refuses_token(&token.to_string()[..4.min(token.to_string().len())], token, error).await;
    }
    env.still_works().await;
}

/// Headers and claims are judged before the signature, so one that is not theirs tells the same.
#[tokio::test]
async fn header_or_claims_other_than_one_object_is_refused() {
    let env = AdversarialEnv::new().await;
    let (header, claims) = env.texts();
    let deep = |n: usize| format!("{{\"x\":{}{},", "[".repeat(n), "]".repeat(n));
    let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let latin1 =
        |text: &str| [&text.as_bytes()[..1], b"\"x\":\"\xe9\",", &text.as_bytes()[1..]].concat();
    let put = |text: &str, start: &str| text.replacen('{', start, 1).into_bytes();
    let cases: [(&str, Part, Vec<u8>); JSON] = [
        ("alg twice", Part::Header, put(&header, r#"{"alg":"none","#)),
        ("alg twice, escaped", Part::Header, put(&header, r#"{"\u0061lg":"RS256","#)),
        ("kid twice", Part::Header, put(&header, r#"{"kid":"A","#)),
        ("nested twice", Part::Header, put(&header, r#"{"x":{"a":1,"a":1},"#)),
        ("header with BOM", Part::Header, format!("\u{feff}{header}").into_bytes()),
        ("header in UTF-16", Part::Header, utf16(&header)),
        ("header in Latin-1", Part::Header, latin1(&header)),
        ("deep header", Part::Header, put(&header, &deep(2000))),
        ("header with a tail", Part::Header, format!("{header}{{}}").into_bytes()),
        ("a list for a header", Part::Header, format!("[{header}]").into_bytes()),
        (
            "tenant twice",
            Part::Claims,
            put(&claims, r#"{"http://schemes.superoffice.net/identity/ctx":"Cust1","#),
        ),
        ("exp twice", Part::Claims, put(&claims, r#"{"exp":1,"#)),
        ("iss twice, escaped", Part::Claims, put(&claims, r#"{"i\u0073s":"x","#)),
        ("claims with BOM", Part::Claims, format!("\u{feff}{claims}").into_bytes()),
        ("claims in UTF-16", Part::Claims, utf16(&claims)),
        ("claims in Latin-1", Part::Claims, latin1(&claims)),
        ("deep claims", Part::Claims, put(&claims, &deep(2000))),
        ("NaN", Part::Claims, put(&claims, r#"{"x":NaN,"#)),
        ("an infinite number", Part::Claims, put(&claims, r#"{"x":1e999,"#)),
    ];
    for (case, which, bytes) in cases {
        let (header, claims) = if which == Part::Header {
            (part(&bytes), part(&claims))
        } else {
            (part(&header), part(&bytes))
        };
        let token = format!("{header}.{claims}.{}", part([1; 256]));
        env.refuses_token(case, token, Malformed).await;
    }
    env.still_works().await;
}

/// The part of a token that is altered.
#[derive(PartialEq)]
enum Part {
    Header,
    Claims,
}
