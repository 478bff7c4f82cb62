//! The formula of docs/capacity.md for the pulls of an upgrade night.

use std::time::Duration;

/// Replicas that share the pulls of tenants, all of which are being upgraded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reckoning {
    /// Number of gates on one store.
    pub replicas: usize,
    /// Number of tenants that are upgraded.
    pub tenants: usize,
    /// The limit of each replica.
    pub pulls_per_second: u32,
}

/// Longest step between two pulls of a tenant that is being upgraded.
const STEP: Duration = Duration::from_secs(60);

/// Head start of tenants that have been closed for longer than the median: others are late by that.
const HEAD_START: Duration = Duration::from_secs(300);

/// A replica that was refused a lease goes on with the tenant so much later than its end.
const AFTER_LEASE: Duration = Duration::from_secs(5);

impl Reckoning {
    /// Returns the pulls a second of all replicas together.
    pub fn rate(&self) -> f64 {
        self.replicas as f64 * f64::from(self.pulls_per_second)
    }

    /// Returns the time in which each tenant is pulled once, where the limit sets it.
    pub fn round(&self) -> Duration {
        Duration::from_secs_f64(self.tenants as f64 / self.rate())
    }

    /// Returns the mean time between two pulls of a tenant: it is due after a step of which up to a
    /// half is left out at random, and pulled when all that were due before have been.
    pub fn between_pulls(&self) -> Duration {
        self.round().max(STEP.mul_f64(0.75))
    }

    /// Returns how long a lost Resume keeps a tenant closed at most.
    pub fn longest_closed(&self) -> Duration {
        if self.round() <= STEP.mul_f64(0.75) {
            return STEP + AFTER_LEASE;
        }
        self.round() + STEP + AFTER_LEASE + HEAD_START
    }
}
