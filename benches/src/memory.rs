//! Measures a gate's memory per closed tenant, with a million of them.

// Replaces the allocator, so nothing that allocates is timed in this program.
use std::time::Instant;

use allocation_counter::measure;

#[path = "gates.rs"]
mod gates;
mod report;

use report::{Limits, Report, Row, median};

const COUNT: usize = 1_000_000;

/// Number of calls of `health` for its median.
const HEALTHS: u32 = 1000;

/// The facts of a tenant that was resumed before and whose state was confirmed by pulls.
const PULLED: &str = r#""suspend":{"at":1790000000,"seen":1790000001000,"version":"Release_10.3.8_2024.08.30-01","file":"10.3.8.1234"},
    "resume":{"at":1780000000,"seen":1780000001000,"version":"Release_10.3.7_2024.07.31-01","file":"10.3.7.1234"},
    "settled_running":{"state":"Running","seq":1,"knew":"resume","knew_at":1780000000,"known":60,"since":1780000100000,"endpoint":"https://online2.superoffice.com"},
    "settled_suspended":{"state":"Suspended","seq":2,"knew":"suspend","knew_at":1790000000,"known":60,"since":1790000100000,"endpoint":"https://online2.superoffice.com"}"#;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut gates = Vec::new();
    let mut bytes = |facts| {
        let empty = measure(|| gates.push(runtime.block_on(gates::gate_with_facts(0, facts))));
        let full = measure(|| gates.push(runtime.block_on(gates::gate_with_facts(COUNT, facts))));
        (full.bytes_current - empty.bytes_current) as f64 / COUNT as f64
    };
    let report = Report::start();
    let budget = Limits { other: Some((230.0, "bytes")), ..Limits::default() };
    let suspended = Row::new("memory, a closed tenant of a million");
    report.print(suspended.other(bytes(gates::SUSPENDED), "bytes").limits(budget));
    let pulled = Row::new("the same, with an upgrade night's pulls");
    report.print(pulled.other(bytes(PULLED), "bytes"));

    let Some(gate) = gates.last() else { return };
    // A call moves the pulls that have become due since the last one to those that wait: the first
    // has all that came since the load, and on a busy machine others have some as well.
    let time = || {
        let began = Instant::now();
        std::hint::black_box(gate.health());
        began.elapsed().as_nanos() as f64
    };
    let first = time();
    let each = median((0..HEALTHS).map(|_| time()).collect());
    let waiting = gate.health().pulls().map_or(0, |pulls| pulls.waiting());
    let health = Row::new("health with a million tenants")
        .other(waiting as f64, "pulls_waiting")
        .other(first / 1000.0, "us_at_first");
    let budget = Limits { ns: Some(100_000.0), ..Limits::default() };
    report.print(health.ns(each).limits(budget));
}
