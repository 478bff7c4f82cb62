//! The pulls that are due and wait for the rate limit, in the order of their value.

use std::{collections::VecDeque, time::Duration};

use super::{queue::Entry, schedule::Trigger};
use crate::{status::mono::Mono, tenants::entry::Ready};

/// The pulls that are due, in lanes: each is in the order in which its pulls became due.
///
/// Lanes differ by a head start, and not by rank, so that no flood of one kind keeps another from
/// ever being pulled: a pull is late by at most the head start of those that it lets pass.
#[derive(Debug, Default)]
pub(super) struct ReadyPulls {
    /// Requested and tracked tenants, ahead of the others but for a share that the queue leaves
    /// these.
    requested: VecDeque<Entry>,
    wanted: VecDeque<Entry>,
    long_closed: VecDeque<Entry>,
    rest: VecDeque<Entry>,
    /// Open tenants whose answer is no longer fresh.
    stale: VecDeque<Entry>,
    /// Pulls for which there is time when nothing is due but open tenants.
    idle: VecDeque<Entry>,
    closed: RecentlyClosed,
}

/// Head start of a tenant that calls are refused at, or that is waited for.
const WANTED: Duration = Duration::from_secs(3600);

/// Head start of a tenant that has been closed for longer than the median: the notification of its
/// opening is more likely to have been lost.
const LONG_CLOSED: Duration = Duration::from_secs(300);

/// The moments since which those tenants are closed whose pulls became due last, for their median.
#[derive(Debug, Default)]
struct RecentlyClosed {
    moments: VecDeque<Mono>,
    median: Option<Mono>,
    /// Number of moments that have come since the median was calculated.
    since: usize,
}

const SAMPLE: usize = 256;

/// Number of moments after which the median is calculated again.
const EVERY: usize = 16;

impl ReadyPulls {
    /// Adds a pull that has become due.
    pub(super) fn push(&mut self, entry: Entry, ready: Ready) {
        let long = ready.closed.is_some_and(|closed| self.closed.is_long(closed));
        let lane = match entry.trigger {
            Trigger::Requested => &mut self.requested,
            Trigger::Idle => &mut self.idle,
            Trigger::Stale => &mut self.stale,
            _ if ready.wanted => &mut self.wanted,
            _ if long => &mut self.long_closed,
            _ => &mut self.rest,
        };
        lane.push_back(entry);
    }

    /// Adds a pull that is in another lane too, and whose tenant has come to be wanted.
    pub(super) fn push_wanted(&mut self, entry: Entry) {
        self.wanted.push_back(entry);
    }

    /// Takes the next pull that is neither requested nor idle nor stale, current or not.
    pub(super) fn pop(&mut self) -> Option<Entry> {
        let lanes = [
            (&mut self.wanted, WANTED),
            (&mut self.long_closed, LONG_CLOSED),
            (&mut self.rest, Duration::ZERO),
        ];
        let fronts = lanes.into_iter().filter_map(|(lane, start)| {
            let due = lane.front()?.due.time();
            // From the longest head start on: a tie goes to that.
            Some((due.saturating_add(WANTED).saturating_sub(start), lane))
        });
        fronts.min_by_key(|(rank, _)| *rank)?.1.pop_front()
    }

    /// Takes the next requested one, current or not.
    pub(super) fn pop_requested(&mut self) -> Option<Entry> {
        self.requested.pop_front()
    }

    /// Takes the next idle one, current or not.
    pub(super) fn pop_idle(&mut self) -> Option<Entry> {
        self.idle.pop_front()
    }

    /// Takes the next stale one, current or not.
    pub(super) fn pop_stale(&mut self) -> Option<Entry> {
        self.stale.pop_front()
    }

    /// Returns when the next stale one became due, current or not.
    pub(super) fn next_stale(&self) -> Option<Duration> {
        Some(self.stale.front()?.due.time())
    }

    /// Returns when the oldest of them became due. Outdated ones in front are dropped.
    pub(super) fn oldest(&mut self, is_ready: impl Fn(&Entry) -> bool) -> Option<Duration> {
        let fronts = self.lanes().into_iter().filter_map(|lane| {
            while lane.front().is_some_and(|entry| !is_ready(entry)) {
                lane.pop_front();
            }
            Some(lane.front()?.due.time())
        });
        fronts.min()
    }

    /// Drops outdated entries when there are many of them. `waiting` are not.
    pub(super) fn sweep(&mut self, waiting: usize, is_ready: impl Fn(&Entry) -> bool) {
        /// Fewer are not swept.
        const SLACK: usize = 1024;
        // A tenant that has come to be wanted is in two lanes.
        if self.len() > waiting.saturating_mul(2).saturating_add(SLACK) {
            for lane in self.lanes() {
                lane.retain(&is_ready);
                lane.shrink_to_fit();
            }
        }
    }

