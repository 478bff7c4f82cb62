//! The gateway that a subcommand sends its request to.

use std::{ffi::OsStr, fs, net::SocketAddr};

use super::{OperatorToken, command::Connection};

/// A gateway's URL, with the token and the authorities for requests to it.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) token: Option<OperatorToken>,
    /// Certificates, in PEM, of authorities that are trusted besides the public ones.
    pub(crate) authorities: Option<Vec<u8>>,
}

impl Target {
    /// Finds the gateway at the URL of `connection`, else the one that listens on `listen`.
    pub(super) fn new(
        connection: &Connection,
        token: Option<&OsStr>,
        listen: SocketAddr,
    ) -> Result<Self, String> {
        let url = match &connection.url {
            Some(url) if url.scheme().is_none() || url.query().is_some() => {
                return Err("--url is the gateway's, such as http://127.0.0.1:8080".to_owned());
            }
            Some(url) => url.to_string(),
            None => url_of(listen),
        };
        let token = OperatorToken::from_sources(connection.operator_token_file.as_deref(), token)?;
        let authorities = match &connection.ca_file {
            None => None,
            Some(file) => Some(
                fs::read(file).map_err(|error| format!("--ca-file {}: {error}", file.display()))?,
            ),
        };
        Ok(Self { url, token, authorities })
    }
}

/// The URL of a gateway of this machine.
fn url_of(mut listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() {
        listen.set_ip(match listen {
            SocketAddr::V4(_) => std::net::Ipv4Addr::LOCALHOST.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::LOCALHOST.into(),
        });
    }
    format!("http://{listen}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gateway_that_listens_everywhere_is_reached_here() {
        for (listen, url) in [
            ("127.0.0.1:8080", "http://127.0.0.1:8080"),
            ("0.0.0.0:80", "http://127.0.0.1:80"),
            ("[::]:8080", "http://[::1]:8080"),
            ("10.1.2.3:8080", "http://10.1.2.3:8080"),
        ] {
            assert_eq!(url_of(listen.parse().unwrap()), url);
        }
    }
}
