//! The history of a tenant's pulls at one replica, by its own monotonic clock. It is kept beside
//! the record and never stored.

use std::time::Duration;

use super::{
    derive::{Derived, outcome_without_pulls},
    mono::Mono,
    past::Past,
    record::Record,
};

/// The history of a tenant that its next pull depends on.
///
/// Times are those since the gate was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PullHistory {
    /// Time at which the last pull was gained, own or merged; before one, at which the tenant was
    /// loaded.
    news: Mono,
    /// Time since which the tenant is closed for its current reason, overrides aside.
    closed: Mono,
    /// Time at which the last own pull ended.
    attempt: Mono,
    attempts: Attempts,
    /// Agreeing pulls since the status came to rest on one; [`AGREEING`] when none is awaited, and
    /// [`OVERRULED`] when a new one is.
    agreeing: u8,
    /// Number of minutes for which the last answer is fresh; 0 from a load until the next answer.
    fresh: u8,
}

/// Consecutive own pulls without a new fact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Attempts {
    #[default]
    None,
    /// Answers without a state, such as `Unknown`.
    Unknown(u8),
    /// No answer, or an invalid one.
    Failed(u8),
}

/// The kind of a gain of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gained {
    /// A pull, perhaps with other facts: an own one, or one of another replica.
    Pull,
    /// Other facts.
    Other,
    /// The record of a store that was loaded.
    Loaded,
}

/// Returns the time for which an answer is fresh: that for which it is valid, but at least 5
/// minutes and at most an hour.
pub(crate) fn fresh_for(valid_for: Option<Duration>) -> Duration {
    valid_for.unwrap_or_default().clamp(SHORTEST_FRESH, LONGEST_FRESH)
}

const SHORTEST_FRESH: Duration = Duration::from_secs(5 * 60);
const LONGEST_FRESH: Duration = Duration::from_secs(60 * 60);

/// Shortest time between pulls of an open tenant because it is called or tracked.
pub(crate) const CALLED_PAUSE: Duration = Duration::from_secs(60);

/// Number of pulls that must agree with a status that came to rest on one.
const AGREEING: u8 = 3;

/// An own pull was overruled by older ones, of another replica or of the process before: they know
/// a notification that this replica did not know when it sent its request. Nothing tells which of
/// them is right now but a new pull.
const OVERRULED: u8 = AGREEING + 1;

impl Default for PullHistory {
    fn default() -> Self {
        Self {
            news: Mono::NEVER,
            closed: Mono::NEVER,
            attempt: Mono::NEVER,
            attempts: Attempts::None,
            agreeing: AGREEING,
            fresh: 0,
        }
    }
}

impl PullHistory {
    /// Updates the history to the record at `now`, after it `gained` something or was loaded.
    /// `next` is its status without its override.
    pub(crate) fn update(
        &mut self,
        past: &Past,
        (after, next): (&Record, &Derived),
        gained: Gained,
        now: Duration,
    ) {
        if gained == Gained::Loaded && past.is_empty {
            self.news = Mono::at(now);
            self.fresh = 0;
        } else if gained == Gained::Pull {
            self.news = Mono::at(now);
            self.attempts = Attempts::None;
            let fresh = after.last_pull().map(|pulled| Duration::from_secs(pulled.fresh.into()));
            self.fresh = minutes(fresh_for(fresh));
        }
        if past.deciding != after.deciding() {
            self.attempts = Attempts::None;
        }
        if next.closed.is_some() && past.outcome != next.outcome() {
            self.closed = Mono::at(now);
        }
        let turned = || {
            let before = if past.is_empty { outcome_without_pulls(after) } else { past.outcome };
            before != next.outcome()
        };
        let overruled = past.rests_on_pull
            && self.attempt().is_some()
            && past.deciding != after.deciding()
            && past.outcome != next.outcome();
        if !next.rests_on_pull() {
            self.agreeing = AGREEING;
        } else if overruled {
            self.agreeing = OVERRULED;
        } else if turned() {
            self.agreeing = 0;
        } else if gained == Gained::Pull && self.agreeing < AGREEING && agrees(after, next) {
            self.agreeing += 1;
        } else if gained == Gained::Pull && self.is_overruled() {
            self.agreeing = u8::from(agrees(after, next));
        }
    }

