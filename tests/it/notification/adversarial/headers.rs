//! Headers that would weaken the check: other algorithms, keys sent along, names that are paths.

use std::io::ErrorKind;

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tower_superoffice::{notification::Refusal, token::TokenError};

use super::env::{AdversarialEnv, part};

pub(crate) const CASES: usize = HMAC + ALGORITHMS + MEMBERS + IDS + EMBEDDED;
const HMAC: usize = 24;
const ALGORITHMS: usize = 27;
const MEMBERS: usize = 14;
const IDS: usize = 22;
const EMBEDDED: usize = 4;

/// The bytes that libraries took for an HMAC secret where they should have seen a public key.
fn secrets(env: &AdversarialEnv) -> [Vec<u8>; 8] {
    let pem = env.simulator.certificate_pem();
    let der = env.certificate_der();
    let modulus = env.modulus();
    let raw = base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(&modulus).unwrap();
    let spki = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n",
        STANDARD.encode(&raw)
    );
    [
        pem.clone().into_bytes(),
        pem.trim_end().as_bytes().to_vec(),
        STANDARD.encode(&der).into_bytes(),
        der,
        modulus.into_bytes(),
        raw,
        spki.into_bytes(),
        Vec::new(),
    ]
}

#[tokio::test]
async fn hmac_with_the_public_key_is_refused() {
    let env = AdversarialEnv::new().await;
    let mut cases = 0;
    for alg in ["HS256", "HS384", "HS512"] {
        for (index, secret) in secrets(&env).iter().enumerate() {
            let token = env.hmac(alg, secret);
            env.refuses_token(&format!("{alg} {index}"), token, TokenError::Algorithm).await;
            cases += 1;
        }
    }
    assert_eq!(cases, HMAC);
    // The same HMAC under the right name of the algorithm is just a wrong signature.
    let token = env.hmac("RS256", &secrets(&env)[0]);
    env.refuses_token("an HMAC called RS256", token, TokenError::Signature).await;
    env.still_works().await;
}

