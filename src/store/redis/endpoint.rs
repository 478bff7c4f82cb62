//! The address of the server, and the connections to it.

use std::{fmt, io, time::Duration};

use redis::RedisConnectionInfo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

use super::{error::unreachable_server, sentinel::Sentinels, tls::Tls, url::StoreUrl};
use crate::store::{StoreError, roots::Roots};

/// The address of a server, and its credentials.
pub(super) struct Endpoint {
    /// The URL without user and password, for logs and errors.
    pub(super) name: String,
    pub(super) login: RedisConnectionInfo,
    /// Time-out of connecting and logging in.
    pub(super) connect_timeout: Duration,
    place: Place,
    tls: Option<Tls>,
}

/// The place of the server, or of those that know it.
pub(super) enum Place {
    Server(Host),
    Sentinels(Sentinels),
    #[cfg(unix)]
    Unix(std::path::PathBuf),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Host {
    /// A DNS name or an IP address, without brackets.
    pub(super) name: String,
    pub(super) port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, port } = self;
        if name.contains(':') { write!(f, "[{name}]:{port}") } else { write!(f, "{name}:{port}") }
    }
}

/// A connection, encrypted or not.
pub(super) type Socket = Box<dyn Stream>;

pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Sync + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Sync + Unpin> Stream for S {}

impl Endpoint {
    /// Parses a URL. With TLS `roots` are trusted.
    pub(super) fn parse(
        url: &str,
        roots: &Roots,
        connect_timeout: Duration,
    ) -> Result<Self, StoreError> {
        let StoreUrl { name, login, place, tls } = StoreUrl::parse(url)?;
        let tls = tls.then(|| Tls::new(roots)).transpose()?;
        if tls.is_some() {
            place.hosts().iter().try_for_each(|host| Tls::check(&host.name))?;
        }
        Ok(Self { name, login, connect_timeout, place, tls })
    }

    /// Connects, without logging in. With Sentinels this is to the server that they name.
    pub(super) async fn connect(&self) -> Result<Socket, StoreError> {
        let tls = self.tls.as_ref();
        let connected = match &self.place {
            Place::Server(host) => host.connect(tls).await,
            Place::Sentinels(sentinels) => {
                // What remains is for the server itself.
                let within = self.connect_timeout / 2;
                sentinels.primary(&self.name, tls, within).await?.connect(tls).await
            }
            #[cfg(unix)]
            Place::Unix(path) => {
                let connected = tokio::net::UnixStream::connect(path).await;
                connected.map(|socket| Box::new(socket) as Socket)
            }
        };
        connected.map_err(|error| unreachable_server(&self.name).caused_by(error))
    }
}

impl Place {
    fn hosts(&self) -> &[Host] {
        match self {
            Self::Server(host) => std::slice::from_ref(host),
            Self::Sentinels(sentinels) => &sentinels.hosts,
            #[cfg(unix)]
            Self::Unix(_) => &[],
        }
    }
}

impl Host {
    /// Connects, to the first of its addresses that can be reached.
    pub(super) async fn connect(&self, tls: Option<&Tls>) -> io::Result<Socket> {
        let socket = TcpStream::connect((self.name.as_str(), self.port)).await?;
        socket.set_nodelay(true)?;
        Ok(match tls {
            None => Box::new(socket),
            Some(tls) => tls.connect(&self.name, socket).await?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_root_is_refused_without_quoting_it() {
        let second = Duration::from_secs(1);
        for url in ["rediss://host", "rediss+sentinel://host/service"] {
            let error =
                Endpoint::parse(url, &Roots::Only(b"secret".to_vec()), second).err().unwrap();
            assert!(error.is_misconfigured(), "{error:?}");
            assert!(!format!("{error:?}").contains("secret"), "{error:?}");
        }
    }
}
