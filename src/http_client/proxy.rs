//! HTTP proxies of corporate networks: `HTTPS_PROXY` and `NO_PROXY`.

use std::{
    error::Error as StdError,
    fmt,
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use futures_core::future::BoxFuture;
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::{
    client::{
        legacy::connect::{HttpConnector, proxy::Tunnel},
        proxy::matcher::{Intercept, Matcher},
    },
    rt::TokioIo,
};
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::environment::is_loopback;

type BoxError = Box<dyn StdError + Send + Sync>;
type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;

/// The variables that name the proxy. Every request that leaves the machine is https.
const PROXY: [&str; 4] = ["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];

/// The variables that name hosts to connect to directly.
const NO_PROXY: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// The proxy, and the hosts that are reached without it. Its `Debug` shows no password.
#[derive(Debug, Clone)]
pub(crate) struct ProxyRules(Arc<Matcher>);

/// The reason why the variables name no usable proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ProxyFault {
    /// A variable is not Unicode, or no URL of a host.
    Malformed,
    /// The proxy is neither http nor https.
    Scheme,
}

impl ProxyFault {
    pub(crate) fn advice(self) -> &'static str {
        match self {
            Self::Malformed => "set HTTPS_PROXY to a URL such as http://proxy.example:3128",
            Self::Scheme => "HTTPS_PROXY has to be an http or https URL",
        }
    }
}

impl ProxyRules {
    /// Reads the variables of the process; `None` when they name no proxy.
    pub(crate) fn from_env() -> Result<Option<Self>, ProxyFault> {
        Self::from_variables(|name| std::env::var_os(name))
    }

    fn from_variables(
        variable: impl Fn(&str) -> Option<std::ffi::OsString>,
    ) -> Result<Option<Self>, ProxyFault> {
        let first = |names: &[&str]| {
            let value =
                names.iter().filter_map(|name| variable(name)).find(|value| !value.is_empty());
            value.map(|value| value.into_string().map_err(|_| ProxyFault::Malformed)).transpose()
        };
        let Some(proxy) = first(&PROXY)? else { return Ok(None) };
        let not = first(&NO_PROXY)?.unwrap_or_default();
        // A URL that can't be parsed would be no proxy, and requests would leave unproxied.
        let anywhere = Uri::from_static("https://superoffice.com/");
        let parsed = Matcher::builder().https(proxy.as_str()).build().intercept(&anywhere);
        match parsed.ok_or(ProxyFault::Malformed)?.uri().scheme_str() {
            Some("http" | "https") => {}
            _ => return Err(ProxyFault::Scheme),
        }
        let matcher = Matcher::builder().https(proxy).no(not).build();
        Ok(Some(Self(Arc::new(matcher))))
    }

    /// Returns the proxy for `uri`; `None` for a direct connection. Loopback is never proxied.
    fn intercept(&self, uri: &Uri) -> Option<Intercept> {
        if is_loopback(uri.host()?) { None } else { self.0.intercept(uri) }
    }
}

/// Connects to hosts, directly or through the proxy.
#[derive(Clone)]
pub(super) struct ProxyConnector {
    direct: HttpConnector,
    to_proxy: HttpsConnector<HttpConnector>,
    rules: Option<ProxyRules>,
}

impl ProxyConnector {
    pub(super) fn new(
        direct: HttpConnector,
        tls: &ClientConfig,
        rules: Option<ProxyRules>,
    ) -> Self {
        let to_proxy = HttpsConnectorBuilder::new()
            .with_tls_config(tls.clone())
            .https_or_http()
            .enable_http1()
            .wrap_connector(direct.clone());
        Self { direct, to_proxy, rules }
    }
}

impl Service<Uri> for ProxyConnector {
    type Response = Connection;
    type Error = BoxError;
    type Future = BoxFuture<'static, Result<Connection, BoxError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let proxy = self.rules.as_ref().and_then(|rules| rules.intercept(&uri));
        let Some(proxy) = proxy else {
            let mut direct = self.direct.clone();
            return Box::pin(async move {
                poll_fn(|cx| direct.poll_ready(cx)).await?;
                Ok(MaybeHttpsStream::Http(direct.call(uri).await?))
            });
        };
        let mut tunnel = Tunnel::new(proxy.uri().clone(), self.to_proxy.clone());
        if let Some(auth) = proxy.basic_auth() {
            tunnel = tunnel.with_auth(auth.clone());
        }
        Box::pin(async move {
            let failed = |error| Box::new(ProxyError(Box::new(error))) as BoxError;
            poll_fn(|cx| tunnel.poll_ready(cx)).await.map_err(failed)?;
            tunnel.call(uri).await.map_err(failed)
        })
    }
}

/// The error of a proxy that could not be reached, or that refused the tunnel.
#[derive(Debug)]
pub(super) struct ProxyError(BoxError);

impl fmt::Display for ProxyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the tunnel through the proxy failed")
    }
}

impl StdError for ProxyError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        Some(&*self.0)
    }
}

#[cfg(test)]
mod tests;
