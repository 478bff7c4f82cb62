//! The server that keeps the records of all replicas.

use clap::ValueEnum;

use crate::{BoxError, postgres_server::PostgresServer, redis_server::RedisServer};

/// The kinds of servers that replicas can share.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    Postgres,
    Redis,
}

pub enum Server {
    Postgres(PostgresServer),
    Redis(RedisServer),
}

impl Server {
    /// Starts a server without data on a free port of loopback.
    pub async fn start(kind: Kind) -> Result<Self, BoxError> {
        Ok(match kind {
            Kind::Postgres => Self::Postgres(PostgresServer::start().await?),
            Kind::Redis => Self::Redis(RedisServer::start().await?),
        })
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "PostgreSQL",
            Self::Redis(_) => "Redis",
        }
    }

    /// Returns the URL that its stores connect to.
    pub fn url(&self) -> String {
        match self {
            Self::Postgres(server) => server.url(),
            Self::Redis(server) => server.url(),
        }
    }

    /// Runs the server without data, and waits until it answers.
    pub async fn run(&mut self) -> Result<(), BoxError> {
        match self {
            Self::Postgres(server) => server.run().await,
            Self::Redis(server) => server.run().await,
        }
    }

    /// Ends the server at once, as a crash would.
    pub async fn kill(&mut self) -> Result<(), BoxError> {
        match self {
            Self::Postgres(server) => server.kill().await,
            Self::Redis(server) => server.kill().await,
        }
    }
}
