//! Times all rows in one process, in turn, so that a slow phase of the machine affects all of them.

use serde::{Deserialize, Serialize};

use crate::{
    calls::BATCH,
    report::median,
    rows::{self, Run},
    setup::Setup,
    threads,
};

/// Number of rounds.
const ROUNDS: usize = 60;
/// Batches of each row per round: all 1,024 tenants of a cold row.
const RUNS: usize = 16;

/// The times of a row in one process.
#[derive(Serialize, Deserialize)]
pub struct Sample {
    pub name: String,
    /// Per call, over the row that is subtracted from it.
    pub ns: f64,
    /// To its peer.
    pub ratio: Option<f64>,
    /// Calls in a second, of all threads.
    pub per_second: Option<f64>,
}

pub fn take(count: usize) -> Vec<Sample> {
    let setup = Setup::new(count);
    let mut runs: Vec<Run> = rows::ALL.iter().map(|row| row.start(&setup)).collect();
    let times = measure(&mut runs);

    let find = |name| rows::ALL.iter().position(|row| row.name == name).expect("one of the rows");
    let total = |place: usize| median(times[place].clone());
    let cost = |place: usize| match rows::ALL[place].over {
        None => total(place),
        Some(base) => {
            let pairs = times[place].iter().zip(&times[find(base)]);
            median(pairs.map(|(own, base)| own - base).collect())
        }
    };
    let samples = rows::ALL.iter().enumerate().map(|(place, row)| {
        let ratio = row.peer.map(|peer| match row.over {
            Some(base) if base == peer => total(place) / total(find(peer)),
            _ => cost(place) / cost(find(peer)),
        });
        Sample { name: row.name.to_owned(), ns: cost(place), ratio, per_second: None }
    });
    samples.chain(threads::measure(&setup)).collect()
}

/// Measures the ns per call of each row in each round.
fn measure(runs: &mut [Run]) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(ROUNDS); runs.len()];
    for round in 0..ROUNDS {
        for offset in 0..runs.len() {
            // The order differs in every round.
            let place = (round + offset) % runs.len();
            let batches = (0..RUNS).map(|_| per_call(&mut runs[place])).collect();
            times[place].push(median(batches));
        }
    }
    times
}

fn per_call(run: &mut Run) -> f64 {
    run().as_nanos() as f64 / BATCH as f64
}