    /// Records that an own pull ended at `now`, with a new fact or without.
    pub(crate) fn attempted(&mut self, attempts: Attempts, now: Duration) {
        self.attempt = Mono::at(now);
        self.attempts = attempts;
    }

    /// Sets for how long the last own answer is valid.
    pub(crate) fn set_fresh(&mut self, valid_for: Option<Duration>) {
        self.fresh = minutes(fresh_for(valid_for));
    }

    /// Returns whether the last answer, or what was loaded, is no longer fresh at `now`.
    pub(crate) fn is_stale(&self, now: Duration) -> bool {
        let fresh = self.fresh();
        self.news().is_some_and(|news| news.elapsed(now) >= fresh) && self.may_pull_for_calls(now)
    }

    /// Returns the time before which [`is_stale`](Self::is_stale) is false, as things are; `None`
    /// while nothing is known of a pull.
    pub(crate) fn fresh_until(&self) -> Option<Duration> {
        Some(self.news()?.plus(self.fresh()))
    }

    /// Returns for how long the last answer, or what was loaded, is fresh.
    pub(crate) fn fresh(&self) -> Duration {
        fresh_for(Some(Duration::from_secs(60 * u64::from(self.fresh))))
    }

    /// Returns whether calls may have the tenant pulled at `now`: not soon after another pull, and
    /// not while pulls back off.
    pub(crate) fn may_pull_for_calls(&self, now: Duration) -> bool {
        let before = |at: Option<Mono>, pause| at.is_none_or(|at| at.elapsed(now) >= pause);
        before(self.news(), CALLED_PAUSE) && before(self.attempt(), self.attempts.called_pause())
    }

    /// Returns when the last pull was gained, or the tenant loaded.
    pub(crate) fn news(&self) -> Option<Mono> {
        Some(self.news).filter(|news| *news != Mono::NEVER)
    }

    /// Returns since when the tenant is closed.
    pub(crate) fn closed(&self) -> Mono {
        self.closed
    }

    /// Returns when the last own pull ended.
    pub(crate) fn attempt(&self) -> Option<Mono> {
        Some(self.attempt).filter(|attempt| *attempt != Mono::NEVER)
    }

    pub(crate) fn attempts(&self) -> Attempts {
        self.attempts
    }

    /// Returns how many pulls have agreed since the status came to rest on one that is watched.
    pub(crate) fn turned(&self) -> Option<u8> {
        Some(self.agreeing).filter(|agreeing| *agreeing < AGREEING)
    }

    /// Returns whether an own pull was overruled by older ones, and none was gained since.
    pub(crate) fn is_overruled(&self) -> bool {
        self.agreeing == OVERRULED
    }

    /// Returns the moment of the load, until the next answer.
    pub(crate) fn loaded(&self) -> Option<Mono> {
        self.news().filter(|_| self.fresh == 0)
    }
}

fn minutes(duration: Duration) -> u8 {
    u8::try_from(duration.as_secs() / 60).unwrap_or(u8::MAX)
}

impl Attempts {
    /// Returns the count after one more answer without a state.
    pub(crate) fn unknown(self) -> Self {
        Self::Unknown(self.count().saturating_add(1))
    }

    /// Returns the count after one more failure.
    pub(crate) fn failed(self) -> Self {
        Self::Failed(self.count().saturating_add(1))
    }

    /// Returns how long after these no pull is made because of calls: a minute, doubled by each
    /// attempt, up to 5 minutes, or an hour after answers without a state.
    fn called_pause(self) -> Duration {
        let longest = match self {
            Self::None => return CALLED_PAUSE,
            Self::Unknown(_) => LONGEST_FRESH,
            Self::Failed(_) => SHORTEST_FRESH,
        };
        (CALLED_PAUSE * (1 << self.count().saturating_sub(1).min(6))).min(longest)
    }

    fn count(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Unknown(count) | Self::Failed(count) => count,
        }
    }
}

/// Returns whether the last pull by number agrees with the status.
fn agrees(record: &Record, status: &Derived) -> bool {
    record.last_pull().is_some_and(|pulled| pulled.outcome() == status.outcome())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_takes_16_bytes() {
        assert_eq!(size_of::<PullHistory>(), 16);
    }
}
