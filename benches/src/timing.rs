//! Times the rows in turn, so that a slow phase of the machine affects all of them.

use std::time::Duration;

use crate::rows::Row;

/// Number of rounds.
const ROUNDS: usize = 400;
/// Runs of each row per round.
const RUNS: usize = 16;

/// Prints, tab-separated: row, ns per call, ns over its base, the budgets in ns and instructions, the
/// base.
pub fn print(rows: &mut [Row]) {
    let times = measure(rows);
    for (row, own) in rows.iter().zip(&times) {
        let base = rows.iter().position(|base| base.name == row.base).map(|base| &times[base]);
        let over = base.map(|base| own.iter().zip(base).map(|(own, base)| own - base).collect());
        let over = over.map_or_else(|| "-".to_owned(), |over| format!("{:.1}", median(over)));
        let budget = row.nanoseconds.map_or_else(|| "-".to_owned(), |most| format!("{most:.0}"));
        let instructions = row.instructions.map_or_else(|| "-".to_owned(), |most| most.to_string());
        let base = if row.base.is_empty() { "-" } else { row.base };
        println!(
            "{}\t{:.1}\t{over}\t{budget}\t{instructions}\t{base}",
            row.name,
            median(own.clone())
        );
    }
}

/// Measures the ns per call of each row in each round.
fn measure(rows: &mut [Row]) -> Vec<Vec<f64>> {
    let mut times = vec![Vec::with_capacity(ROUNDS); rows.len()];
    for round in 0..ROUNDS {
        for offset in 0..rows.len() {
            // The order differs in every round.
            let place = (round + offset) % rows.len();
            let mut fastest_half: Vec<Duration> = (0..RUNS).map(|_| (rows[place].run)()).collect();
            fastest_half.sort_unstable();
            fastest_half.truncate(RUNS / 2 + 1);
            let middle = fastest_half.pop().unwrap_or_default();
            times[place].push(middle.as_nanos() as f64 / Row::CALLS as f64);
        }
    }
    times
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
