//! The address of the server, and the connections to it.

use std::io;

use redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::tls::Tls;
use crate::store::StoreError;

/// The address of a server, and its credentials.
pub(super) struct Endpoint {
    /// The URL without user and password, for logs and errors.
    pub(super) name: String,
    pub(super) login: RedisConnectionInfo,
    host: String,
    port: u16,
    tls: Option<Tls>,
}

/// A connection, encrypted or not.
pub(super) type Socket = Box<dyn Stream>;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

impl Endpoint {
    /// Parses a `redis://` or `rediss://` URL. For the latter `roots`, in PEM, are trusted instead
    /// of the public authorities.
    pub(super) fn parse(url: &str, roots: Option<&[u8]>) -> Result<Self, StoreError> {
        // None of the errors quotes the URL: it may hold a password.
        let wrong = || {
            StoreError::misconfigured(
                "invalid URL of the Redis store: write redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], or rediss:// for TLS",
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
        // The library would send its own name, with a command of Redis 7.2.
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
            Some(tls) => tls.connect(socket).await?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_has_no_credentials() {
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
    fn invalid_url_is_refused_without_quoting_it() {
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
