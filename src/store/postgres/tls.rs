//! TLS to the server, with the provider of the feature `client` or `client-ring`.

use tokio_postgres::{CancelToken, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::endpoint::Connected;
use crate::store::{StoreError, roots::Roots};

/// The encryption of connections, if any.
pub(super) struct Tls(Option<MakeRustlsConnect>);

impl Tls {
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// Creates the encryption, which trusts `roots`.
    pub(super) fn new(roots: &Roots) -> Result<Self, StoreError> {
        Ok(Self(Some(MakeRustlsConnect::new(roots.client_config("PostgreSQL")?))))
    }

    pub(super) async fn connect(&self, config: &Config) -> Result<Connected, Error> {
        Ok(match &self.0 {
            None => {
                let (client, connection) = config.connect(NoTls).await?;
                Connected::drive(client, connection)
            }
            Some(tls) => {
                let (client, connection) = config.connect(tls.clone()).await?;
                Connected::drive(client, connection)
            }
        })
    }

    pub(super) async fn cancel(&self, token: CancelToken) -> Result<(), Error> {
        match &self.0 {
            None => token.cancel_query(NoTls).await,
            Some(tls) => token.cancel_query(tls.clone()).await,
        }
    }
}
