//! The settings of a store.

use std::{fmt, time::Duration};

use super::{PostgresStore, endpoint::Endpoint};
use crate::{
    environment::Environment,
    store::{StoreError, roots::Roots},
};

/// The settings of a [`PostgresStore`]; from [`PostgresStore::builder`].
///
/// ```no_run
/// use std::time::Duration;
/// use tower_superoffice::{Environment, store::PostgresStore};
///
/// let store = PostgresStore::builder("postgres://gate:password@db.example/app", &Environment::Production)
///     .roots(std::fs::read("root.pem")?)
///     .connect_timeout(Duration::from_secs(10))
///     .connect()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "settings do nothing until .connect() is called"]
pub struct PostgresStoreBuilder {
    url: String,
    environment: Environment,
    roots: Roots,
    connect_timeout: Duration,
}

/// The usual time-out of connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// The longest time-out of connecting. While it lasts, calls wait.
const LONGEST: Duration = Duration::from_secs(60);

impl PostgresStoreBuilder {
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

    /// Sets the time-out of connecting, TLS, login and the check of the tables included: 3 s by
    /// default, at most a minute.
    ///
    /// Calls wait for it while there is no connection and no attempt has failed.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout.min(LONGEST);
        self
    }

    /// Creates the store. It does not connect yet, as with [`PostgresStore::connect`].
    ///
    /// # Errors
    ///
    /// When the URL is invalid, or the root certificates contain none. The error quotes neither.
    pub fn connect(self) -> Result<PostgresStore, StoreError> {
        let endpoint = Endpoint::parse(&self.url, &self.roots, self.connect_timeout)?;
        Ok(PostgresStore::new(endpoint, &self.environment))
    }
}

impl fmt::Debug for PostgresStoreBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the URL, which may hold a password.
        f.debug_struct("PostgresStoreBuilder")
            .field("environment", &self.environment)
            .field("connect_timeout", &self.connect_timeout)
            .finish_non_exhaustive()
    }
}
