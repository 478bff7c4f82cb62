//! TLS to the server, with the provider of the feature `client` or `client-ring`.

use std::{io, sync::Arc};

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::endpoint::Socket;
use crate::store::{StoreError, roots::Roots};

pub(super) struct Tls {
    connector: TlsConnector,
}

impl Tls {
    /// Creates the connector, which trusts `roots`.
    pub(super) fn new(roots: &Roots) -> Result<Self, StoreError> {
        let config = roots.client_config("Redis")?;
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
