//! The forms in which keys are handed out, read from the fixtures that openssl made.

use std::{
    path::{Path, PathBuf},
    time::{Duration, UNIX_EPOCH},
};

use super::{testing::*, *};
use crate::clock::Clock;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

fn read(name: &str) -> String {
    std::fs::read_to_string(fixture(name)).unwrap()
}

fn verify(keys: SigningKeys, token: &str) -> Result<Verified, VerifyError> {
    let now = Duration::from_secs(NOW.cast_unsigned());
    let (verifier, _) = Verifier::new(VerifierConfig {
        issuers: vec!["SuperOffice AS".to_owned()],
        audience: Audiences::one_of(["app"]).unwrap(),
        leeway: Leeway::new(Duration::from_secs(60)).unwrap(),
        login_tokens: false,
        keys,
        remote: None,
        clock: Clock::new(move || UNIX_EPOCH + now),
    });
    match verifier.verify(token) {
        Verification::Done(answer) => answer,
        Verification::NeedsKeys(_) => panic!("there is nowhere to fetch keys from"),
    }
}

#[test]
fn every_form_of_the_key_verifies_what_openssl_signed() {
    let token = read("token.jwt");
    for name in ["v1-sha1.crt", "v1-sha1.der", "public.pem", "jwks.json"] {
        let keys = SigningKeys::from_file(fixture(name)).unwrap();
        assert_eq!(keys.len(), 1, "{name}");
        let verified = verify(keys, &token).unwrap();
        assert_eq!(
            (verified.tenant.as_str(), verified.token_time),
            ("Cust12345", NOW - 60),
            "{name}"
        );
    }
    // Another certificate around the same key has another name.
    let v3 = SigningKeys::from_file(fixture("v3.crt")).unwrap();
    assert_eq!(verify(v3, &token), Err(TokenError::UnknownKey.into()));
}

#[test]
fn a_certificate_gets_the_names_that_its_key_set_gives() {
    let certificate = SigningKeys::from_pem(read("v1-sha1.crt")).unwrap();
    let set = SigningKeys::from_key_set(read("jwks.json")).unwrap();
    assert_eq!(certificate.as_slice(), set.as_slice());
    let der =
        SigningKeys::from_certificate_der(std::fs::read(fixture("v1-sha1.der")).unwrap()).unwrap();
    assert_eq!(der.as_slice(), set.as_slice());
}

#[test]
fn pem_may_have_several_blocks_and_text_around_them() {
    let all =
        ["subject=/CN=x\n", &read("v1-sha1.crt"), "\n", &read("public.pem"), "-- \nbye"].concat();
    assert_eq!(SigningKeys::from_pem(&all).unwrap().len(), 2);
    assert_eq!(SigningKeys::from_pem(all.replace('\n', "\r\n")).unwrap().len(), 2);
    let both =
        SigningKeys::from_pem(ONE.pem()).unwrap().and(SigningKeys::from_pem(TWO.pem()).unwrap());
    assert_eq!(both.len(), 2);
}

#[test]
fn trusted_certificate_is_read_without_its_uses() {
    let der = std::fs::read(fixture("v1-sha1.der")).unwrap();
    let plain = SigningKeys::from_certificate_der(der.clone()).unwrap();
    // `openssl x509 -trustout -addtrust serverAuth` adds such a sequence.
    let uses = [0x30, 0x0c, 0x30, 0x0a, 0x06, 0x08, 0x2b, 6, 1, 5, 5, 7, 3, 1];
    let trusted = pem("TRUSTED CERTIFICATE", &[&der[..], &uses].concat());
    assert_eq!(SigningKeys::from_pem(trusted).unwrap().as_slice(), plain.as_slice());
    let beyond = pem("CERTIFICATE", &[&der[..], &uses].concat());
    assert!(SigningKeys::from_pem(beyond).is_err());
}

#[test]
fn unusable_files_are_refused_by_name_and_reason() {
    for (name, reason) in [
        ("weak.crt", "its key has 1024 bits; give one of at least 2048"),
        ("ec.crt", "its key is not RSA; give SuperOffice's RSA key"),
        ("README.md", "it is not an X.509 certificate; give one in PEM or DER, or a key set"),
    ] {
        let error = SigningKeys::from_file(fixture(name)).unwrap_err().to_string();
        assert!(error.contains(name) && error.ends_with(reason), "{error}");
    }
    let error = SigningKeys::from_file(fixture("none.crt")).unwrap_err();
    assert!(matches!(&error, KeyError::Read { path, .. } if path.ends_with("none.crt")), "{error}");
    assert!(
        matches!(SigningKeys::from_file("/dev/zero"), Err(KeyError::File { fault, .. }) if matches!(*fault, KeyError::TooLong))
    );
}