#[tokio::test]
async fn other_algorithm_is_refused() {
    let env = AdversarialEnv::new().await;
    let algorithms: [Value; ALGORITHMS] = [
        json!("none"),
        json!("None"),
        json!("NONE"),
        json!("nOnE"),
        json!("none "),
        json!("\u{ff4e}one"),
        json!("n\u{0}one"),
        json!(""),
        json!("rs256"),
        json!("RS256 "),
        json!("RS256\u{0}"),
        json!("\u{feff}RS256"),
        json!("RS384"),
        json!("RS512"),
        json!("PS256"),
        json!("PS384"),
        json!("PS512"),
        json!("ES256"),
        json!("ES512"),
        json!("EdDSA"),
        json!("RSA-OAEP"),
        json!(null),
        json!(true),
        json!(256),
        json!(["RS256"]),
        json!({"alg": "RS256"}),
        json!("A".repeat(3000)),
    ];
    for alg in algorithms {
        // Signed well: only the name is wrong.
        let body = env.resume().header("alg", alg.clone()).body();
        env.refuses(&alg.to_string(), body, Refusal::Token(TokenError::Algorithm)).await;
        // And with a signature of one byte, since an empty one is no token at all.
        let header = part(json!({"alg": alg}).to_string());
        let token = format!("{header}.{}.AA", part(env.texts().1));
        env.refuses_token(&alg.to_string(), token, TokenError::Algorithm).await;
    }
    let unsigned =
        |end: &str| format!("{}.{}{end}", part(r#"{"alg":"none"}"#), part(env.texts().1));
    env.refuses_token("none without a signature", unsigned("."), TokenError::Malformed).await;
    env.refuses_token("none in two parts", unsigned(""), TokenError::Malformed).await;
    let body = env.resume().without_header("alg").body();
    env.refuses("no alg", body, Refusal::Token(TokenError::Algorithm)).await;
    env.still_works().await;
}

#[tokio::test]
async fn unknown_extension_or_type_is_refused() {
    use TokenError::{Critical, Type};
    let env = AdversarialEnv::new().await;
    let members: [(&str, Value, TokenError); MEMBERS] = [
        ("crit", json!(["exp"]), Critical),
        ("crit", json!(["b64"]), Critical),
        ("crit", json!([]), Critical),
        ("crit", json!(null), Critical),
        ("crit", json!(false), Critical),
        ("crit", json!("exp"), Critical),
        ("crit", json!({}), Critical),
        ("b64", json!(false), Critical),
        ("b64", json!(true), Critical),
        ("typ", json!("at+jwt"), Type),
        ("typ", json!("JOSE"), Type),
        ("typ", json!(null), Type),
        ("typ", json!(1), Type),
        ("typ", json!(["JWT"]), Type),
    ];
    for (name, value, error) in members {
        let body = env.resume().header(name, value.clone()).body();
        env.refuses(&format!("{name} {value}"), body, Refusal::Token(error)).await;
    }
    env.still_works().await;
}

#[tokio::test]
async fn crafted_key_id_selects_no_key() {
    use TokenError::{Malformed, UnknownKey};
    let env = AdversarialEnv::new().await;
    let ids: [(Value, TokenError); IDS] = [
        (json!("../../../../etc/passwd"), UnknownKey),
        (json!("/dev/null"), UnknownKey),
        (json!("file:///dev/null"), UnknownKey),
        (json!("http://127.0.0.1:1/keys"), UnknownKey),
        (json!("'OR'1'='1"), UnknownKey),
        (json!("x';DROP/**/TABLE/**/keys;--"), UnknownKey),
        (json!("$(id)"), UnknownKey),
        (json!("{{7*7}}"), UnknownKey),
        (json!("%s%n"), UnknownKey),
        (json!("*"), UnknownKey),
        (json!("k".repeat(128)), UnknownKey),
        (json!("k".repeat(129)), Malformed),
        (json!(""), Malformed),
        (json!("a b"), Malformed),
        (json!("a\r\nX: y"), Malformed),
        (json!("a\u{0}b"), Malformed),
        (json!("\u{1b}[2J"), Malformed),
        (json!("\u{e9}"), Malformed),
        (json!(null), Malformed),
        (json!(1), Malformed),
        (json!(["a"]), Malformed),
        (json!({"a": 1}), Malformed),
    ];
    for (kid, error) in ids {
        for name in ["kid", "x5t"] {
            let other = if name == "kid" { "x5t" } else { "kid" };
            let body = env.resume().without_header(other).header(name, kid.clone()).body();
            env.refuses(&format!("{name} {kid}"), body, Refusal::Token(error)).await;
        }
    }
    env.still_works().await;
}

#[tokio::test]
async fn embedded_key_is_never_used() {
    let env = AdversarialEnv::new().await;
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/keys", silent.local_addr().unwrap());
    let forged = serde_json::from_str::<Value>(
        &tower_superoffice::simulator::Simulator::start().await.unwrap().key_set(),
    )
    .unwrap();
    let embedded: [(&str, Value); EMBEDDED] = [
        ("jwk", forged["keys"][0].clone()),
        ("jku", json!(url)),
        ("x5u", json!(url)),
        ("x5c", forged["keys"][0]["x5c"].clone()),
    ];
    let mut all = env.resume().forged();
    for (name, value) in embedded {
        let body = env.resume().forged().header(name, value.clone()).body();
        env.refuses(name, body, Refusal::Token(TokenError::Signature)).await;
        let nameless = env.resume().forged().without_header("kid").without_header("x5t");
        let body = nameless.header(name, value.clone()).body();
        env.refuses(name, body, Refusal::Token(TokenError::Signature)).await;
        all = all.header(name, value);
    }
    env.refuses("all at once", all.body(), Refusal::Token(TokenError::Signature)).await;
    env.still_works().await;
    // A connection that had been made would be waiting here.
    let silent = silent.into_std().unwrap();
    assert_eq!(silent.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
}
