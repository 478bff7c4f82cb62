//! The time for which one replica has known a tenant's facts, by its own monotonic clock. It is
//! kept beside the record and never stored.

use std::time::Duration;

use super::{
    mono::Mono, notified::OpenClose, past::Past, pulled::Knew, record::Record, settle::Settle,
    state::PullOutcome,
};

/// The time for which the deciding notification of a record has been known here, which decides
/// whether a pull has settled.
///
/// Times are those since the gate was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Knowledge {
    /// Time since which the deciding notification is known: received, merged, or loaded.
    since: Mono,
    /// Time since which the first of an unbroken run of closings of one type is known.
    run: Mono,
    /// Number of seconds of token time by which that first one precedes the deciding notification.
    run_length: u32,
    /// Time since which a settled closed pull that knew the deciding notification is recorded.
    agreed: Mono,
}

/// Whether a pull that is sent now will be settled, by its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Settles {
    pub(crate) running: bool,
    pub(crate) closed: bool,
}

impl Default for Knowledge {
    fn default() -> Self {
        let start = Mono::default();
        Self { since: start, run: start, run_length: 0, agreed: Mono::NEVER }
    }
}

impl Knowledge {
    /// Updates the knowledge to the record at `now`.
    pub(crate) fn update(&mut self, past: &Past, after: &Record, now: Duration) {
        let Some(deciding) = after.deciding() else { return };
        if past.deciding != Some(deciding) {
            self.since = Mono::at(now);
            self.agreed = Mono::NEVER;
            match past.repeated_by(deciding) {
                Some(last) => {
                    let further = deciding.token_time.saturating_sub(last.token_time);
                    let further = u32::try_from(further).unwrap_or(u32::MAX);
                    self.run_length = self.run_length.saturating_add(further);
                }
                None => self.end_run(),
            }
        }
        // An opening between the first of a run and the last, even one that comes late, ends it.
        let first = deciding.token_time.saturating_sub(i64::from(self.run_length));
        if after.notified(OpenClose::Resume.change()).is_some_and(|own| own.token_time >= first) {
            self.end_run();
        }
        let knew = after.pulls().filter(|pulled| pulled.knew() == Some(deciding));
        if let Some(known) = knew.map(|pulled| pulled.known).max() {
            self.since = self.since.min(Mono::seconds_before(now, known));
        }
        self.run = self.run.min(self.since);
        if self.agreed == Mono::NEVER && is_agreed(after, deciding) {
            self.agreed = Mono::at(now);
        }
    }

    fn end_run(&mut self) {
        self.run = self.since;
        self.run_length = 0;
    }

    /// Returns for how long the deciding notification has been known.
    pub(crate) fn known(&self, now: Duration) -> Duration {
        self.since.elapsed(now)
    }

    /// Returns since when it has been known.
    pub(crate) fn since(&self) -> Mono {
        self.since
    }

    /// Returns whether a pull sent at `now` settles against a deciding notification of type
    /// `change`.
    pub(crate) fn settles(&self, change: OpenClose, settle: &Settle, now: Duration) -> Settles {
        let (known, wait) = (self.known(now), settle.after(change));
        // Repeated closings must not keep the state API from contradicting them for ever.
        let settled = known >= wait || self.run.elapsed(now) >= wait.saturating_mul(2);
        // The notice of an Upgrade precedes it: Running counts only once the tenant was down.
        let over = change == OpenClose::Upgrade
            && self.agreed != Mono::NEVER
            && self.agreed.elapsed(now) >= settle.usual;
        Settles { running: settled || over, closed: settled || known >= settle.usual }
    }

    /// Returns when a pull settles for the passage of time alone, whatever it finds; zero for a
    /// time before the gate was built.
    pub(crate) fn settles_at(&self, change: OpenClose, settle: &Settle) -> Duration {
        let wait = settle.after(change);
        self.since.plus(wait).min(self.run.plus(wait.saturating_mul(2)))
    }

    /// Returns when a pull that finds the tenant running settles, as things are.
    pub(crate) fn running_settles_at(&self, change: OpenClose, settle: &Settle) -> Duration {
        let settles = self.settles_at(change, settle);
        if change == OpenClose::Upgrade && self.agreed != Mono::NEVER {
            settles.min(self.agreed.plus(settle.usual))
        } else {
            settles
        }
    }
}

/// Returns whether a settled closed pull knew exactly the deciding notification.
fn is_agreed(record: &Record, deciding: Knew) -> bool {
    record.pulls().any(|pulled| {
        pulled.settled
            && pulled.outcome() != PullOutcome::Running
            && pulled.knew() == Some(deciding)
    })
}
