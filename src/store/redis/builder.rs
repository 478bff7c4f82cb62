//! The settings of a store.

use std::{fmt, time::Duration};

use super::{RedisStore, endpoint::Endpoint};
use crate::{
    environment::Environment,
    store::{StoreError, roots::Roots},
};

/// The settings of a [`RedisStore`]; from [`RedisStore::builder`].
///
/// ```no_run
/// use std::time::Duration;
/// use tower_superoffice::{Environment, store::RedisStore};
///
/// let store = RedisStore::builder("rediss://gate:password@redis.example", &Environment::Production)
///     .roots(std::fs::read("root.pem")?)
///     .connect_timeout(Duration::from_secs(5))
///     .connect()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "settings do nothing until .connect() is called"]
pub struct RedisStoreBuilder {
    url: String,
    environment: Environment,
    roots: Roots,
    connect_timeout: Duration,
}

/// The usual time-out of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The longest time-out of connecting. While it lasts, calls wait.
const LONGEST: Duration = Duration::from_secs(60);

impl RedisStoreBuilder {
    pub(super) fn new(url: String, environment: &Environment) -> Self {
        let environment = environment.clone();
        Self { url, environment, roots: Roots::Public, connect_timeout: CONNECT_TIMEOUT }
    }

    /// Trusts only the root certificates in `pem`, instead of the public authorities.
    pub fn roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Roots::Only(pem.into());
        self
    }

    /// Trusts the root certificates in `pem` besides the public authorities. The last call that
    /// names authorities counts.
    pub fn extra_roots(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots = Roots::Extra(pem.into());
        self
    }

    /// Trusts the certificate authorities that the operating system trusts, instead of the public
    /// ones. They are read by [`connect`](Self::connect). The last call that names authorities
    /// counts.
    #[cfg(all(feature = "native-roots", any(feature = "client", feature = "client-ring")))]
    pub fn native_roots(mut self) -> Self {
        self.roots = Roots::Native;
        self
    }

    /// Sets the time-out of connecting, TLS and login included: 1 s by default, at most a minute.
    ///
    /// Connecting takes three round trips, five with TLS, and three more with Sentinels, which get
    /// half of the time. Calls wait for it while there is no connection and no attempt has failed.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout.min(LONGEST);
        self
    }

    /// Creates the store. It does not connect yet, as with [`RedisStore::connect`].
    ///
    /// # Errors
    ///
    /// When the URL is invalid, or the root certificates contain none. The error quotes neither.
    pub fn connect(self) -> Result<RedisStore, StoreError> {
        let endpoint = Endpoint::parse(&self.url, &self.roots, self.connect_timeout)?;
        Ok(RedisStore::new(endpoint, &self.environment))
    }
}

impl fmt::Debug for RedisStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URL, which may hold a password.
        f.debug_struct("RedisStoreBuilder")
            .field("environment", &self.environment)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}
