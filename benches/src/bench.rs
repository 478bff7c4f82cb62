//! Measures the hot paths and their peers in one interleaved run, with the budget of each.
//!
//! `bench` prints times; `bench count ROW CALLS` makes that many calls and nothing else, for an
//! instruction counter; `bench rows` lists the rows. `scripts/bench` runs all of it.

mod client;
mod gates;
mod rows;
mod timing;

use rows::Row;

/// Number of closed tenants in a timed run.
const MANY: usize = 1_000_000;
/// Number of closed tenants under the instruction counter, which is fifty times slower. It changes
/// cache misses, not instructions.
const FEW: usize = 20_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] => timing::print(&mut rows::all(MANY)),
        ["rows"] => rows::all(1).iter().for_each(|row| println!("{}", row.name)),
        ["count", name, calls] => count(name, calls.parse().expect("a number of calls")),
        _ => {
            eprintln!("usage: bench | bench rows | bench count ROW CALLS");
            std::process::exit(2);
        }
    }
}

fn count(name: &str, calls: usize) {
    let mut rows = rows::all(FEW);
    let row = rows.iter_mut().find(|row| row.name == name).expect("one of the rows");
    for _ in 0..calls / Row::CALLS {
        (row.run)();
    }
}
