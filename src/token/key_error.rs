//! The errors of signing keys.

use std::{error::Error, fmt, io, path::PathBuf};

/// The reason for which signing keys can't be used. Its text says what to give instead.
#[derive(Debug)]
#[non_exhaustive]
pub enum KeyError {
    /// The file can't be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: io::Error,
    },
    /// The content of the file can't be used.
    File {
        /// The file.
        path: PathBuf,
        /// The error of its content.
        fault: Box<KeyError>,
    },
    /// The file is larger than 1 MiB.
    TooLong,
    /// The PEM text has a block that is cut off or is not base64.
    Pem,
    /// The PEM text has a block that is neither a certificate nor a public key.
    Block,
    /// The PEM text holds a private key.
    Private,
    /// The bytes are not an X.509 certificate.
    Certificate,
    /// The text is not a JSON Web Key Set, or a member of it has the wrong type.
    KeySet,
    /// There is no key in it.
    NoKey,
    /// The key is not for RS256 signatures.
    Purpose,
    /// The key is not an RSA key.
    NotRsa,
    /// The key's numbers don't make an RSA public key.
    NotAKey,
    /// The key is shorter than 2048 bits.
    Weak {
        /// Its size.
        bits: usize,
    },
    /// The key is larger than 8192 bits.
    Large {
        /// Its size.
        bits: usize,
    },
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => {
                write!(f, "the key file {} can't be read: {source}", path.display())
            }
            Self::File { path, fault } => {
                write!(f, "the key file {} can't be used: {fault}", path.display())
            }
            Self::TooLong => f.write_str("it is larger than 1 MiB; give a certificate or a key set"),
            Self::Pem => f.write_str(
                "its PEM text is damaged; give whole blocks from -----BEGIN to -----END",
            ),
            Self::Block => f.write_str(
                "its PEM text has a block of another kind; give CERTIFICATE and PUBLIC KEY blocks only",
            ),
            Self::Private => f.write_str(
                "it holds a private key, which belongs to the signer alone; give the certificate or the public key",
            ),
            Self::Certificate => {
                f.write_str("it is not an X.509 certificate; give one in PEM or DER, or a key set")
            }
            Self::KeySet => f.write_str(
                "it is not a JSON Web Key Set; give an object with an array \"keys\" of RSA keys",
            ),
            Self::NoKey => f.write_str("it holds no key; give at least one"),
            Self::Purpose => f.write_str("its key is not for RS256 signatures; give the signing key"),
            Self::NotRsa => f.write_str("its key is not RSA; give SuperOffice's RSA key"),
            Self::NotAKey => f.write_str("it is not an RSA public key; give the one published"),
            Self::Weak { bits } => {
                write!(f, "its key has {bits} bits; give one of at least 2048")
            }
            Self::Large { bits } => write!(f, "its key has {bits} bits; give one of at most 8192"),
        }
    }
}

impl Error for KeyError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        // A fault's text is part of the file error's text already, and so is the system's.
        None
    }
}
