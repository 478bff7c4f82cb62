//! One replica as tests drive it: a record, what is known of it by a monotonic clock, and a wall
//! clock that shows what the test likes.

use std::{sync::Arc, time::Duration};

use crate::status::{
    ChangeType, Record, State,
    derive::status,
    fact::Fact,
    knowledge::Knowledge,
    notified::Notified,
    past::Past,
    pulled::Pulled,
    settle::Settle,
    stamp::{PullAnswer, PullStamp},
};

pub(super) const SETTLE: Settle =
    Settle { usual: Duration::from_secs(60), upgrade: Duration::from_secs(900) };

/// One replica: a record, what is known of it, and a clock in seconds.
#[derive(Default)]
pub(super) struct Replica {
    pub(super) record: Record,
    pub(super) knowledge: Knowledge,
    /// Seconds since it started.
    pub(super) now: u64,
    /// The time that its wall clock shows, in ms.
    pub(super) wall: u64,
}

impl Replica {
    fn now(&self) -> Duration {
        Duration::from_secs(self.now)
    }

    pub(super) fn wait(&mut self, seconds: u64) -> &mut Self {
        self.now += seconds;
        self
    }

    pub(super) fn change(&mut self, change: impl FnOnce(&mut Record)) -> &mut Self {
        let past = Past::of(&self.record);
        change(&mut self.record);
        self.knowledge.update(&past, &self.record, self.now());
        self
    }

    pub(super) fn notify(&mut self, change: ChangeType, token_time: i64) -> &mut Self {
        let notified = Notified::new(change, token_time, self.wall, Arc::default());
        self.change(|record| _ = record.record_notification(notified))
    }

    pub(super) fn join(&mut self, other: &Record) -> &mut Self {
        self.change(|record| _ = record.merge(other))
    }

    pub(super) fn stamp(&self) -> PullStamp {
        PullStamp::new(&self.record, &self.knowledge, &SETTLE, self.now())
    }

    pub(super) fn complete(&mut self, stamp: PullStamp, state: State) -> &mut Self {
        let answer =
            PullAnswer { state, details: Arc::default(), fresh: None, taken_at: self.wall };
        let pulled = stamp.into_pull(answer, &self.record, &SETTLE);
        self.change(|record| _ = record.insert(&Fact::Pulled(pulled)))
    }

    pub(super) fn pull(&mut self, state: State) -> &mut Self {
        let stamp = self.stamp();
        self.complete(stamp, state)
    }

    /// A process with the same record that starts now.
    pub(super) fn restarted(&self) -> Self {
        let mut next = Self::default();
        next.join(&self.record);
        next
    }

    pub(super) fn is_open(&self) -> bool {
        status(&self.record).is_available()
    }

    pub(super) fn last(&self) -> &Pulled {
        self.record.last_pull().unwrap()
    }
}
