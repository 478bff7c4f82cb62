//! The key that signs notification tokens, and how it is published.

use std::{
    fmt,
    sync::{Arc, LazyLock},
};

use aws_lc_rs::{
    digest::{SHA1_FOR_LEGACY_USE_ONLY, digest},
    rand::SystemRandom,
    rsa::{KeyPair, KeySize},
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde_json::{Value, json};
use spki::der::{self, AnyRef, Decode, asn1::UintRef};

use super::{StartError, certificate::certificate};
use crate::hex;

/// An RSA-2048 key with its certificate.
pub(super) struct SigningKey {
    pair: KeyPair,
    certificate: Vec<u8>,
    thumbprint: Vec<u8>,
    /// The public key's `n` and `e`, base64url.
    modulus: String,
    exponent: String,
}

/// The key that signs [`forged`](super::Notification::forged) notifications.
///
/// There is one per process, made when first needed: making a key takes a tenth of a second.
static FORGER: LazyLock<Option<Arc<SigningKey>>> =
    LazyLock::new(|| SigningKey::generate().ok().map(Arc::new));

/// Returns a key that no simulator publishes; `None` when the system could not make one.
pub(super) fn forger() -> Option<Arc<SigningKey>> {
    FORGER.clone()
}

impl SigningKey {
    /// Makes a new key. Takes about a tenth of a second of computing.
    pub(super) fn generate() -> Result<Self, StartError> {
        let pair = KeyPair::generate(KeySize::Rsa2048).map_err(|_| StartError::key())?;
        let certificate = certificate(&pair)?;
        let thumbprint = digest(&SHA1_FOR_LEGACY_USE_ONLY, &certificate).as_ref().to_vec();
        let (modulus, exponent) = parse_components(pair.public_key().as_ref())?;
        Ok(Self { pair, certificate, thumbprint, modulus, exponent })
    }

    /// Returns the SHA-1 of the certificate in upper-case hex: SuperOffice's `kid`.
    pub(super) fn hex_thumbprint(&self) -> String {
        hex::upper(&self.thumbprint)
    }

    /// Returns the SHA-1 of the certificate in base64url: SuperOffice's `x5t`.
    pub(super) fn base64_thumbprint(&self) -> String {
        URL_SAFE_NO_PAD.encode(&self.thumbprint)
    }

    /// Returns the certificate in PEM: 64 characters a line (RFC 7468).
    pub(super) fn certificate_pem(&self) -> String {
        let mut pem = String::from("-----BEGIN CERTIFICATE-----\n");
        // 48 bytes make 64 characters, and only the last line can be padded.
        for line in self.certificate.chunks(48) {
            STANDARD.encode_string(line, &mut pem);
            pem.push('\n');
        }
        pem.push_str("-----END CERTIFICATE-----\n");
        pem
    }

    /// Returns the key as a member of a JSON Web Key Set, with every member that SuperOffice sends.
    pub(super) fn jwk(&self) -> Value {
        json!({
            "kty": "RSA",
            "use": "sig",
            "kid": self.hex_thumbprint(),
            "x5t": self.base64_thumbprint(),
            "n": self.modulus,
            "e": self.exponent,
            "x5c": [STANDARD.encode(&self.certificate)],
            "alg": "RS256",
            "key_ops": [],
            "KeySize": 2048,
            "HasPrivateKey": false,
        })
    }

    /// Returns the RS256 signature of `message`; `None` when the system could not sign.
    pub(super) fn sign(&self, message: &[u8]) -> Option<Vec<u8>> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message, &mut signature).ok()?;
        Some(signature)
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.hex_thumbprint()).finish()
    }
}

/// Parses `n` and `e` of a PKCS#1 public key.
fn parse_components(pkcs1: &[u8]) -> Result<(String, String), StartError> {
    let (modulus, exponent) = AnyRef::from_der(pkcs1)?.sequence(|reader| {
        Ok::<_, der::Error>((UintRef::decode(reader)?, UintRef::decode(reader)?))
    })?;
    Ok((URL_SAFE_NO_PAD.encode(modulus.as_bytes()), URL_SAFE_NO_PAD.encode(exponent.as_bytes())))
}
