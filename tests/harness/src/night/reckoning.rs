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

/// Mean step between two pulls of a tenant that is being upgraded: 60 s, of which up to a half is
/// left out at random.
const STEP: Duration = Duration::from_secs(45);

/// Time that a tenant which has been closed for longer than the median is pulled ahead of others.
const HEAD_START: Duration = Duration::from_secs(300);

/// Longest that chance adds to the time between two pulls: the difference of two steps, and that a
/// replica which was refused a lease waits a little longer than that lasts.
const CHANCE: Duration = Duration::from_secs(30 + 30 + 5);

impl Reckoning {
    /// Returns the time in which the limit lets each tenant be pulled once.
    pub fn round(&self) -> Duration {
        let rate = self.replicas as f64 * f64::from(self.pulls_per_second);
        Duration::from_secs_f64(self.tenants as f64 / rate)
    }

    /// Returns the mean time between two pulls of a tenant.
    pub fn between_pulls(&self) -> Duration {
        self.round().max(STEP)
    }

    /// Returns the time between two pulls of a tenant that has been closed for longer than the
    /// median of those that become due. One pull of two is of such a tenant.
    pub fn between_pulls_of_long_closed(&self) -> Duration {
        self.between_pulls().saturating_sub(HEAD_START / 2).max(STEP)
    }

    /// Returns the time between two pulls of one that has not.
    pub fn between_pulls_of_others(&self) -> Duration {
        2 * self.between_pulls() - self.between_pulls_of_long_closed()
    }

    /// Returns how long a lost Resume keeps a tenant closed at most.
    pub fn longest_closed(&self) -> Duration {
        self.between_pulls_of_others() + CHANCE
    }
}
