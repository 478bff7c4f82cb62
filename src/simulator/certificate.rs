//! A self-made X.509 certificate of version 1, the kind SuperOffice publishes.
//!
//! SuperOffice's own certificates are of version 1, carry no extension, and run to 2113. A version
//! 1 certificate can't be made with the usual certificate generators, so its few fields are put
//! together here. One thing differs: SuperOffice's are signed with SHA-1, this one with SHA-256,
//! because AWS-LC verifies SHA-1 signatures but makes none. Nothing may verify that signature
//! anyway: the key inside is pinned, not the chain.

use aws_lc_rs::{
    encoding::{AsDer, PublicKeyX509Der},
    rand::SystemRandom,
    rsa::KeyPair,
    signature::{KeyPair as _, RSA_PKCS1_SHA256},
};
use spki::{
    AlgorithmIdentifierRef,
    der::{
        self, Any, AnyRef, DateTime, Encode, Tag,
        asn1::{BitString, GeneralizedTime, ObjectIdentifier, UintRef, UtcTime, Utf8StringRef},
    },
};

use super::StartError;

/// RFC 4055: sha256WithRSAEncryption.
const SHA256_WITH_RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.11");

/// X.520: commonName.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Makes the certificate of `pair`, as DER.
pub(super) fn certificate(pair: &KeyPair) -> Result<Vec<u8>, StartError> {
    let signed = to_be_signed(pair)?;
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), &signed, &mut signature)
        .map_err(|_| StartError::key())?;
    sequence(&[signed, algorithm()?, BitString::from_bytes(&signature)?.to_der()?])
}

/// Everything the signature covers. The version is left out: that is how version 1 is written.
fn to_be_signed(pair: &KeyPair) -> Result<Vec<u8>, StartError> {
    let name = name("SuperOffice Simulator")?;
    let public: PublicKeyX509Der<'_> = pair.public_key().as_der().map_err(|_| StartError::key())?;
    sequence(&[
        UintRef::new(&serial())?.to_der()?,
        algorithm()?,
        name.clone(),
        validity()?,
        name,
        public.as_ref().to_vec(),
    ])
}

/// A positive serial number, so that no two simulators' certificates share a thumbprint by chance.
fn serial() -> [u8; 8] {
    (fastrand::u64(..) >> 1 | 1).to_be_bytes()
}

/// A distinguished name of one part: the common name.
fn name(common_name: &str) -> Result<Vec<u8>, StartError> {
    let part = sequence(&[COMMON_NAME.to_der()?, Utf8StringRef::new(common_name)?.to_der()?])?;
    sequence(&[Any::new(Tag::Set, part)?.to_der()?])
}

fn algorithm() -> der::Result<Vec<u8>> {
    AlgorithmIdentifierRef { oid: SHA256_WITH_RSA, parameters: Some(AnyRef::NULL) }.to_der()
}

/// A hundred years, like SuperOffice's.
fn validity() -> Result<Vec<u8>, StartError> {
    let from = UtcTime::from_date_time(DateTime::new(2014, 1, 1, 0, 0, 0)?)?;
    let until = GeneralizedTime::from_date_time(DateTime::new(2114, 1, 1, 0, 0, 0)?);
    sequence(&[from.to_der()?, until.to_der()?])
}

fn sequence(parts: &[Vec<u8>]) -> Result<Vec<u8>, StartError> {
    Ok(Any::new(Tag::Sequence, parts.concat())?.to_der()?)
}
