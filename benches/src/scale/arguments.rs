//! The command line.

use std::path::PathBuf;

use crate::BoxError;

pub struct Arguments {
    /// The `gateway` example, built for release.
    pub gateway: PathBuf,
    pub tenants: Vec<usize>,
    pub stores: Vec<Store>,
    pub rounds: usize,
    /// Connections that post at once.
    pub connections: usize,
    /// Gateways on one Redis server: one takes the notifications, the others follow.
    pub replicas: usize,
    /// Leaves the tenants closed: half of the signing, which takes longest with a million.
    pub close_only: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Memory,
    Redb,
    /// Syncs every second, as Redis recommends.
    Redis,
    /// Syncs before it answers.
    RedisAlways,
}

impl Store {
    const ALL: [Self; 4] = [Self::Memory, Self::Redb, Self::Redis, Self::RedisAlways];

    pub fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Redb => "redb",
            Self::Redis => "redis",
            Self::RedisAlways => "redis-always",
        }
    }

    pub fn is_durable(self) -> bool {
        self != Self::Memory
    }

    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|store| store.name() == name)
    }
}

const USAGE: &str = "usage: scale --gateway PROGRAM [--rounds 3] [--connections 128] \
    [--stores memory,redb,redis,redis-always] [--replicas 1] [--close-only] TENANTS...";

impl Arguments {
    pub fn read() -> Result<Self, BoxError> {
        let mut read = Self {
            gateway: PathBuf::new(),
            tenants: Vec::new(),
            stores: vec![Store::Memory, Store::Redb, Store::Redis],
            rounds: 3,
            connections: 128,
            replicas: 1,
            close_only: false,
        };
        let mut words = std::env::args().skip(1);
        while let Some(word) = words.next() {
            match word.as_str() {
                "--gateway" => read.gateway = words.next().ok_or(USAGE)?.into(),
                "--rounds" => read.rounds = count(words.next())?,
                "--connections" => read.connections = count(words.next())?,
                "--replicas" => read.replicas = count(words.next())?,
                "--close-only" => read.close_only = true,
                "--stores" => {
                    let named: Option<Vec<_>> =
                        words.next().ok_or(USAGE)?.split(',').map(Store::named).collect();
                    read.stores = named.ok_or(USAGE)?;
                }
                _ => read.tenants.push(count(Some(word))?),
            }
        }
        if read.tenants.is_empty() || !read.gateway.is_file() {
            return Err(USAGE.into());
        }
        Ok(read)
    }
}

fn count(word: Option<String>) -> Result<usize, BoxError> {
    let count = word.and_then(|word| word.parse().ok()).filter(|&count| count > 0);
    count.ok_or_else(|| USAGE.into())
}
