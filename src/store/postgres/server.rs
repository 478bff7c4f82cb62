//! Checks of the server, after connecting and from then on: its version, settings and clock.

use tokio_postgres::{Client, Error, Row};

use crate::{clock::Clock, store::StoreWarning};

/// The statement of a check. It names no table, so that any user may run it.
const CHECK: &str = include_str!("sql/check.sql");

/// The oldest version that is supported, as `server_version_num` has it.
const OLDEST: i32 = 14_00_00;

/// A difference of clocks up to this is left to those who synchronise them.
const TOLERATED: i64 = 60;

/// The result of a check.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) read_only: bool,
    pub(super) warnings: Vec<StoreWarning>,
}

/// Checks the server in one round trip.
pub(super) async fn check(client: &Client) -> Result<Report, Error> {
    let clock = Clock::system();
    let began = clock.unix_s();
    let row = client.query_typed_one(CHECK, &[]).await?;
    read(&row, began, clock.unix_s())
}

fn read(row: &Row, began: i64, ended: i64) -> Result<Report, Error> {
    let (version, clock): (i32, i64) = (row.try_get(0)?, row.try_get(4)?);
    let text = |column: usize| row.try_get::<_, &str>(column);
    let warnings = [
        old(version),
        lossy("synchronous_commit", text(1)?),
        lossy("fsync", text(2)?),
        wrong_clock(clock, began, ended),
    ];
    Ok(Report { read_only: text(3)? == "on", warnings: warnings.into_iter().flatten().collect() })
}

fn old(version: i32) -> Option<StoreWarning> {
    let version = (version < OLDEST).then(|| format!("{}.{}", version / 10_000, version % 10_000));
    version.map(|version| StoreWarning::Version { version })
}

/// Warns of a setting with which the server acknowledges what a crash of it loses.
fn lossy(setting: &str, value: &str) -> Option<StoreWarning> {
    (value == "off").then(|| {
        StoreWarning::Other(
            format!(
                "the store's server may lose acknowledged records in a crash under {setting} = off: set it to on"
            )
            .into(),
        )
    })
}

/// Compares the server's time, which it read between `began` and `ended`.
fn wrong_clock(server: i64, began: i64, ended: i64) -> Option<StoreWarning> {
    let ahead = match server {
        early if early < began => early.saturating_sub(began),
        late if late > ended => late.saturating_sub(ended),
        _ => 0,
    };
    (ahead.saturating_abs() > TOLERATED).then_some(StoreWarning::Clock { ahead })
}

/// Logs those of `warnings` that are not among the `former`.
pub(super) fn log_new(store: &str, former: &[StoreWarning], warnings: &[StoreWarning]) {
    for warning in warnings.iter().filter(|warning| !is_among(former, warning)) {
        crate::log::warn!(store, %warning, "store server misconfigured");
    }
}

fn is_among(former: &[StoreWarning], warning: &StoreWarning) -> bool {
    former.iter().any(|other| match (other, warning) {
        // The difference changes all the time.
        (StoreWarning::Clock { .. }, StoreWarning::Clock { .. }) => true,
        (other, warning) => other == warning,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_versions_and_lossy_settings_are_warned_of() {
        assert_eq!(old(14_00_00), None);
        assert_eq!(old(13_00_21), Some(StoreWarning::Version { version: "13.21".to_owned() }));
        for value in ["on", "local", "remote_write", "remote_apply"] {
            assert_eq!(lossy("synchronous_commit", value), None);
        }
        let warning = lossy("synchronous_commit", "off").unwrap().to_string();
        assert!(warning.contains("synchronous_commit = off"), "{warning}");
    }

    #[test]
    fn clock_is_compared_with_the_time_of_the_check() {
        for (server, ahead) in [(1000, 0), (1010, 0), (939, -61), (940, 0), (1070, 0), (1071, 61)] {
            let expected = (ahead != 0).then_some(StoreWarning::Clock { ahead });
            assert_eq!(wrong_clock(server, 1000, 1010), expected, "{server}");
        }
        let (one, other) = (StoreWarning::Clock { ahead: 61 }, StoreWarning::Clock { ahead: 62 });
        assert!(is_among(&[one], &other));
    }
}
