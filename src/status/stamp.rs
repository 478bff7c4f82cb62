//! The part of a pull that is fixed when its request is sent.

use std::{sync::Arc, time::Duration};

use super::{
    history::fresh_for,
    knowledge::{Knowledge, Settles},
    pulled::{Knew, PullDetails, Pulled},
    record::Record,
    settle::Settle,
    state::{PullOutcome, State},
    wall,
};

/// The knowledge of a replica when it sent a request to the state API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct PullStamp {
    seq: u32,
    knew: Option<Knew>,
    known: u32,
    settles: Settles,
}

/// An answer of the state API with the state of the tenant.
#[derive(Debug, Clone)]
pub(crate) struct PullAnswer {
    pub(crate) state: State,
    pub(crate) details: Arc<PullDetails>,
    /// Time for which it is valid, if it has a `ValidUntil`.
    pub(crate) fresh: Option<Duration>,
    /// Wall time, ms since the epoch.
    pub(crate) taken_at: u64,
}

impl PullStamp {
    /// Stamps a pull that is sent at `now`, the time since the gate was built.
    pub(crate) fn new(
        record: &Record,
        knowledge: &Knowledge,
        settle: &Settle,
        now: Duration,
    ) -> Self {
        let knew = record.deciding();
        let known = knew.map_or(Duration::ZERO, |_| knowledge.known(now));
        Self {
            seq: record.next_seq(),
            knew,
            known: u32::try_from(known.as_secs()).unwrap_or(u32::MAX),
            settles: match knew {
                Some(knew) => knowledge.settles(knew.change, settle, now),
                None => Settles { running: true, closed: true },
            },
        }
    }

    /// Creates the pull of an answer. `record` is the record when it arrives.
    pub(crate) fn into_pull(self, answer: PullAnswer, record: &Record, settle: &Settle) -> Pulled {
        let outcome = answer.state.outcome();
        let running = outcome == PullOutcome::Running;
        let settled = if running { self.settles.running } else { self.settles.closed };
        let passed = match self.knew {
            Some(knew) if settled && running => settle.after(knew.change),
            Some(_) if settled => settle.usual,
            _ => Duration::ZERO,
        };
        let taken_at = answer.taken_at.min(wall::LATEST_MS);
        let last = record.last_pull().filter(|last| last.outcome() == outcome);
        let mut pulled = Pulled::new(answer.state, self.seq, self.knew);
        pulled.settled = settled;
        pulled.known = self.known.max(whole_seconds(passed));
        pulled.since = last.map_or(taken_at, |last| last.since);
        pulled.fresh = answer.fresh.map_or(0, fresh_seconds);
        pulled.details = answer.details;
        pulled
    }

    /// Returns whether `record` has a pull with this number or a later one.
    pub(crate) fn is_followed_in(&self, record: &Record) -> bool {
        record.pulls().any(|pulled| pulled.seq >= self.seq)
    }
}

/// Rounds up, so that the wait is over for a replica that continues this count.
fn whole_seconds(wait: Duration) -> u32 {
    let seconds = wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0));
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

fn fresh_seconds(fresh: Duration) -> u16 {
    u16::try_from(fresh_for(Some(fresh)).as_secs()).unwrap_or(u16::MAX)
}
