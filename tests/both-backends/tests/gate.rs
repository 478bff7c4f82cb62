//! The gate's responses don't depend on jsonwebtoken's process default.

use std::{
    panic,
    time::{Duration, UNIX_EPOCH},
};

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Full;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use tower::ServiceExt;
use tower_superoffice::{
    Environment, TenantGate, TenantId,
    notification::Refusal,
    token::{SigningKeys, TokenError},
};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");

fn fixture(name: &str) -> String {
    std::fs::read_to_string(format!("{FIXTURES}/{name}")).unwrap()
}

async fn gate(keys: SigningKeys) -> TenantGate {
    TenantGate::builder(Environment::Production)
        .audience("app")
        .signing_keys(keys)
        // When the fixture's token was valid.
        .clock(|| UNIX_EPOCH + Duration::from_secs(1_700_000_000))
        .state_api(false)
        .build()
        .await
        .unwrap()
}

async fn post(gate: &TenantGate, token: &str) -> (StatusCode, Option<Refusal>) {
    let body = format!(r#"{{"ChangeType":2,"ContextIdentifier":"Cust12345","Token":"{token}"}}"#);
    let request = Request::post("/").body(Full::new(Bytes::from(body))).unwrap();
    let response = gate.notification_service().oneshot(request).await.unwrap();
    (response.status(), response.extensions().get().copied())
}

#[tokio::test]
async fn the_gate_verifies_whatever_the_default_does() {
    let token = fixture("token.jwt");
    let set: serde_json::Value = serde_json::from_str(&fixture("jwks.json")).unwrap();
    let (n, e) = (set["keys"][0]["n"].as_str().unwrap(), set["keys"][0]["e"].as_str().unwrap());
    let key = DecodingKey::from_rsa_components(n, e).unwrap();
    let mut validation = Validation::new(Algorithm::RS256);
    validation.validate_exp = false;
    validation.validate_aud = false;

    // First, so that the default is chosen here and not by the gate.
    let decoded = panic::catch_unwind(|| {
        jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).is_ok()
    });
    assert!(
        decoded.is_err(),
        "with both back ends there is no default; if now there is, see which"
    );

    let gate = gate(SigningKeys::from_file(format!("{FIXTURES}/v1-sha1.crt")).unwrap()).await;
    let tenant = TenantId::new("Cust12345").unwrap();
    assert!(gate.check(&tenant).is_ok());

    let (signed, _) = token.rsplit_once('.').unwrap();
    let unsigned = format!("{signed}.AAAA");
    let forged = Some(Refusal::Token(TokenError::Signature));
    assert_eq!(post(&gate, &unsigned).await, (StatusCode::UNAUTHORIZED, forged));
    assert!(gate.check(&tenant).is_ok());

    assert_eq!(post(&gate, &token).await, (StatusCode::NO_CONTENT, None));
    assert!(gate.check(&tenant).is_err());

    // Nor has the gate chosen a default for the others.
    jsonwebtoken::crypto::rust_crypto::DEFAULT_PROVIDER.install_default().unwrap_or_else(|_| {
        // `decode` above may have settled it; then it is the one that panics.
        let again = panic::catch_unwind(|| {
            jsonwebtoken::decode::<serde_json::Value>(&token, &key, &validation).is_ok()
        });
        assert!(again.is_err(), "a default is installed");
    });
}

/// Whole numbers are shown as such in every build; a fraction is shown as a map that holds its
/// text.
#[tokio::test]
async fn a_number_that_is_kept_as_text_is_a_number() {
    let pair = KeyPair::generate(KeySize::Rsa2048).unwrap();
    let der = AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap();
    let key = STANDARD.encode(der.as_ref());
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{key}\n-----END PUBLIC KEY-----");
    let gate = gate(SigningKeys::from_pem(pem).unwrap()).await;

    let claims = r#"{"iss":"SuperOffice AS","aud":"app","exp":1700000300.5,
        "http://schemes.superoffice.net/identity/ctx":"Cust12345"}"#;
    let part = |text: &str| URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", part(r#"{"alg":"RS256"}"#), part(claims));
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), signed.as_bytes(), &mut signature).unwrap();
    let token = format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature));
    assert_eq!(post(&gate, &token).await, (StatusCode::NO_CONTENT, None));
}
