//! The client for the gate's own requests, and the settings of the built-in one.

use super::{BuildError, TenantGateBuilder};
use crate::http_client::Fetch;
#[cfg(any(feature = "client", feature = "client-ring"))]
use crate::http_client::{FetchError, HttpsConfig};

/// The settings of the built-in client.
#[derive(Debug, Default)]
pub(super) struct ClientSettings {
    #[cfg(any(feature = "client", feature = "client-ring"))]
    extra_roots: Vec<Vec<u8>>,
    #[cfg(all(feature = "native-roots", any(feature = "client", feature = "client-ring")))]
    native_roots: bool,
    #[cfg(all(feature = "proxy", any(feature = "client", feature = "client-ring")))]
    proxy_from_env: bool,
}

impl TenantGateBuilder {
    /// Trusts the certificate authorities in this PEM text too, for the gate's own requests through
    /// the built-in client. May be called several times.
    ///
    /// A company whose proxy inspects TLS has such an authority.
    ///
    /// ```no_run
    /// # use tower_superoffice::{Environment, TenantGate};
    /// # fn run() -> std::io::Result<()> {
    /// let builder = TenantGate::builder(Environment::Production)
    ///     .extra_roots(std::fs::read("/etc/ssl/company-ca.pem")?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// [`build`](Self::build) fails with [`BuildError::Roots`] when it holds no certificate, or one
    /// that can't be used.
    #[cfg(any(feature = "client", feature = "client-ring"))]
    pub fn extra_roots(mut self, pem: impl AsRef<[u8]>) -> Self {
        self.client_settings.extra_roots.push(pem.as_ref().to_vec());
        self
    }

    /// Trusts the certificate authorities of the operating system instead of Mozilla's list, for
    /// the gate's own requests through the built-in client.
    ///
    /// They are read when the gate is [built](Self::build) and not again. It fails with
    /// [`BuildError::Roots`] when there are none. `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.
    #[cfg(all(feature = "native-roots", any(feature = "client", feature = "client-ring")))]
    pub fn native_roots(mut self) -> Self {
        self.client_settings.native_roots = true;
        self
    }

    /// Sends the gate's own requests through the proxy that the process's environment variables
    /// name, with the built-in client.
    ///
    /// The proxy is the first that is not empty of `HTTPS_PROXY`, `https_proxy`, `ALL_PROXY` and
    /// `all_proxy`: a URL such as `http://user:password@proxy.example:3128`, with http or https. It
    /// has to allow `CONNECT` to port 443 of the environment's host. Hosts in `NO_PROXY` or
    /// `no_proxy`, written as for curl, and loopback addresses are reached directly. The password
    /// is in no log and no `Debug` output.
    ///
    /// The variables are read when the gate is [built](Self::build), which fails with
    /// [`BuildError::Proxy`] when they name a proxy that can't be used: no request is sent past it.
    #[cfg(all(feature = "proxy", any(feature = "client", feature = "client-ring")))]
    pub fn proxy_from_env(mut self) -> Self {
        self.client_settings.proxy_from_env = true;
        self
    }
}

/// Returns a constructor of the client, which fails when there is none.
///
/// # Errors
///
/// When there are settings of the built-in client beside a given one, which has its own.
pub(super) fn own_client(
    given: Option<Fetch>,
    settings: ClientSettings,
) -> Result<impl Fn() -> Result<Fetch, BuildError>, BuildError> {
    if given.is_some() && !settings.is_default() {
        return Err(BuildError::ClientSettings);
    }
    Ok(move || given.clone().map_or_else(|| settings.create(), Ok))
}

#[cfg(any(feature = "client", feature = "client-ring"))]
impl ClientSettings {
    fn is_default(&self) -> bool {
        #[cfg(feature = "native-roots")]
        if self.native_roots {
            return false;
        }
        #[cfg(feature = "proxy")]
        if self.proxy_from_env {
            return false;
        }
        self.extra_roots.is_empty()
    }

    /// Creates the client that the crate brings along.
    fn create(&self) -> Result<Fetch, BuildError> {
        let config = HttpsConfig {
            extra_roots: self.extra_roots.clone(),
            #[cfg(feature = "native-roots")]
            native_roots: self.native_roots,
            #[cfg(feature = "proxy")]
            proxy: self.proxy()?,
        };
        Fetch::https(config).map_err(|error| match error {
            FetchError::Roots(error) => BuildError::Roots(error.advice()),
            error => BuildError::Client(Box::new(error)),
        })
    }

    #[cfg(feature = "proxy")]
    fn proxy(&self) -> Result<Option<crate::http_client::ProxyRules>, BuildError> {
        if !self.proxy_from_env {
            return Ok(None);
        }
        let rules = crate::http_client::ProxyRules::from_env();
        rules.map_err(|fault| BuildError::Proxy(fault.advice()))
    }
}

#[cfg(not(any(feature = "client", feature = "client-ring")))]
impl ClientSettings {
    #[allow(clippy::unused_self, reason = "without a built-in client it has no settings")]
    fn is_default(&self) -> bool {
        true
    }

    #[allow(clippy::unused_self, reason = "without a built-in client it has no settings")]
    fn create(&self) -> Result<Fetch, BuildError> {
        Err(BuildError::NoClient)
    }
}
