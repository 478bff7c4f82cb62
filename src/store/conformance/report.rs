//! The result of the suite.

use std::{error::Error, fmt, time::Duration};

use crate::store::StoreError;

/// The checks of the suite, one per clause of the contract.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Laws,
    Spelling,
    NewerMinor,
    Damaged,
    Dropped,
    OneTenant,
    Changes,
    Lagging,
    LogLoss,
    DataLoss,
    Removal,
    Leases,
    Outage,
    Scale,
}

impl Check {
    fn clause(self) -> &'static str {
        match self {
            Self::Laws => "merge joins records, in any order and number of writes",
            Self::Spelling => "ids that differ in case are one tenant, in the first spelling",
            Self::NewerMinor => "fields of a newer minor schema survive an older writer",
            Self::Damaged => "a malformed record is unreadable until a fact replaces it",
            Self::Dropped => "a merge that is dropped leaves the store consistent",
            Self::OneTenant => "concurrent writers of one tenant lose nothing",
            Self::Changes => "no gap between load and changes",
            Self::Lagging => "a subscriber that lags loses no change",
            Self::LogLoss => "changes that are lost are covered by a resync",
            Self::DataLoss => "records that are lost lead to a resync",
            Self::Removal => "a removal is announced, and takes nothing newer along",
            Self::Leases => "a lease has one holder until it ends",
            Self::Outage => "an outage fails calls without a hang, and needs no restart",
            Self::Scale => "many tenants are all stored at full speed",
        }
    }
}

/// The outcome of a check that did not fail.
pub(super) enum Done {
    Passed,
    /// The store does not offer the checked function.
    Skipped,
}

/// The checks of a passed run, and the times of the test of scale.
#[derive(Debug, Clone, Default)]
pub struct Report {
    passed: Vec<Check>,
    skipped: Vec<Check>,
    pub(super) times: Times,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    pub(super) tenants: usize,
    pub(super) merges: Duration,
    pub(super) load: Duration,
}

impl Report {
    pub(super) fn record(
        &mut self,
        check: Check,
        result: Result<Done, Broken>,
    ) -> Result<(), Failure> {
        match result {
            Ok(Done::Passed) => self.passed.push(check),
            Ok(Done::Skipped) => self.skipped.push(check),
            Err(broken) => return Err(Failure { check, broken }),
        }
        Ok(())
    }

    /// Returns the clauses that passed.
    pub fn passed(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.passed.iter().map(|check| check.clause())
    }

    /// Returns the clauses that were skipped.
    pub fn skipped(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.skipped.iter().map(|check| check.clause())
    }

    /// Returns the time of merging all tenants of the test of scale, 256 at a time.
    #[must_use]
    pub fn merge_time(&self) -> Duration {
        self.times.merges
    }

    /// Returns the time of loading them all.
    #[must_use]
    pub fn load_time(&self) -> Duration {
        self.times.load
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.passed().try_for_each(|clause| writeln!(f, "passed   {clause}"))?;
        self.skipped().try_for_each(|clause| writeln!(f, "skipped  {clause}"))?;
        let Times { tenants, merges, load } = self.times;
        write!(f, "{tenants} tenants: merged in {merges:.1?}, loaded in {load:.1?}")
    }
}

/// A failed check.
#[derive(Debug)]
pub struct Failure {
    check: Check,
    broken: Broken,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store fails \"{}\": {}", self.check.clause(), self.broken.what)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.broken.error.as_ref().map(|error| error as _)
    }
}

/// The reason of a failure.
#[derive(Debug)]
pub(super) struct Broken {
    what: String,
    error: Option<StoreError>,
}

impl Broken {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self { what: what.into(), error: None }
    }
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self { what: format!("a call failed: {error}"), error: Some(error) }
    }
}

/// Fails with `what` unless `passed`.
pub(super) fn ensure(passed: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if passed { Ok(()) } else { Err(Broken::new(what())) }
}