#[test]
fn damaged_pem_is_refused() {
    let good = read("v1-sha1.crt");
    let half = &good[..good.len() / 2];
    let private = pem("PRIVATE KEY", b"secret");
    let other = pem("CERTIFICATE REQUEST", b"x");
    for (text, expected) in [
        (half, "Pem"),
        (&good.replace("END CERTIFICATE", "END PUBLIC KEY"), "Pem"),
        (&good.replace("MII", "M*I"), "Pem"),
        (&good.replace("END", "BEGIN"), "Pem"),
        (&good.replace("CERTIFICATE", "PUBLIC KEY"), "NotAKey"),
        (&read("public.pem").replace("PUBLIC KEY", "CERTIFICATE"), "Certificate"),
        (&[good.clone(), private].concat(), "Private"),
        (&[good.clone(), other].concat(), "Block"),
        ("", "NoKey"),
        ("no block", "NoKey"),
    ] {
        let error = SigningKeys::from_pem(text).unwrap_err();
        assert_eq!(format!("{error:?}"), expected);
        assert!(!error.to_string().contains("secret"));
    }
}

#[test]
fn no_cut_or_changed_certificate_panics() {
    let der = std::fs::read(fixture("v1-sha1.der")).unwrap();
    for end in 0..der.len() {
        assert!(SigningKeys::from_certificate_der(&der[..end]).is_err(), "{end}");
    }
    for index in 0..der.len() {
        let mut changed = der.clone();
        changed[index] ^= 0xff;
        drop(SigningKeys::from_certificate_der(&changed));
    }
    assert!(SigningKeys::from_certificate_der([der, vec![0]].concat()).is_err(), "trailing bytes");
}

#[test]
fn one_bad_key_does_not_spoil_the_set() {
    let good = ONE.jwk("A", "");
    for bad in [
        "null".to_owned(),
        "1".to_owned(),
        "{}".to_owned(),
        r#"{"kty":"oct","k":"AAAA"}"#.to_owned(),
        r#"{"kty":"RSA"}"#.to_owned(),
        r#"{"kty":"RSA","n":"AQAB","e":"AQAB"}"#.to_owned(),
        TWO.jwk("B", r#","use":"enc""#),
        TWO.jwk("B", r#","use":1"#),
        TWO.jwk("B", r#","alg":"RS512""#),
        TWO.jwk("B", r#","x5t":[]"#),
        TWO.jwk(&"k".repeat(129), ""),
        TWO.jwk("", ""),
        TWO.jwk("B", "").replace(r#""n":""#, r#""n":"=="#),
        TWO.jwk("B", "").replace("AQAB", "AA"),
        TWO.jwk("B", "").replace("RSA", "rsa"),
    ] {
        let keys = SigningKeys::from_key_set(key_set(&[bad.clone(), good.clone()])).unwrap();
        assert_eq!(
            format!("{keys:?}"),
            r#"SigningKeys([Key { id: Some("A"), bits: 2048 }])"#,
            "{bad}"
        );
        assert!(SigningKeys::from_key_set(key_set(&[bad])).is_err());
    }
    let full =
        TWO.jwk("B", r#","use":"sig","alg":"RS256","x5t":null,"key_ops":[],"KeySize":1,"d":"x""#);
    assert_eq!(SigningKeys::from_key_set(key_set(&[full, good])).unwrap().len(), 2);
}

#[test]
fn what_is_no_key_set_is_refused() {
    for text in [
        "",
        "{}",
        "[]",
        "null",
        r#"{"keys":{}}"#,
        r#"{"keys":null}"#,
        "<html></html>",
        r#"{"keys":[],"keys":[]}"#,
    ] {
        let error = SigningKeys::from_key_set(text).unwrap_err();
        assert!(matches!(error, KeyError::KeySet), "{text}: {error}");
    }
    assert!(matches!(SigningKeys::from_key_set(r#"{"keys":[]}"#), Err(KeyError::NoKey)));
    let many: Vec<String> = (0..100).map(|n| ONE.jwk(&format!("k{n}"), "")).collect();
    assert_eq!(SigningKeys::from_key_set(key_set(&many)).unwrap().len(), 64);
}
