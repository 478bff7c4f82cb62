//! A whole upgrade night of several replicas, held against the formula of docs/capacity.md.

use harness::night::{Figures, Night, Reckoning};
use tokio::time::Duration;

/// Nights of these are over in seconds. The limit is low, so that pulls wait as those of a million
/// tenants do.
const SMALL: Reckoning = Reckoning { replicas: 5, tenants: 500, pulls_per_second: 1 };

/// Asserts what holds for each night with leases.
fn assert_reckoned(figures: &Figures) {
    println!("{figures}");
    let reckoned = figures.reckoning;
    let (between, mean) = (figures.between_pulls, reckoned.between_pulls());
    assert!(between.median >= mean.mul_f64(0.9), "{figures}");
    assert!(between.median <= mean.mul_f64(1.1), "{figures}");
    assert!(figures.closed_by_lost.longest <= reckoned.longest_closed(), "{figures}");
    assert_eq!(figures.lost, reckoned.tenants / 20, "{figures}");
    assert!(figures.share_twice() <= 0.01, "{figures}");
    assert_eq!((figures.different, figures.resyncs), (0, 0), "{figures}");
}

#[tokio::test(start_paused = true)]
async fn night_with_waiting_pulls_is_as_reckoned() {
    assert_reckoned(&Night::new(SMALL).simulate().await);
}
