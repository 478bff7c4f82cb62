//! SuperOffice's clock, which can be wrong.

use std::{
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::{Duration, SystemTime},
};

/// The machine's clock and an offset to it, in seconds.
#[derive(Debug, Clone, Default)]
pub(crate) struct SkewedClock(Arc<AtomicI64>);

impl SkewedClock {
    pub(crate) fn now(&self) -> SystemTime {
        let (now, offset) = (SystemTime::now(), self.0.load(Ordering::Relaxed));
        let distance = Duration::from_secs(offset.unsigned_abs());
        let skewed = if offset < 0 { now.checked_sub(distance) } else { now.checked_add(distance) };
        skewed.unwrap_or(now)
    }

    pub(super) fn set_offset(&self, seconds: i64) {
        self.0.store(seconds, Ordering::Relaxed);
    }
}
