//! The address of the server, and the connections to it.

use std::{future::poll_fn, str::FromStr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::Notify,
    task::JoinHandle,
};
use tokio_postgres::{
    AsyncMessage, Client, Config, Connection,
    config::{Host, SslMode, TargetSessionAttrs},
};

use super::tls::Tls;
use crate::store::{StoreError, roots::Roots};

/// The port of a server whose URL gives none.
const PORT: u16 = 5432;

/// Time for which sent bytes may stay unacknowledged before the system drops a connection.
const UNACKNOWLEDGED: Duration = Duration::from_secs(10);

/// The address of a server, and its credentials.
pub(super) struct Endpoint {
    /// The URL without user and password, for logs and errors.
    pub(super) name: String,
    /// Time-out of connecting, logging in and checking the server.
    pub(super) connect_timeout: Duration,
    config: Config,
    tls: Tls,
}

/// A connection with the task that drives it.
pub(super) struct Connected {
    pub(super) client: Client,
    /// Notified when a notification of a channel arrives.
    pub(super) woken: Arc<Notify>,
    driver: JoinHandle<()>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Endpoint {
    /// Parses a URL. With TLS `roots` are trusted. None of the errors quotes the URL: it may hold a
    /// password.
    pub(super) fn parse(
        url: &str,
        roots: &Roots,
        connect_timeout: Duration,
    ) -> Result<Self, StoreError> {
        if !["postgres://", "postgresql://"].iter().any(|scheme| url.starts_with(scheme)) {
            return Err(invalid());
        }
        let (url, mode) = split_ssl_mode(url);
        // The library's error may quote a part of the URL.
        let mut config = Config::from_str(&url).map_err(|_| invalid())?;
        if config.get_hosts().is_empty() || config.get_user().is_none() {
            return Err(invalid());
        }
        // In the order of their security, so that an unknown one fails.
        let mode = match mode.as_deref() {
            None if is_local(&config) => SslMode::Disable,
            None | Some("require" | "verify-ca" | "verify-full") => SslMode::Require,
            Some("prefer") => SslMode::Prefer,
            Some("disable") => SslMode::Disable,
            Some(_) => return Err(invalid()),
        };
        config.ssl_mode(mode);
        // A server that takes no writes is passed over, as a replica is.
        config.target_session_attrs(TargetSessionAttrs::ReadWrite);
        config.connect_timeout(connect_timeout);
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(UNACKNOWLEDGED);
        }
        if config.get_application_name().is_none() {
            config.application_name("tower-superoffice");
        }
        let tls = if mode == SslMode::Disable { Tls::none() } else { Tls::new(roots)? };
        Ok(Self { name: name(&config), connect_timeout, config, tls })
    }

    /// Connects and logs in.
    pub(super) async fn connect(&self) -> Result<Connected, tokio_postgres::Error> {
        self.tls.connect(&self.config).await
    }

    /// Requests that the server end the running statement of `client`. It may have ended before.
    pub(super) async fn cancel(&self, client: &Client) {
        let cancelled =
            tokio::time::timeout(self.connect_timeout, self.tls.cancel(client.cancel_token()));
        if let Ok(Err(error)) = cancelled.await {
            crate::log::debug!(store = %self.name, %error, "statement not cancelled");
        }
    }
}

impl Connected {
    /// Starts the task that drives `connection`.
    pub(super) fn drive<S, T>(client: Client, mut connection: Connection<S, T>) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
        T: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let woken = Arc::new(Notify::new());
        let waker = woken.clone();
        let driver = tokio::spawn(async move {
            loop {
                match poll_fn(|cx| connection.poll_message(cx)).await {
                    Some(Ok(AsyncMessage::Notification(_))) => waker.notify_one(),
                    Some(Ok(_)) => {}
                    // The calls that wait get the reason.
                    Some(Err(_)) | None => return,
                }
            }
        });
        Self { client, woken, driver }
    }

    /// Returns whether the connection has ended.
    pub(super) fn is_closed(&self) -> bool {
        self.driver.is_finished() || self.client.is_closed()
    }
}

fn invalid() -> StoreError {
    StoreError::misconfigured(
        "invalid URL of the PostgreSQL store: write \
         postgres://USER[:PASSWORD]@HOST[:PORT][,HOST[:PORT]...][/DATABASE][?sslmode=MODE]",
    )
}

