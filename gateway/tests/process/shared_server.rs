//! A server whose store several gateways share.

use harness::{PostgresServer, RedisServer};

/// The kinds of servers that gateways share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    Redis,
}

/// A server that has on disk whatever it acknowledged.
pub(crate) enum SharedServer {
    Postgres(PostgresServer),
    Redis(RedisServer),
}

impl SharedServer {
    /// `None`, after a line on stderr, when its program is missing.
    pub(crate) fn start(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Postgres => Self::Postgres(PostgresServer::start()?),
            Kind::Redis => Self::Redis(RedisServer::start()?),
        })
    }

    pub(crate) fn port(&self) -> u16 {
        match self {
            Self::Postgres(server) => server.port(),
            Self::Redis(server) => server.port(),
        }
    }

    pub(crate) fn url(&self) -> String {
        self.url_at(self.port())
    }

    /// The URL by way of another port.
    pub(crate) fn url_at(&self, port: u16) -> String {
        match self {
            Self::Postgres(server) => server.url_at(port),
            Self::Redis(_) => format!("redis://127.0.0.1:{port}/0"),
        }
    }

    pub(crate) fn kill(&mut self) {
        match self {
            Self::Postgres(server) => server.kill(),
            Self::Redis(server) => server.kill(),
        }
    }

    pub(crate) fn run(&mut self) {
        match self {
            Self::Postgres(server) => server.run(),
            Self::Redis(server) => server.run(),
        }
    }

    pub(crate) fn restart_without_data(&mut self) {
        match self {
            Self::Postgres(server) => server.restart_without_data(),
            Self::Redis(server) => server.restart_without_data(),
        }
    }

    pub(crate) fn pause(&self) {
        match self {
            Self::Postgres(server) => server.pause(),
            Self::Redis(server) => server.pause(),
        }
    }

    pub(crate) fn resume(&self) {
        match self {
            Self::Postgres(server) => server.resume(),
            Self::Redis(server) => server.resume(),
        }
    }
}
