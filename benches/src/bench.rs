//! Measures calls through the guard and its peers, with the budget of each.
//!
//! `bench` reports all, `bench --json` as JSON. `bench sample` times the rows in this process,
//! `bench count ROW CALLS` makes that many calls and nothing else, for an instruction counter, and
//! `bench rows` lists the rows: for the first, and for a profiler.

mod by_hand;
mod calls;
mod client;
mod driver;
mod gates;
mod report;
mod rows;
mod sample;
mod setup;
mod threads;

/// Number of closed tenants in a timed run.
const MANY: usize = 1_000_000;
/// Number of closed tenants under the instruction counter, which is fifty times slower. It changes
/// cache misses, not instructions.
const FEW: usize = 20_000;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        [] | ["--json"] => driver::run(),
        ["rows"] => rows::ALL.iter().for_each(|row| println!("{}", row.name)),
        ["sample"] => {
            let samples = serde_json::to_string(&sample::take(MANY));
            println!("{}", samples.expect("samples are JSON"));
        }
        ["count", name, calls] => count(name, calls.parse().expect("a number of calls")),
        _ => {
            eprintln!("usage: bench [--json] | bench rows | bench sample | bench count ROW CALLS");
            std::process::exit(2);
        }
    }
}

fn count(name: &str, calls: usize) {
    let setup = setup::Setup::new(FEW);
    let row = rows::ALL.iter().find(|row| row.name == name).expect("one of the rows");
    let mut run = row.start(&setup);
    for _ in 0..calls / calls::BATCH {
        run();
    }
}