/// Takes the last `sslmode` out of the query of `url`: the library knows fewer of its values.
fn split_ssl_mode(url: &str) -> (String, Option<String>) {
    let Some((address, query)) = url.split_once('?') else { return (url.to_owned(), None) };
    let mode = |pair: &&str| pair.starts_with("sslmode=");
    let (modes, others): (Vec<_>, Vec<_>) = query.split('&').partition(mode);
    let mode = modes.last().map(|pair| pair.trim_start_matches("sslmode=").to_owned());
    let url = if others.is_empty() {
        address.to_owned()
    } else {
        format!("{address}?{}", others.join("&"))
    };
    (url, mode)
}

/// Returns whether all hosts are this machine, where nothing can be read on the way.
fn is_local(config: &Config) -> bool {
    config.get_hosts().iter().all(|host| match host {
        Host::Tcp(name) => {
            let address = name.trim_start_matches('[').trim_end_matches(']').parse();
            name == "localhost" || address.is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    })
}

fn name(config: &Config) -> String {
    let ports = config.get_ports();
    let hosts: Vec<String> = config
        .get_hosts()
        .iter()
        .enumerate()
        .map(|(n, host)| {
            let port = ports.get(n).or(ports.first()).copied().unwrap_or(PORT);
            match host {
                Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
                Host::Tcp(name) => format!("{name}:{port}"),
                #[cfg(unix)]
                Host::Unix(path) => format!("{}:{port}", path.display()),
            }
        })
        .collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or_default();
    format!("postgres://{}/{database}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Endpoint, StoreError> {
        Endpoint::parse(url, &Roots::Public, Duration::from_secs(1))
    }

    #[test]
    fn name_has_no_credentials() {
        for (url, name) in [
            ("postgres://user:secret@127.0.0.1", "postgres://127.0.0.1:5432/user"),
            ("postgresql://user@localhost:7000/db", "postgres://localhost:7000/db"),
            (
                "postgres://user:se%2fcret@a.example,b.example:7000/db?sslmode=disable",
                "postgres://a.example:5432,b.example:7000/db",
            ),
            (
                "postgres://user:secret@%2Fvar%2Frun%2Fpostgresql/db",
                "postgres:///var/run/postgresql:5432/db",
            ),
        ] {
            let endpoint = parse(url).unwrap();
            assert_eq!(endpoint.name, name);
        }
    }

    #[test]
    fn only_this_machine_goes_without_tls() {
        for (url, expected) in [
            ("postgres://u@127.0.0.1/db", SslMode::Disable),
            ("postgres://u@127.0.0.1/db?sslmode=verify-full", SslMode::Require),
            ("postgres://u@localhost,[::1]/db", SslMode::Disable),
            #[cfg(unix)]
            ("postgres://u@%2Frun/db", SslMode::Disable),
            // No socket, but a host of that name.
            #[cfg(not(unix))]
            ("postgres://u@%2Frun/db", SslMode::Require),
            ("postgres://u@localhost,db.example/db", SslMode::Require),
            ("postgres://u@db.example/db?application_name=x&sslmode=prefer", SslMode::Prefer),
            ("postgres://u@db.example/db?sslmode=disable", SslMode::Disable),
            ("postgres://u@db.example/db?sslmode=disable&sslmode=require", SslMode::Require),
        ] {
            assert_eq!(parse(url).unwrap().config.get_ssl_mode(), expected, "{url}");
        }
    }

    #[test]
    fn invalid_url_is_refused_without_quoting_it() {
        for url in [
            "",
            "secret",
            "redis://user:secret@host",
            "postgres://",
            "postgres:///db?password=secret",
            "postgres://host/secret",
            "postgres://user:secret@host:port/db",
            "postgres://user:secret@host/db?sslmode=secret",
            "postgres://user:secret@host/db?sslmode=",
            "postgres://user:secret@host/db?target_session_attrs=secret",
            "postgres://user:secret@host/db?port=secret",
        ] {
            let error = parse(url).err().expect(url);
            assert!(error.is_misconfigured(), "{error:?}");
            assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
        }
    }
}
