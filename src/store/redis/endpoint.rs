//! Where the server is, and how a connection to it is made.

use std::{io, sync::Arc};

use redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo};
use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::store::StoreError;

/// A server, and how to log in to it.
pub(super) struct Endpoint {
    /// What an operator may see of the URL: no user, no password.
    pub(super) name: String,
    pub(super) login: RedisConnectionInfo,
    host: String,
    port: u16,
    tls: Option<Tls>,
}

struct Tls {
    connector: TlsConnector,
    server: ServerName<'static>,
}

/// A connection, encrypted or not.
pub(super) type Socket = Box<dyn Stream>;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

impl Endpoint {
    /// Reads `redis://` and `rediss://` URLs. For the latter `roots`, in PEM, are trusted instead of
    /// the public authorities.
    pub(super) fn parse(url: &str, roots: Option<&[u8]>) -> Result<Self, StoreError> {
        // None of the errors quotes the URL: it may hold a password.
        let wrong = || {
            StoreError::misconfigured(
                "the URL of the Redis store makes no sense: write redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or rediss:// for TLS",
            )
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(wrong)?;
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(wrong()),
        };
        let info: ConnectionInfo = format!("redis://{rest}").parse().map_err(|_| wrong())?;
        let ConnectionAddr::Tcp(host, port) = info.addr().clone() else { return Err(wrong()) };
        // The library would tell the server its own name, with a command of Redis 7.2.
        let login = info.redis_settings().clone().set_skip_set_lib_name();
        let shown = if host.contains(':') { format!("[{host}]") } else { host.clone() };
        let name = format!("{scheme}://{shown}:{port}/{}", login.db());
        let tls = tls.then(|| Tls::new(&host, roots)).transpose()?;
        Ok(Self { name, login, host, port, tls })
    }

    /// Connects, without logging in.
    pub(super) async fn connect(&self) -> io::Result<Socket> {
        let socket = TcpStream::connect((self.host.as_str(), self.port)).await?;
        socket.set_nodelay(true)?;
        Ok(match &self.tls {
            None => Box::new(socket),
            Some(tls) => Box::new(tls.connector.connect(tls.server.clone(), socket).await?),
        })
    }
}

impl Tls {
    fn new(host: &str, roots: Option<&[u8]>) -> Result<Self, StoreError> {
        let roots = match roots {
            Some(pem) => read_roots(pem)?,
            None => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        // The provider is named: a process-wide default may be missing, or be somebody else's.
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| StoreError::misconfigured("TLS is not available").caused_by(error))?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let server = ServerName::try_from(host.to_owned()).map_err(|error| {
            StoreError::misconfigured("the Redis store's host can't be in a certificate")
                .caused_by(error)
        })?;
        Ok(Self { connector: TlsConnector::from(Arc::new(config)), server })
    }
}

fn read_roots(pem: &[u8]) -> Result<RootCertStore, StoreError> {
    let wrong = "the root certificate of the Redis store can't be read: give it in PEM";
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(pem) {
        let certificate = certificate.map_err(|_| StoreError::misconfigured(wrong))?;
        roots
            .add(certificate)
            .map_err(|error| StoreError::misconfigured(wrong).caused_by(error))?;
    }
    if roots.is_empty() { Err(StoreError::misconfigured(wrong)) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_leaves_out_who_logs_in() {
        for (url, name) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379/0"),
            ("redis://user:secret@[::1]:7000/3", "redis://[::1]:7000/3"),
            ("rediss://:se%2fcret@redis.example:7000", "rediss://redis.example:7000/0"),
        ] {
            assert_eq!(Endpoint::parse(url, None).unwrap().name, name);
        }
        let endpoint = Endpoint::parse("redis://user:se%2Fcret@h", None).unwrap();
        assert_eq!(endpoint.login.username(), Some("user"));
        assert_eq!(endpoint.login.password(), Some("se/cret"));
    }

    #[test]
    fn a_url_that_makes_no_sense_is_refused_without_a_word_of_it() {
        for url in [
            "",
            "localhost",
            "http://secret@host",
            "redis://",
            "redis://user:secret@host/database",
            "redis://user:secret@host:port",
            "redis+unix:///secret",
            "redis://user:secret@0.0.0.0",
        ] {
            let error = Endpoint::parse(url, None).err().expect(url);
            assert!(error.is_misconfigured(), "{error:?}");
            assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
        }
        let error = Endpoint::parse("rediss://host", Some(b"secret")).err().unwrap();
        assert!(error.is_misconfigured() && !format!("{error:?}").contains("secret"), "{error:?}");
    }
}
