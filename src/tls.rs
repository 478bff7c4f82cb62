//! TLS for the gate's own connections.
//!
//! The cryptographic provider is chosen here. The process's default may be missing, or the choice
//! of another crate, and rustls panics without a choice when a build enables two.

#[cfg(feature = "client")]
use rustls::crypto::aws_lc_rs as provider;
#[cfg(not(feature = "client"))]
use rustls::crypto::ring as provider;
use rustls::{ClientConfig, RootCertStore};

/// Creates a client configuration that trusts `roots`.
pub(crate) fn client_config(roots: RootCertStore) -> Result<ClientConfig, rustls::Error> {
    let builder = ClientConfig::builder_with_provider(provider::default_provider().into())
        .with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

/// Returns the public certificate authorities in Mozilla's list.
pub(crate) fn public_roots() -> RootCertStore {
    RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() }
}
