//! RSA keys and tokens for tests.

use std::sync::LazyLock;

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{self, KeyPair as _},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};

pub(crate) const NOW: i64 = 1_700_000_000;

/// Two keys made once for all tests of the process.
pub(crate) static ONE: LazyLock<Signer> = LazyLock::new(Signer::generate);
pub(crate) static TWO: LazyLock<Signer> = LazyLock::new(Signer::generate);

pub(crate) struct Signer(KeyPair);

pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

impl Signer {
    pub(crate) fn generate() -> Self {
        Self(KeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    /// A compact token over `header` and `claims` as they are.
    pub(crate) fn token(&self, header: &str, claims: &str) -> String {
        self.sign(&format!("{}.{}", base64url(header), base64url(claims)))
    }

    pub(crate) fn sign(&self, signed: &str) -> String {
        let mut signature = vec![0; self.0.public_modulus_len()];
        let rng = SystemRandom::new();
        self.0.sign(&signature::RSA_PKCS1_SHA256, &rng, signed.as_bytes(), &mut signature).unwrap();
        format!("{signed}.{}", base64url(signature))
    }

    /// A good token for `tenant` that names `kid`.
    pub(crate) fn good(&self, kid: &str, tenant: &str) -> String {
        self.token(&format!(r#"{{"alg":"RS256","typ":"JWT","kid":"{kid}"}}"#), &claims(tenant))
    }

    /// The SubjectPublicKeyInfo.
    pub(crate) fn der(&self) -> Vec<u8> {
        AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(self.0.public_key())
            .unwrap()
            .as_ref()
            .to_vec()
    }

    pub(crate) fn pem(&self) -> String {
        pem("PUBLIC KEY", &self.der())
    }

    /// One member of a key set; `rest` adds to it.
    pub(crate) fn jwk(&self, kid: &str, rest: &str) -> String {
        use spki::der::Decode;
        let der = self.der();
        let info = spki::SubjectPublicKeyInfoRef::from_der(&der).unwrap();
        let (n, e) =
            super::certificate::parse_rsa_numbers(info.subject_public_key.as_bytes().unwrap())
                .unwrap();
        let (n, e) = (base64url(n.as_bytes()), base64url(e.as_bytes()));
        format!(r#"{{"kty":"RSA","kid":"{kid}","n":"{n}","e":"{e}"{rest}}}"#)
    }
}

pub(crate) fn pem(label: &str, der: &[u8]) -> String {
    let body = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        body.as_bytes().chunks(64).map(|line| str::from_utf8(line).unwrap()).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

pub(crate) fn key_set(keys: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// Good claims at [`NOW`].
pub(crate) fn claims(tenant: &str) -> String {
    format!(
        r#"{{"iss":"SuperOffice AS","aud":"spn:app","nbf":{},"exp":{},"http://schemes.superoffice.net/identity/ctx":"{tenant}"}}"#,
        NOW - 60,
        NOW + 300
    )
}
