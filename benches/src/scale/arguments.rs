//! The command line.

use std::path::PathBuf;

use crate::BoxError;

pub struct Arguments {
    /// Path of the gateway, built for release.
    pub gateway: PathBuf,
    pub tenants: Vec<usize>,
    pub stores: Vec<Store>,
    pub rounds: usize,
    /// Number of concurrent connections.
    pub connections: usize,
    /// Number of gateways on one server: one receives the notifications, the others follow.
    pub replicas: usize,
    /// Skips the Resumes, and with them half of the signing, which dominates with a million
    /// tenants.
    pub close_only: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Memory,
    Redb,
    /// Syncs its log every second, as Redis recommends.
    Redis,
    /// Syncs its log before it answers.
    RedisAlways,
    /// Syncs its write-ahead log before it answers, as it does by default.
    Postgres,
}

impl Store {
    const ALL: [Self; 5] =
        [Self::Memory, Self::Redb, Self::Redis, Self::RedisAlways, Self::Postgres];

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redb => "redb",
            Self::Redis => "redis",
            Self::RedisAlways => "redis-always",
            Self::Postgres => "postgres",
        }
    }

    /// Returns whether several gateways can share it.
    pub fn is_shared(self) -> bool {
        matches!(self, Self::Redis | Self::RedisAlways | Self::Postgres)
    }

    pub fn is_durable(self) -> bool {
        self != Self::Memory
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|store| store.name() == name)
    }
}

const USAGE: &str = "usage: scale --gateway PROGRAM [--rounds 3] [--connections 128] \
    [--stores memory,redb,redis,redis-always,postgres] [--replicas 1] [--close-only] TENANTS...";

impl Arguments {
    pub fn parse() -> Result<Self, BoxError> {
        let mut parsed = Self {
            gateway: PathBuf::new(),
            tenants: Vec::new(),
            stores: vec![Store::Memory, Store::Redb, Store::Redis, Store::Postgres],
            rounds: 3,
            connections: 128,
            replicas: 1,
            close_only: false,
        };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            match arg.as_str() {
                "--gateway" => parsed.gateway = args.next().ok_or(USAGE)?.into(),
                "--rounds" => parsed.rounds = count(args.next())?,
                "--connections" => parsed.connections = count(args.next())?,
                "--replicas" => parsed.replicas = count(args.next())?,
                "--close-only" => parsed.close_only = true,
                "--stores" => {
                    let named: Option<Vec<_>> =
                        args.next().ok_or(USAGE)?.split(',').map(Store::named).collect();
                    parsed.stores = named.ok_or(USAGE)?;
                }
                _ => parsed.tenants.push(count(Some(arg))?),
            }
        }
        if parsed.tenants.is_empty() || !parsed.gateway.is_file() {
            return Err(USAGE.into());
        }
        Ok(parsed)
    }
}

fn count(arg: Option<String>) -> Result<usize, BoxError> {
    let count = arg.and_then(|arg| arg.parse().ok()).filter(|&count| count > 0);
    count.ok_or_else(|| USAGE.into())
}
