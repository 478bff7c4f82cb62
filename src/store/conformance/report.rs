//! What the suite found.

use std::{error::Error, fmt, time::Duration};

use crate::store::StoreError;

/// The promises that the suite tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Check {
    Laws,
    Spelling,
    NewerMinor,
    Dropped,
    OneTenant,
    Changes,
    Leases,
    Outage,
    Scale,
}

impl Check {
    fn promise(self) -> &'static str {
        match self {
            Self::Laws => "merge joins, whatever the order and number of writes",
            Self::Spelling => "ids that differ in case are one tenant, spelled as first stored",
            Self::NewerMinor => "what a newer minor schema stored survives an older writer",
            Self::Dropped => "a merge that is dropped half way leaves the store whole",
            Self::OneTenant => "writers of one tenant at the same time lose nothing",
            Self::Changes => "no gap between load and changes",
            Self::Leases => "a lease has one holder until it ends",
            Self::Outage => "an outage fails calls without a hang, and ends by itself",
            Self::Scale => "many tenants at full speed are all there",
        }
    }
}

/// How a check ended when it did not fail.
pub(super) enum Done {
    Passed,
    /// The store does not offer what the check is about.
    LeftOut,
}

/// What the suite did, and how long its large part took.
#[derive(Debug, Clone, Default)]
pub struct Report {
    passed: Vec<Check>,
    left_out: Vec<Check>,
    pub(super) times: Times,
}

#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Times {
    pub(super) tenants: usize,
    pub(super) merges: Duration,
    pub(super) load: Duration,
}

impl Report {
    pub(super) fn take(
        &mut self,
        check: Check,
        result: Result<Done, Broken>,
    ) -> Result<(), Failure> {
        match result {
            Ok(Done::Passed) => self.passed.push(check),
            Ok(Done::LeftOut) => self.left_out.push(check),
            Err(broken) => return Err(Failure { check, broken }),
        }
        Ok(())
    }

    /// The promises that were tested and kept.
    pub fn passed(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.passed.iter().map(|check| check.promise())
    }

    /// The promises that this store does not make, or that the suite was told to leave out.
    pub fn left_out(&self) -> impl Iterator<Item = &'static str> + '_ {
        self.left_out.iter().map(|check| check.promise())
    }

    /// How long it took to merge all tenants of the test of scale, 256 at a time.
    #[must_use]
    pub fn merge_time(&self) -> Duration {
        self.times.merges
    }

    /// How long it took to load them all.
    #[must_use]
    pub fn load_time(&self) -> Duration {
        self.times.load
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.passed().try_for_each(|promise| writeln!(f, "kept      {promise}"))?;
        self.left_out().try_for_each(|promise| writeln!(f, "left out  {promise}"))?;
        let Times { tenants, merges, load } = self.times;
        write!(f, "{tenants} tenants: merged in {merges:.1?}, loaded in {load:.1?}")
    }
}

/// A promise that the store broke.
#[derive(Debug)]
pub struct Failure {
    check: Check,
    broken: Broken,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store broke its promise \"{}\": {}", self.check.promise(), self.broken.what)
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.broken.error.as_ref().map(|error| error as _)
    }
}

/// How a promise was broken.
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

/// Breaks with `what` unless `kept`.
pub(super) fn ensure(kept: bool, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if kept { Ok(()) } else { Err(Broken::new(what())) }
}
