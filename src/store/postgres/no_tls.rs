//! The replacement of TLS when neither the feature `client` nor `client-ring` is enabled.

use tokio_postgres::{CancelToken, Config, Error, NoTls};

use super::endpoint::Connected;
use crate::store::{StoreError, roots::Roots};

pub(super) struct Tls;

impl Tls {
    pub(super) fn none() -> Self {
        Self
    }

    pub(super) fn new(_: &Roots) -> Result<Self, StoreError> {
        Err(StoreError::misconfigured(
            "the PostgreSQL store's URL asks for TLS: enable the feature `client` or `client-ring`, or add sslmode=disable",
        ))
    }

    pub(super) async fn connect(&self, config: &Config) -> Result<Connected, Error> {
        let (client, connection) = config.connect(NoTls).await?;
        Ok(Connected::drive(client, connection))
    }

    pub(super) async fn cancel(&self, token: CancelToken) -> Result<(), Error> {
        token.cancel_query(NoTls).await
    }
}
