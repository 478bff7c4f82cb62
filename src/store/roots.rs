//! The certificate authorities that a store's connections trust.

/// The certificate authorities that are trusted, in PEM.
#[derive(Clone)]
#[cfg_attr(
    not(any(feature = "client", feature = "client-ring")),
    allow(dead_code, reason = "read for connections with TLS alone")
)]
pub(super) enum Roots {
    /// The public ones.
    Public,
    /// These instead of the public ones.
    Only(Vec<u8>),
    /// These besides the public ones.
    Extra(Vec<u8>),
    /// Those that the operating system trusts.
    #[cfg(all(feature = "native-roots", any(feature = "client", feature = "client-ring")))]
    Native,
}

#[cfg(any(feature = "client", feature = "client-ring"))]
impl Roots {
    /// Returns a configuration of TLS that trusts them. `store` is the kind of the store, for
    /// errors, which do not quote a certificate.
    pub(super) fn client_config(
        &self,
        store: &str,
    ) -> Result<rustls::ClientConfig, super::StoreError> {
        use super::StoreError;
        use crate::tls;

        let with_pem = |mut roots, pem: &[u8]| match tls::add_pem(&mut roots, pem) {
            Ok(()) => Ok(roots),
            Err(error) => Err(StoreError::misconfigured(format!(
                "the root certificate of the {store} store can't be read: give it in PEM"
            ))
            .caused_by(error.advice())),
        };
        let roots = match self {
            Self::Public => tls::public_roots(),
            Self::Only(pem) => with_pem(rustls::RootCertStore::empty(), pem)?,
            Self::Extra(pem) => with_pem(tls::public_roots(), pem)?,
            #[cfg(feature = "native-roots")]
            Self::Native => {
                tls::native_roots().map_err(|error| StoreError::misconfigured(error.advice()))?
            }
        };
        tls::client_config(roots)
            .map_err(|error| StoreError::misconfigured("TLS is not available").caused_by(error))
    }
}
