//! A whole upgrade night of several replicas, held against the formula of docs/capacity.md.

use harness::night::{Figures, Night, Reckoning};
use tokio::time::Duration;

/// Nights of these are over in seconds. The limit is low, so that pulls wait as those of a million
/// tenants do.
const SMALL: Reckoning = Reckoning { replicas: 3, tenants: 300, pulls_per_second: 1 };

/// Asserts what holds for each night with leases.
fn assert_reckoned(figures: &Figures) {
    println!("{figures}");
    let reckoned = figures.reckoning;
    let (mean, between) = (figures.between_pulls.mean, reckoned.between_pulls());
    assert!((between.mul_f64(0.9)..=between.mul_f64(1.1)).contains(&mean), "{figures}");
    assert!(figures.between_pulls.longest <= reckoned.longest_closed(), "{figures}");
    assert!(figures.closed_by_lost.longest <= reckoned.longest_closed(), "{figures}");
    assert_eq!(figures.lost, reckoned.tenants / 20, "{figures}");
    assert!(figures.share_twice() <= 0.01, "{figures}");
    assert_eq!((figures.different, figures.resyncs), (0, 0), "{figures}");
}

#[tokio::test(start_paused = true)]
async fn night_with_waiting_pulls_is_as_reckoned() {
    assert_reckoned(&Night::new(SMALL).simulate().await);
}

#[tokio::test(start_paused = true)]
async fn night_within_the_limit_is_as_reckoned() {
    let reckoning = Reckoning { replicas: 3, tenants: 100, pulls_per_second: 10 };
    assert_eq!(reckoning.between_pulls(), Duration::from_secs(45));
    assert_reckoned(&Night::new(reckoning).simulate().await);
}

#[tokio::test(start_paused = true)]
async fn replicas_without_leases_pull_twice() {
    let reckoning = Reckoning { tenants: 100, ..SMALL };
    let night = Night { leases: false, ..Night::new(reckoning) };
    let figures = night.simulate().await;
    assert!(figures.share_twice() > 0.25, "{figures}");
}

/// The text of a time in docs/capacity.md.
fn text(time: Duration) -> String {
    let seconds = time.as_secs();
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes @ 60.., _) => {
            let minutes = minutes + u64::from(seconds % 60 >= 30);
            format!("{} h {} min", minutes / 60, minutes % 60)
        }
        (minutes @ 35.., seconds) => format!("{} min", minutes + u64::from(seconds >= 30)),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}

#[test]
fn table_of_rounds_is_as_reckoned() {
    let page = include_str!("../../../docs/capacity.md");
    for (tenants, name) in
        [(1_000, "1,000"), (10_000, "10,000"), (100_000, "100,000"), (1_000_000, "1,000,000")]
    {
        let round = |replicas| {
            let reckoning = Reckoning { replicas, tenants, pulls_per_second: 10 };
            let bound = reckoning.round() + Duration::from_secs(4 * 60);
            assert!(reckoning.longest_closed() < bound, "a round and four minutes at most");
            text(reckoning.round())
        };
        let cells = [1, 3, 10, 50].map(round).join(" | ");
        let row = format!("| {name} | {cells} | ");
        assert!(page.contains(&row), "{row}");
    }
}