    /// Returns the number of entries, current or not.
    pub(super) fn len(&self) -> usize {
        let Self { requested, wanted, long_closed, rest, stale, idle, .. } = self;
        [requested, wanted, long_closed, rest, stale, idle].map(VecDeque::len).iter().sum()
    }

    fn lanes(&mut self) -> [&mut VecDeque<Entry>; 6] {
        let Self { requested, wanted, long_closed, rest, stale, idle, .. } = self;
        [requested, wanted, long_closed, rest, stale, idle]
    }
}

impl RecentlyClosed {
    /// Notes that the pull of a tenant became due, and returns whether it has been closed for
    /// longer than the median of those that came before.
    fn is_long(&mut self, closed: Mono) -> bool {
        if self.moments.len() == SAMPLE {
            self.moments.pop_front();
        }
        self.moments.push_back(closed);
        self.since += 1;
        if self.since >= EVERY {
            self.since = 0;
            let mut sorted: Vec<_> = self.moments.iter().copied().collect();
            sorted.sort_unstable();
            self.median = sorted.get(sorted.len() / 2).copied();
        }
        self.median.is_some_and(|median| closed < median)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenant_id::TenantId;

    fn entry(number: u64, due: u64, trigger: Trigger) -> Entry {
        let tenant = TenantId::new(format!("Cust{number}")).unwrap();
        Entry { due: Mono::at(Duration::from_secs(due)), trigger, tenant }
    }

    fn ready(wanted: bool, closed: u64) -> Ready {
        Ready { wanted, closed: Some(Mono::at(Duration::from_secs(closed))) }
    }

    fn order(ready: &mut ReadyPulls) -> Vec<String> {
        std::iter::from_fn(|| ready.pop()).map(|entry| entry.tenant.to_string()).collect()
    }

    #[test]
    fn wanted_come_first_and_long_closed_before_the_rest() {
        let mut pulls = ReadyPulls::default();
        for number in 0..32 {
            // Every other is closed for longer.
            pulls.push(entry(1_000, 0, Trigger::Idle), ready(false, 100 + number % 2));
        }
        pulls.push(entry(1, 200, Trigger::Closed), ready(false, 101));
        pulls.push(entry(2, 300, Trigger::Closed), ready(false, 100));
        pulls.push(entry(3, 400, Trigger::Closed), ready(true, 101));
        pulls.push(entry(4, 250, Trigger::Turned), Ready { wanted: false, closed: None });
        assert_eq!(order(&mut pulls), ["Cust3", "Cust2", "Cust1", "Cust4"]);
        assert_eq!(pulls.idle.len(), 32, "not among those");
    }

    #[test]
    fn head_start_ends_for_those_that_waited_longer() {
        let mut pulls = ReadyPulls::default();
        pulls.push(entry(1, 100, Trigger::Closed), ready(false, 0));
        pulls.push(entry(2, 3_699, Trigger::Closed), ready(true, 0));
        pulls.push(entry(3, 3_701, Trigger::Closed), ready(true, 0));
        assert_eq!(order(&mut pulls), ["Cust2", "Cust1", "Cust3"]);
    }

    #[test]
    fn median_follows_those_that_became_due_last() {
        let mut closed = RecentlyClosed::default();
        let at = |seconds| Mono::at(Duration::from_secs(seconds));
        assert!(!(0..1_000).any(|_| closed.is_long(at(500))), "all are alike");
        assert!(closed.is_long(at(499)) && !closed.is_long(at(501)));
        (0..SAMPLE as u64).for_each(|_| _ = closed.is_long(at(900)));
        assert!(closed.is_long(at(501)));
    }

    #[test]
    fn median_is_that_of_many_and_not_of_the_last() {
        let mut closed = RecentlyClosed::default();
        let at = |seconds| Mono::at(Duration::from_secs(seconds));
        let earlier = [500; 9].into_iter().chain([100; 6]);
        assert!(!earlier.into_iter().any(|seconds| closed.is_long(at(seconds))), "too few to tell");
        _ = closed.is_long(at(900));
        assert!(closed.is_long(at(499)) && !closed.is_long(at(500)) && !closed.is_long(at(501)));
    }

    #[test]
    fn outdated_pulls_are_swept_when_most_are() {
        let mut pulls = ReadyPulls::default();
        let current = |entry: &Entry| entry.trigger == Trigger::Turned;
        for number in 0..1_034 {
            let trigger = if number < 5 { Trigger::Turned } else { Trigger::Closed };
            pulls.push(entry(number, number, trigger), ready(number % 2 == 0, 0));
        }
        pulls.sweep(5, current);
        assert_eq!(pulls.len(), 1_034, "few enough");
        pulls.push(entry(2_000, 0, Trigger::Idle), ready(false, 0));
        pulls.sweep(5, current);
        assert_eq!(pulls.len(), 5);
        assert!(pulls.lanes().iter().all(|lane| lane.capacity() <= 8), "their room is given back");
        assert_eq!(order(&mut pulls), ["Cust0", "Cust2", "Cust4", "Cust1", "Cust3"]);
    }
}
