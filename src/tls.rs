//! TLS for the gate's own connections.
//!
//! The cryptographic provider is chosen here. The process's default may be missing, or the choice
//! of another crate, and rustls panics without a choice when a build enables two.

#[cfg(feature = "client")]
use rustls::crypto::aws_lc_rs as provider;
#[cfg(not(feature = "client"))]
use rustls::crypto::ring as provider;
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};

/// Creates a client configuration that trusts `roots`.
pub(crate) fn client_config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider::default_provider().into())
        .with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// The reason why certificate authorities can't be trusted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RootsError {
    /// A text is not PEM, holds no certificate, or one that can't be used.
    Pem,
    /// The operating system has none.
    #[cfg(feature = "native-roots")]
    Native,
}

impl RootsError {
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Pem => "give certificates in PEM to .extra_roots(..)",
            #[cfg(feature = "native-roots")]
            Self::Native => {
                "the operating system has none: install its package of certificates, or leave \
                 .native_roots() out"
            }
        }
    }
}

/// Adds the certificates in a PEM text to `roots`.
pub(crate) fn add_pem(roots: &mut RootCertStore, pem: &[u8]) -> Result<(), RootsError> {
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| RootsError::Pem)?;
        roots.add(certificate).map_err(|_| RootsError::Pem)?;
    }
    if roots.len() > before { Ok(()) } else { Err(RootsError::Pem) }
}

/// Returns the certificate authorities that the operating system trusts. It reads files.
///
/// Certificates that can't be used are skipped: such lists have some.
#[cfg(feature = "native-roots")]
pub(crate) fn native_roots() -> Result<RootCertStore, RootsError> {
    let found = rustls_native_certs::load_native_certs();
    for error in &found.errors {
        crate::log::warn!(%error, "certificate authorities not read");
    }
    let mut roots = RootCertStore::empty();
    let (_, skipped) = roots.add_parsable_certificates(found.certs);
    if skipped > 0 {
        crate::log::debug!(skipped, "certificate authorities skipped");
    }
    if roots.is_empty() { Err(RootsError::Native) } else { Ok(roots) }
}

/// Returns the public certificate authorities in Mozilla's list.
pub(crate) fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}
