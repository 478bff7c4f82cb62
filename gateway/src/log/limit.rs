//! A bound on how often one thing is logged.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

const WINDOW: Duration = Duration::from_secs(60);

/// Lets a number of events through each minute and counts the others, so that callers can't fill a
/// disk with log lines.
#[derive(Debug)]
pub(crate) struct Limit {
    per_minute: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    window: Option<Instant>,
    passed: u32,
    suppressed: u64,
}

impl Limit {
    pub(crate) const fn per_minute(per_minute: u32) -> Self {
        let state = State { window: None, passed: 0, suppressed: 0 };
        Self { per_minute, state: Mutex::new(state) }
    }

    /// Returns whether to log now: `Some` with the number of events suppressed since the last one
    /// that was logged, or `None`.
    pub(crate) fn pass(&self) -> Option<u64> {
        self.pass_at(Instant::now())
    }

    fn pass_at(&self, now: Instant) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.window.is_none_or(|start| now.saturating_duration_since(start) >= WINDOW) {
            state.window = Some(now);
            state.passed = 0;
        }
        if state.passed == self.per_minute {
            state.suppressed = state.suppressed.saturating_add(1);
            return None;
        }
        state.passed += 1;
        Some(std::mem::take(&mut state.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_beyond_the_limit_are_counted() {
        let (limit, start) = (Limit::per_minute(2), Instant::now());
        assert_eq!(limit.pass_at(start), Some(0));
        assert_eq!(limit.pass_at(start), Some(0));
        for _ in 0..7 {
            assert_eq!(limit.pass_at(start + WINDOW / 2), None);
        }
        assert_eq!(limit.pass_at(start + WINDOW), Some(7));
        assert_eq!(limit.pass_at(start + WINDOW), Some(0));
        assert_eq!(limit.pass_at(start + WINDOW), None);
    }
}
