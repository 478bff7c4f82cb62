//! Where the server is, and how a connection to it is made.

use std::io;

use redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::tls::Tls;
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
            Some(tls) => tls.connect(socket).await?,
        })
    }
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
