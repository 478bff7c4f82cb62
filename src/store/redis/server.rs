//! Checks of the server, after connecting and from then on: its role, version, configuration and
//! clock.

use std::time::Duration;

use redis::{FromRedisValue, RedisError, RedisResult, aio::MultiplexedConnection};

use crate::{clock::Clock, store::StoreWarning};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Primary,
    Replica,
}

/// The result of a check.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    /// `None` when the user may not read it.
    pub(super) role: Option<Role>,
    pub(super) warnings: Vec<StoreWarning>,
}

/// A difference of clocks up to this is left to those who synchronise them.
const TOLERATED: i64 = 60;

/// The oldest major version with all the commands.
const OLDEST: u32 = 6;

/// Pings the server and checks it, in one round trip.
///
/// # Errors
///
/// When it does not answer the ping. It need not answer the rest: the user may lack the rights.
pub(super) async fn check(connection: &MultiplexedConnection) -> RedisResult<Report> {
    let clock = Clock::system();
    let began = clock.unix_ms();
    let (ping, info, time) = tokio::join!(
        query::<()>(connection, "PING"),
        query::<String>(connection, "INFO"),
        query::<(i64, i64)>(connection, "TIME"),
    );
    ping?;
    let mut report = Report::default();
    match info {
        Ok(info) => report.read(&info),
        Err(error) => skipped(&error),
    }
    match time {
        Ok((seconds, _)) => report.compare(seconds, began, &clock),
        Err(error) => skipped(&error),
    }
    Ok(report)
}

/// Sends a command without arguments.
async fn query<T: FromRedisValue>(
    connection: &MultiplexedConnection,
    command: &str,
) -> RedisResult<T> {
    redis::cmd(command).query_async(&mut connection.clone()).await
}

fn skipped(error: &RedisError) {
    crate::log::debug!(%error, "store server not checked");
}

impl Report {
    pub(super) fn is_replica(&self) -> bool {
        self.role == Some(Role::Replica)
    }

    /// Reads the answer to `INFO`: lines of `name:value`.
    fn read(&mut self, info: &str) {
        for line in info.lines() {
            match line.split_once(':') {
                Some(("role", "master")) => self.role = Some(Role::Primary),
                Some(("role", "slave" | "replica")) => self.role = Some(Role::Replica),
                Some(("redis_version", version)) if is_old(version) => {
                    self.warnings.push(StoreWarning::Version { version: version.to_owned() });
                }
                // The others evict only what has a time to live: leases.
                Some(("maxmemory_policy", policy)) if policy.starts_with("allkeys-") => {
                    self.warnings.push(StoreWarning::Eviction { policy: policy.to_owned() });
                }
                _ => {}
            }
        }
    }

    /// Compares the server's time, in seconds since the epoch, with that between `began` and now.
    fn compare(&mut self, server: i64, began: u64, clock: &Clock) {
        let seconds = |ms: u64| i64::try_from(ms / 1000).unwrap_or(i64::MAX);
        let (earliest, latest) = (seconds(began), clock.unix_s());
        let ahead = if server > latest {
            server.saturating_sub(latest)
        } else if server < earliest {
            server.saturating_sub(earliest)
        } else {
            0
        };
        if ahead.saturating_abs() > TOLERATED {
            self.warnings.push(StoreWarning::Clock { ahead });
        }
    }
}

fn is_old(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major < OLDEST)
}

/// Logs those of `warnings` whose kind is not among the `known` ones.
pub(super) fn log_new(store: &str, known: &[StoreWarning], warnings: &[StoreWarning]) {
    for warning in warnings {
        let kind = std::mem::discriminant(warning);
        if known.iter().any(|known| std::mem::discriminant(known) == kind) {
            continue;
        }
        crate::log::warn!(store, %warning, "store server misconfigured");
    }
}

/// Time between two checks of a connection.
pub(super) const INTERVAL: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn read(info: &str) -> Report {
        let mut report = Report::default();
        report.read(info);
        report
    }

    #[test]
    fn info_names_role_version_and_policy() {
        let good = "# Server\r\nredis_version:7.0.15\r\n\r\n# Memory\r\nmaxmemory_policy:noeviction\r\n# Replication\r\nrole:master\r\n";
        assert_eq!(read(good), Report { role: Some(Role::Primary), warnings: vec![] });
        assert_eq!(read("role:slave\r\n").role, Some(Role::Replica));
        for policy in ["noeviction", "volatile-lru", "volatile-ttl", "volatile-random"] {
            assert_eq!(read(&format!("maxmemory_policy:{policy}")), Report::default());
        }
        for policy in ["allkeys-lru", "allkeys-lfu", "allkeys-random"] {
            let policy = policy.to_owned();
            let warnings = read(&format!("maxmemory_policy:{policy}")).warnings;
            assert_eq!(warnings, [StoreWarning::Eviction { policy }]);
        }
        for version in ["5.0.14", "2.8.9"] {
            let version = version.to_owned();
            let warnings = read(&format!("redis_version:{version}")).warnings;
            assert_eq!(warnings, [StoreWarning::Version { version }]);
        }
        for version in ["6.0.0", "6.2.14", "7.2.4", "10.0.0", "", "unknown"] {
            assert_eq!(read(&format!("redis_version:{version}")), Report::default());
        }
    }

    #[test]
    fn clock_is_compared_with_the_whole_round_trip() {
        let now = 1_700_000_100;
        let clock = Clock::new(move || UNIX_EPOCH + Duration::from_secs(now));
        let compare = |server| {
            let mut report = Report::default();
            report.compare(server, 1_700_000_000_000, &clock);
            report.warnings
        };
        for server in [1_699_999_940, 1_700_000_000, 1_700_000_100, 1_700_000_160] {
            assert_eq!(compare(server), []);
        }
        for (server, ahead) in [(1_699_999_939, -61), (1_700_000_161, 61), (i64::MIN, i64::MIN)] {
            assert_eq!(compare(server), [StoreWarning::Clock { ahead }]);
        }
    }
}
