//! TLS to the server, with the provider of the feature `client` or `client-ring`.

use std::{io, sync::Arc};

use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::{builder::Roots, endpoint::Socket};
use crate::{store::StoreError, tls};

pub(super) struct Tls {
    connector: TlsConnector,
}

impl Tls {
    /// Creates the connector, which trusts `roots`.
    pub(super) fn new(roots: &Roots) -> Result<Self, StoreError> {
        let roots = match roots {
            Roots::Public => tls::public_roots(),
            Roots::Only(pem) => with_pem(RootCertStore::empty(), pem)?,
            Roots::Extra(pem) => with_pem(tls::public_roots(), pem)?,
            #[cfg(feature = "native-roots")]
            Roots::Native => {
                tls::native_roots().map_err(|error| StoreError::misconfigured(error.advice()))?
            }
        };
        let config = tls::client_config(roots)
            .map_err(|error| StoreError::misconfigured("TLS is not available").caused_by(error))?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)) })
    }

    /// Checks that a certificate can name `host`.
    pub(super) fn check(host: &str) -> Result<(), StoreError> {
        match ServerName::try_from(host) {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(StoreError::misconfigured("the Redis store's host can't be in a certificate")
                    .caused_by(error))
            }
        }
    }

    /// Encrypts `socket`, whose server must have a certificate of `host`.
    pub(super) async fn connect(&self, host: &str, socket: TcpStream) -> io::Result<Socket> {
        let server = ServerName::try_from(host.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        Ok(Box::new(self.connector.connect(server, socket).await?))
    }
}

/// Adds the certificates in `pem`, of which there has to be one, to `roots`.
fn with_pem(mut roots: RootCertStore, pem: &[u8]) -> Result<RootCertStore, StoreError> {
    let wrong = "the root certificate of the Redis store can't be read: give it in PEM";
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| StoreError::misconfigured(wrong))?;
        roots
            .add(certificate)
            .map_err(|error| StoreError::misconfigured(wrong).caused_by(error))?;
    }
    if roots.len() > before { Ok(roots) } else { Err(StoreError::misconfigured(wrong)) }
}
