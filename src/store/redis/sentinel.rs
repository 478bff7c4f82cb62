//! Sentinels, which know the address of the primary.

use std::time::Duration;

use futures_util::{StreamExt, stream::FuturesUnordered};
use redis::{
    AsyncConnectionConfig, RedisConnectionInfo, RedisError, RedisResult, aio::MultiplexedConnection,
};
use tokio::time::{Instant, timeout_at};

use super::{endpoint::Host, error::store_error, tls::Tls};
use crate::store::StoreError;

/// The Sentinels of a service.
pub(super) struct Sentinels {
    pub(super) hosts: Vec<Host>,
    /// The name under which they monitor the primary.
    pub(super) service: String,
    pub(super) login: RedisConnectionInfo,
}

impl Sentinels {
    /// Returns the address that most of them give. `store` is the store's name, for errors.
    ///
    /// All are queried at once. A majority need not wait for the others, so that one that is down
    /// delays nothing, and one that has been cut off from the others leads to no former primary.
    pub(super) async fn primary(
        &self,
        store: &str,
        tls: Option<&Tls>,
        within: Duration,
    ) -> Result<Host, StoreError> {
        let deadline = Instant::now() + within;
        let mut queries: FuturesUnordered<_> =
            self.hosts.iter().map(|host| self.query(host, tls)).collect();
        let mut votes: Vec<(Host, usize)> = Vec::new();
        let (mut unknown, mut failure) = (0, None);
        while let Ok(Some(answer)) = timeout_at(deadline, queries.next()).await {
            match answer {
                Ok(Some(primary)) => {
                    let count = match votes.iter_mut().find(|(host, _)| *host == primary) {
                        Some((_, count)) => {
                            *count += 1;
                            *count
                        }
                        None => {
                            votes.push((primary, 1));
                            1
                        }
                    };
                    if count > self.hosts.len() / 2 {
                        break;
                    }
                }
                Ok(None) => unknown += 1,
                Err(error) => failure = Some(error),
            }
        }
        // Of two with the same count it is the earlier answer.
        let most = votes.into_iter().rev().max_by_key(|(_, count)| *count);
        match most {
            Some((primary, _)) => Ok(primary),
            None if unknown > 0 => Err(StoreError::unavailable(format!(
                "the Sentinels of {store} know no service {}: check the end of its URL",
                self.service
            ))),
            None => Err(match failure {
                Some(error) if !error.is_io_error() => {
                    store_error(&format!("a Sentinel of {store}"), error)
                }
                failure => no_sentinel(store, failure),
            }),
        }
    }

    /// Requests the address of one Sentinel; `None` when it doesn't know the service.
    async fn query(&self, host: &Host, tls: Option<&Tls>) -> RedisResult<Option<Host>> {
        let socket = host.connect(tls).await?;
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        let (mut connection, driver) =
            MultiplexedConnection::new_with_config(&self.login, socket, config).await?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("get-master-addr-by-name").arg(&self.service);
        let answer = tokio::select! {
            answer = command.query_async::<Option<(String, u16)>>(&mut connection) => answer?,
            () = driver => return Err(std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()),
        };
        Ok(answer.map(|(name, port)| Host { name, port }))
    }
}

fn no_sentinel(store: &str, failure: Option<RedisError>) -> StoreError {
    let error = StoreError::unavailable(format!(
        "no Sentinel of {store} answers: check them, the network and the URL"
    ));
    match failure {
        Some(failure) => error.caused_by(failure),
        None => error,
    }
}
