//! The built-in client: hyper-util over rustls.

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use rustls::RootCertStore;

#[cfg(feature = "proxy")]
use super::proxy::{ProxyConnector, ProxyRules};
use super::{Fetch, FetchError};
use crate::tls::{self, RootsError};

/// The settings of the built-in client.
#[derive(Debug, Default)]
pub(crate) struct HttpsConfig {
    /// Texts in PEM with certificate authorities to trust too.
    pub(crate) extra_roots: Vec<Vec<u8>>,
    /// Whether those of the operating system are trusted instead of the public ones.
    #[cfg(feature = "native-roots")]
    pub(crate) native_roots: bool,
    #[cfg(feature = "proxy")]
    pub(crate) proxy: Option<ProxyRules>,
}

impl HttpsConfig {
    fn roots(&self) -> Result<RootCertStore, RootsError> {
        let mut roots = self.default_roots()?;
        for pem in &self.extra_roots {
            tls::add_pem(&mut roots, pem)?;
        }
        Ok(roots)
    }

    fn default_roots(&self) -> Result<RootCertStore, RootsError> {
        #[cfg(feature = "native-roots")]
        if self.native_roots {
            return tls::native_roots();
        }
        Ok(tls::public_roots())
    }
}

impl Fetch {
    /// Creates the client of the features `client` and `client-ring`.
    pub(crate) fn https(config: HttpsConfig) -> Result<Self, FetchError> {
        let roots = config.roots().map_err(FetchError::Roots)?;
        let tls = tls::client_config(roots).map_err(|error| FetchError::Setup(error.into()))?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        #[cfg(feature = "proxy")]
        let tcp = ProxyConnector::new(tcp, &tls, config.proxy);
        // http stays possible for loopback addresses; `get` refuses it anywhere else.
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .wrap_connector(tcp);
        let client =
            Client::builder(TokioExecutor::new()).pool_timer(TokioTimer::new()).build(connector);
        Ok(Self::new(client))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn redirect_is_returned_not_followed() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                request.push(socket.read_u8().await.unwrap());
            }
            let answer = "HTTP/1.1 302 Found\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n";
            socket.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request).unwrap()
        });
        let url = format!("http://{address}/login/.well-known/jwks").parse().unwrap();
        let answer = Fetch::https(HttpsConfig::default())
            .unwrap()
            .get(&url, "application/json")
            .await
            .unwrap();
        assert_eq!(answer.status, http::StatusCode::FOUND);
        assert_eq!(answer.headers["location"], "/elsewhere");
        let request = server.await.unwrap();
        assert!(request.starts_with("GET /login/.well-known/jwks HTTP/1.1\r\n"));
        assert!(request.contains("accept: application/json\r\n"));
    }

    #[tokio::test]
    async fn https_never_falls_back_to_plain_text() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://{}/", listener.local_addr().unwrap()).parse().unwrap();
        let server = tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            socket.read_u8().await.unwrap()
        });
        let error =
            Fetch::https(HttpsConfig::default()).unwrap().get(&url, "*/*").await.unwrap_err();
        assert!(matches!(error, FetchError::Exchange(_)), "{error}");
        assert_eq!(server.await.unwrap(), 0x16, "a TLS handshake record and nothing else");
    }

    #[test]
    fn roots_that_are_no_certificates_are_refused() {
        for pem in [
            &b""[..],
            b"no PEM",
            b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            b"-----BEGIN CERTIFICATE-----\n!\n-----END CERTIFICATE-----\n",
        ] {
            let config = HttpsConfig { extra_roots: vec![pem.to_vec()], ..HttpsConfig::default() };
            let error = Fetch::https(config).unwrap_err();
            assert!(matches!(error, FetchError::Roots(RootsError::Pem)), "{error}");
        }
    }

    #[cfg(feature = "native-roots")]
    #[test]
    fn native_roots_replace_the_public_ones() {
        let Ok(native) = tls::native_roots() else { return };
        let config = HttpsConfig { native_roots: true, ..HttpsConfig::default() };
        assert_eq!(config.roots().unwrap().len(), native.len());
    }
}
