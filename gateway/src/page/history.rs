//! The recent past: the last events, and the numbers of the last hours.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError, Weak},
    time::{Duration, SystemTime},
};

use futures::{StreamExt, stream};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tower_superoffice::{TenantEvent, TenantGate};

use crate::served::Served;

/// Events that are kept, of all environments.
pub(super) const EVENTS: usize = 50;

/// Time between two samples.
const INTERVAL: Duration = Duration::from_secs(10);

/// Samples that are kept of each environment: of six hours.
const SAMPLES: usize = 6 * 360;

/// The time over which pulls are counted.
const LATELY: Duration = Duration::from_secs(60);

/// Keeps the last events and numbers of all gates, for as long as one of its handles lives.
#[derive(Debug, Clone)]
pub(super) struct History(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    events: VecDeque<Recorded>,
    /// The number of the next event.
    next: u64,
    /// Those of each environment.
    samples: Vec<VecDeque<Sample>>,
}

/// An event, and when it happened.
#[derive(Debug, Clone)]
pub(super) struct Recorded {
    pub(super) number: u64,
    pub(super) at: SystemTime,
    /// The place of its gate among the served ones.
    pub(super) gate: usize,
    pub(super) event: TenantEvent,
}

/// Numbers of an environment at one moment.
#[derive(Debug, Clone, Copy)]
struct Sample {
    at: Instant,
    closed: usize,
    pulls: Pulls,
}

/// Numbers of pulls, by their result.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Pulls {
    pub(super) answered: u64,
    pub(super) unknown: u64,
    pub(super) failed: u64,
}

impl Pulls {
    fn of(gate: &TenantGate) -> Self {
        let health = gate.health();
        health.pulls().map_or(Self::default(), |pulls| Self {
            answered: pulls.answered(),
            unknown: pulls.unknown(),
            failed: pulls.failed(),
        })
    }
}

impl History {
    /// Begins to record, in a task of its own.
    pub(super) fn record(served: &Served) -> Self {
        let gates = served.gates().to_vec();
        let samples = gates.iter().map(|_| VecDeque::new()).collect();
        let kept = Kept { events: VecDeque::new(), next: 0, samples };
        let this = Self(Arc::new(Mutex::new(kept)));
        tokio::spawn(run(Arc::downgrade(&this.0), gates));
        this
    }

    /// Returns the last events, the newest first.
    pub(super) fn events(&self) -> Vec<Recorded> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.events.iter().rev().cloned().collect()
    }

    /// Returns the results of a gate's pulls in the last minute.
    pub(super) fn pulls(&self, number: usize, gate: &TenantGate) -> Pulls {
        let (now, total) = (Instant::now(), Pulls::of(gate));
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let samples = kept.samples.get(number).into_iter().flatten();
        let before = samples.rev().find(|sample| now.duration_since(sample.at) >= LATELY);
        let before = before.map_or(Pulls::default(), |sample| sample.pulls);
        Pulls {
            answered: total.answered.saturating_sub(before.answered),
            unknown: total.unknown.saturating_sub(before.unknown),
            failed: total.failed.saturating_sub(before.failed),
        }
    }

    /// Returns how many tenants of a gate were closed over the last hours, as at most `points`
    /// numbers, each the largest of its part of that time, and how long that is.
    pub(super) fn closed(&self, number: usize, points: usize) -> (Vec<usize>, Duration) {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(samples) = kept.samples.get(number) else { return Default::default() };
        let closed: Vec<_> = samples.iter().map(|sample| sample.closed).collect();
        let largest = |part: &[usize]| part.iter().copied().max().unwrap_or_default();
        let parts = closed.chunks(closed.len().div_ceil(points).max(1));
        let span = match (samples.front(), samples.back()) {
            (Some(first), Some(last)) => last.at.duration_since(first.at),
            _ => Duration::ZERO,
        };
        (parts.map(largest).collect(), span)
    }
}

impl Kept {
    fn add_event(&mut self, gate: usize, event: TenantEvent) {
        if self.events.len() == EVENTS {
            self.events.pop_front();
        }
        let (number, at) = (self.next, SystemTime::now());
        self.events.push_back(Recorded { number, at, gate, event });
        self.next += 1;
    }

    fn add_samples(&mut self, gates: &[TenantGate]) {
        for (samples, gate) in self.samples.iter_mut().zip(gates) {
            if samples.len() == SAMPLES {
                samples.pop_front();
            }
            let closed = gate.health().closed();
            samples.push_back(Sample { at: Instant::now(), closed, pulls: Pulls::of(gate) });
        }
    }
}

async fn run(kept: Weak<Mutex<Kept>>, gates: Vec<TenantGate>) {
    let numbered =
        |(number, gate): (usize, &TenantGate)| gate.events().map(move |event| (number, event));
    let mut events = stream::select_all(gates.iter().enumerate().map(numbered));
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let event = tokio::select! {
            Some(event) = events.next() => Some(event),
            _ = ticks.tick() => None,
        };
        let Some(kept) = kept.upgrade() else { return };
        let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Some((gate, event)) => kept.add_event(gate, event),
            None => kept.add_samples(&gates),
        }
    }
}
