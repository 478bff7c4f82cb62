//! What one replica remembers of a tenant's pulls, by its own monotonic clock. It is kept beside the
//! record and never stored.

use std::time::Duration;

use super::{
    derive::{Derived, outcome_without_pulls, status_without_override},
    mono::Mono,
    past::Past,
    record::Record,
};

/// The past of a tenant, as far as it bears on its next pull.
///
/// Times are those since the gate was built.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PullHistory {
    /// When the last pull was gained, own or joined; until there is one, when the tenant was loaded.
    news: Mono,
    /// Since when the tenant is closed for its present reason; an override doesn't count.
    closed: Mono,
    /// When the last own pull ended.
    attempt: Mono,
    attempts: Attempts,
    /// Agreeing pulls since the status came to rest on one; [`AGREEING`] when nothing is watched.
    agreeing: u8,
    /// Nothing has been gained since the tenant was loaded.
    loaded: bool,
}

/// Own pulls in a row that brought no news.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) enum Attempts {
    #[default]
    None,
    /// Answers that said nothing of the tenant, such as `Unknown`.
    Unknown(u8),
    /// No answer, or an invalid one.
    Failed(u8),
}

/// What a record gained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Gained {
    /// A pull, perhaps with other facts: an own one, or news of another replica.
    Pull,
    /// Other facts.
    Other,
    /// What a store held when it was loaded.
    Loaded,
}

/// So many pulls must agree with a status that came to rest on one.
const AGREEING: u8 = 3;

impl Default for PullHistory {
    fn default() -> Self {
        Self {
            news: Mono::NEVER,
            closed: Mono::NEVER,
            attempt: Mono::NEVER,
            attempts: Attempts::None,
            agreeing: AGREEING,
            loaded: false,
        }
    }
}

impl PullHistory {
    /// Follows a record to what it is at `now`, after it `gained` something or a load brought it.
    pub(crate) fn update(&mut self, past: &Past, after: &Record, gained: Gained, now: Duration) {
        let next = status_without_override(after);
        if gained == Gained::Loaded && past.is_empty {
            self.news = Mono::at(now);
            self.loaded = true;
        } else if gained == Gained::Pull {
            self.news = Mono::at(now);
            self.loaded = false;
            self.attempts = Attempts::None;
        }
        if past.deciding != after.deciding() {
            self.attempts = Attempts::None;
        }
        if next.closed.is_some() && past.outcome != next.outcome() {
            self.closed = Mono::at(now);
        }
        let turned = if past.is_empty {
            outcome_without_pulls(after) != next.outcome()
        } else {
            past.outcome != next.outcome()
        };
        if !next.rests_on_pull() {
            self.agreeing = AGREEING;
        } else if turned {
            self.agreeing = 0;
        } else if gained == Gained::Pull && self.agreeing < AGREEING && agrees(after, &next) {
            self.agreeing += 1;
        }
    }

    /// Notes that an own pull ended at `now`, with news on record or without.
    pub(crate) fn attempted(&mut self, attempts: Attempts, now: Duration) {
        self.attempt = Mono::at(now);
        self.attempts = attempts;
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

    /// Returns the moment of the load, while nothing has been gained since.
    pub(crate) fn loaded(&self) -> Option<Mono> {
        Some(self.news).filter(|_| self.loaded)
    }
}

impl Attempts {
    /// Returns the count after one more answer that said nothing.
    pub(crate) fn unknown(self) -> Self {
        Self::Unknown(self.count().saturating_add(1))
    }

    /// Returns the count after one more failure.
    pub(crate) fn failed(self) -> Self {
        Self::Failed(self.count().saturating_add(1))
    }

    fn count(self) -> u8 {
        match self {
            Self::None => 0,
            Self::Unknown(count) | Self::Failed(count) => count,
        }
    }
}

/// Whether the last pull by number says what the status is.
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
