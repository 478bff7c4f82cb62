//! RSA keys from X.509 certificates and public keys, PEM and DER.
//!
//! A certificate is nothing but the container of a key here. SuperOffice's are of version 1, signed
//! with SHA-1, without extensions, and all environments share one root: validating the chain would
//! refuse them all, or accept a development token in production. So the key is extracted and
//! pinned.

use base64::{Engine, engine::general_purpose::STANDARD};
use spki::{
    SubjectPublicKeyInfoRef,
    der::{
        self, Decode, Reader, SliceReader, Tag, TagNumber, Tagged,
        asn1::{AnyRef, ObjectIdentifier, UintRef},
    },
};

use super::{KeyError, key::Key, key_id::KeyIds};

const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// Parses the keys of every `CERTIFICATE` and `PUBLIC KEY` block, in their order.
pub(super) fn from_pem(text: &[u8]) -> Result<Vec<Key>, KeyError> {
    let text = str::from_utf8(text).map_err(|_| KeyError::Pem)?;
    let keys = parse_pem_blocks(text)?
        .into_iter()
        .map(|(label, der)| match label {
            "CERTIFICATE" | "X509 CERTIFICATE" => from_certificate(&der),
            "TRUSTED CERTIFICATE" => from_certificate(without_trust(&der)?),
            "PUBLIC KEY" => from_public_key(&der, KeyIds::default()),
            label if label.ends_with("PRIVATE KEY") => Err(KeyError::Private),
            _ => Err(KeyError::Block),
        })
        .collect::<Result<Vec<_>, _>>()?;
    if keys.is_empty() { Err(KeyError::NoKey) } else { Ok(keys) }
}

/// Returns the certificate of OpenSSL's own format, in which the uses that it is trusted for follow.
fn without_trust(der: &[u8]) -> Result<&[u8], KeyError> {
    let certificate = SliceReader::new(der).and_then(|mut reader| reader.tlv_bytes());
    certificate.map_err(|_| KeyError::Certificate)
}

/// Parses the key of one certificate in DER.
pub(super) fn from_certificate(der: &[u8]) -> Result<Key, KeyError> {
    let public_key = find_public_key(der).map_err(|_| KeyError::Certificate)?;
    from_public_key_info(public_key, KeyIds::from_certificate(der))
}

fn from_public_key(der: &[u8], ids: KeyIds<'static>) -> Result<Key, KeyError> {
    let info = SubjectPublicKeyInfoRef::from_der(der).map_err(|_| KeyError::NotAKey)?;
    from_public_key_info(info, ids)
}

fn from_public_key_info(
    info: SubjectPublicKeyInfoRef<'_>,
    ids: KeyIds<'static>,
) -> Result<Key, KeyError> {
    if info.algorithm.oid != RSA {
        return Err(KeyError::NotRsa);
    }
    let key = info.subject_public_key.as_bytes().ok_or(KeyError::NotAKey)?;
    let (n, e) = parse_rsa_numbers(key).map_err(|_| KeyError::NotAKey)?;
    Key::new(n.as_bytes(), e.as_bytes(), ids)
}

/// Walks to the subject's public key (RFC 5280, section 4.1) and parses nothing else: names, dates
/// and extensions are not validated.
fn find_public_key(der: &[u8]) -> der::Result<SubjectPublicKeyInfoRef<'_>> {
    let certificate = AnyRef::from_der(der)?;
    certificate.tag().assert_eq(Tag::Sequence)?;
    let to_be_signed = AnyRef::decode(&mut SliceReader::new(certificate.value())?)?;
    to_be_signed.tag().assert_eq(Tag::Sequence)?;
    let mut fields = SliceReader::new(to_be_signed.value())?;
    let version = Tag::ContextSpecific { constructed: true, number: TagNumber(0) };
    if Tag::peek(&fields)? == version {
        AnyRef::decode(&mut fields)?;
    }
    // Serial number, signature algorithm, issuer, validity, subject.
    for tag in [Tag::Integer, Tag::Sequence, Tag::Sequence, Tag::Sequence, Tag::Sequence] {
        AnyRef::decode(&mut fields)?.tag().assert_eq(tag)?;
    }
    SubjectPublicKeyInfoRef::decode(&mut fields)
}

/// Parses `RSAPublicKey ::= SEQUENCE { modulus INTEGER, publicExponent INTEGER }` (RFC 8017,
/// appendix A.1.1).
pub(super) fn parse_rsa_numbers(der: &[u8]) -> der::Result<(UintRef<'_>, UintRef<'_>)> {
    let sequence = AnyRef::from_der(der)?;
    sequence.tag().assert_eq(Tag::Sequence)?;
    let mut fields = SliceReader::new(sequence.value())?;
    let numbers = (UintRef::decode(&mut fields)?, UintRef::decode(&mut fields)?);
    fields.finish()?;
    Ok(numbers)
}

/// Splits PEM into labels and DER. Text around the blocks is skipped, as `openssl x509 -text` and
/// mail programs put some there; line ends and line lengths don't matter.
fn parse_pem_blocks(text: &str) -> Result<Vec<(&str, Vec<u8>)>, KeyError> {
    let mut blocks = Vec::new();
    let mut open: Option<(&str, String)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(label) = parse_delimiter(line, "-----BEGIN ") {
            if open.is_some() {
                return Err(KeyError::Pem);
            }
            open = Some((label, String::new()));
        } else if let Some(label) = parse_delimiter(line, "-----END ") {
            let Some((_, body)) = open.take().filter(|(opened, _)| *opened == label) else {
                return Err(KeyError::Pem);
            };
            // A private key is refused by its label: its content is not decoded.
            let der = if label.ends_with("PRIVATE KEY") {
                Vec::new()
            } else {
                STANDARD.decode(body).map_err(|_| KeyError::Pem)?
            };
            blocks.push((label, der));
        } else if let Some((_, body)) = &mut open {
            body.push_str(line);
        }
    }
    if open.is_some() { Err(KeyError::Pem) } else { Ok(blocks) }
}

fn parse_delimiter<'t>(line: &'t str, start: &str) -> Option<&'t str> {
    line.strip_prefix(start)?.strip_suffix("-----")
}
