//! The built-in client: hyper-util over rustls, public web roots.

use hyper_rustls::HttpsConnectorBuilder;
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioTimer},
};

use super::{Fetch, FetchError};
use crate::tls;

impl Fetch {
    /// Creates the client of the features `client` and `client-ring`.
    pub(crate) fn https() -> Result<Self, FetchError> {
        let tls = tls::client_config(tls::public_roots())
            .map_err(|error| FetchError::Setup(error.into()))?;
        // http stays possible for loopback addresses; `get` refuses it anywhere else.
        let connector = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_http1()
            .build();
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
        let answer = Fetch::https().unwrap().get(&url, "application/json").await.unwrap();
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
        let error = Fetch::https().unwrap().get(&url, "*/*").await.unwrap_err();
        assert!(matches!(error, FetchError::Exchange(_)), "{error}");
        assert_eq!(server.await.unwrap(), 0x16, "a TLS handshake record and nothing else");
    }
}
