//! Certificate, key set and signatures, as other programs read them.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use harness::{Directory, openssl};
use serde_json::{Value, json};
use tower_superoffice::{ChangeType, simulator::Simulator};

use super::{get_json, key_url, tenant};

/// Runs openssl and returns what it prints, on stdout and then on stderr; `None` without openssl.
fn openssl_prints(arguments: &[&str], input: &[u8]) -> Option<String> {
    let output = openssl(arguments, input)?;
    Some(String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

/// Writes a file into `directory` and returns its path.
fn file(directory: &Directory, name: &str, content: &[u8]) -> String {
    let path = directory.join(name);
    std::fs::write(&path, content).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn openssl_verifies_the_version_1_certificate() {
    let simulator = Simulator::start().await.unwrap();
    let certificate = simulator.certificate_pem();
    let Some(text) =
        openssl_prints(&["x509", "-noout", "-text", "-fingerprint"], certificate.as_bytes())
    else {
        return;
    };
    assert!(text.contains("Version: 1 (0x0)"), "{text}");
    assert!(text.contains("Public-Key: (2048 bit)"), "{text}");
    assert!(text.contains("sha256WithRSAEncryption"), "{text}");
    assert!(text.contains("2114 GMT"), "{text}");
    assert!(!text.contains("extensions"), "{text}");

    let keys = get_json(&key_url(&simulator)).await;
    let fingerprint = text.split("Fingerprint=").nth(1).unwrap().trim().replace(':', "");
    assert_eq!(keys["keys"][0]["kid"], fingerprint);

    let directory = Directory::new();
    let file = file(&directory, "certificate.pem", certificate.as_bytes());
    let Some(verification) =
        openssl_prints(&["verify", "-check_ss_sig", "-CAfile", &file, &file], b"")
    else {
        return;
    };
    assert!(verification.contains(": OK"), "{verification}");
}

#[tokio::test]
async fn key_set_has_the_members_of_superoffice() {
    let simulator = Simulator::start().await.unwrap();
    let keys = get_json(&key_url(&simulator)).await;
    assert_eq!(keys, serde_json::from_str::<Value>(&simulator.key_set()).unwrap());
    let key = &keys["keys"][0];
    for (member, value) in [
        ("kty", json!("RSA")),
        ("use", json!("sig")),
        ("alg", json!("RS256")),
        ("e", json!("AQAB")),
        ("key_ops", json!([])),
        ("KeySize", json!(2048)),
        ("HasPrivateKey", json!(false)),
    ] {
        assert_eq!(key[member], value, "{member}");
    }
    let hex = key["kid"].as_str().unwrap();
    let x5t = URL_SAFE_NO_PAD.decode(key["x5t"].as_str().unwrap()).unwrap();
    assert_eq!(hex, x5t.iter().map(|byte| format!("{byte:02X}")).collect::<String>());
    assert_eq!(URL_SAFE_NO_PAD.decode(key["n"].as_str().unwrap()).unwrap().len(), 256);
    let pem = simulator.certificate_pem();
    let base64: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    assert_eq!(key["x5c"], json!([base64]));

    let discovery = simulator.environment().origin() + "/login/.well-known/openid-configuration";
    assert_eq!(get_json(&discovery).await["jwks_uri"], key_url(&simulator));
    assert_eq!(simulator.key_requests(), 1);
}

#[tokio::test]
async fn other_libraries_verify_the_token_and_refuse_a_forged_one() {
    let simulator = Simulator::builder().application_id("my-app").start().await.unwrap();
    let notification = simulator.notification(ChangeType::Upgrade, &tenant());
    let (genuine, forged) = (notification.token(), notification.forged().token());

    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_str(&simulator.key_set()).unwrap();
    let key = jsonwebtoken::DecodingKey::from_jwk(&keys.keys[0]).unwrap();
    let mut validation = jsonwebtoken::Validation::new(jsonwebtoken::Algorithm::RS256);
    validation.set_audience(&["my-app"]);
    validation.set_issuer(&[simulator.environment().origin()]);
    validation.validate_nbf = true;
    assert!(jsonwebtoken::decode::<Value>(&genuine, &key, &validation).is_ok());
    assert!(jsonwebtoken::decode::<Value>(&forged, &key, &validation).is_err());

    let header = |token: &str| token.split('.').next().unwrap().to_owned();
    assert_eq!(header(&genuine), header(&forged), "a forger claims the true key id");
    let Some(public) =
        openssl_prints(&["x509", "-pubkey", "-noout"], simulator.certificate_pem().as_bytes())
    else {
        return;
    };
    let directory = Directory::new();
    let public = file(&directory, "public.pem", public.as_bytes());
    for (token, verification) in [(genuine, "Verified OK"), (forged, "Verification failure")] {
        let (message, signature) = token.rsplit_once('.').unwrap();
        let signature = file(&directory, "signature", &URL_SAFE_NO_PAD.decode(signature).unwrap());
        let arguments = ["dgst", "-sha256", "-verify", &public, "-signature", &signature];
        let Some(printed) = openssl_prints(&arguments, message.as_bytes()) else { return };
        assert!(printed.contains(verification), "{printed}");
    }
}

#[tokio::test]
async fn rotation_keeps_the_old_key_until_retired() {
    let simulator = Simulator::start().await.unwrap();
    let ids = async || {
        let keys = get_json(&key_url(&simulator)).await;
        let ids = keys["keys"].as_array().unwrap().iter().map(|key| key["kid"].clone());
        ids.collect::<Vec<_>>()
    };
    let first = ids().await;
    simulator.rotate_key().await.unwrap();
    let both = ids().await;
    assert_eq!((both.len(), &both[1]), (2, &first[0]));
    let token = simulator.notification(ChangeType::Resume, &tenant()).token();
    assert_eq!(json!(jsonwebtoken::decode_header(&token).unwrap().kid), both[0]);
    simulator.retire_old_keys();
    assert_eq!(ids().await, both[..1]);
}
