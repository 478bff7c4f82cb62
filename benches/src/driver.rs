//! Starts this program again and again, and reports the medians.
//!
//! Times differ by many nanoseconds from process to process, with the layout of its memory, so each
//! is the median of several processes. Instructions hardly differ, and are counted once.

use std::{
    env::current_exe,
    process::{Command, Stdio},
};

use crate::{
    report::{Limits, Report, Row, median, processes},
    rows,
    sample::Sample,
    threads,
};

/// Calls under the instruction counter, a multiple of those in a cold row.
const COUNTED: usize = 10 * 1024;

pub fn run() {
    let counter = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !counter {
        eprintln!("valgrind is missing: instructions are not counted");
    }
    let processes: Vec<Vec<Sample>> = (0..processes()).map(|_| sample()).collect();
    let count = |name: &str| counter.then(|| instructions(name));
    let counts: Vec<Option<f64>> = rows::ALL.iter().map(|row| count(row.name)).collect();
    let count = |name| {
        let place = rows::ALL.iter().position(|row| row.name == name)?;
        counts[place]
    };

    let report = Report::start();
    let of_all = |name: &str, figure: fn(&Sample) -> Option<f64>| {
        let samples = processes.iter().flatten().filter(|sample| sample.name == name);
        let figures: Vec<f64> = samples.filter_map(figure).collect();
        (!figures.is_empty()).then(|| median(figures))
    };
    for row in rows::ALL {
        let base = row.over.map_or(Some(0.0), count);
        let instructions = count(row.name).zip(base).map(|(own, base)| own - base);
        let mut line = Row::new(row.name).instructions(instructions).limits(row.limits);
        if let Some(peer) = row.peer.or(row.over) {
            line = line.peer(peer, of_all(row.name, |sample| sample.ratio));
        }
        report.print(line.ns(of_all(row.name, |sample| Some(sample.ns)).unwrap_or(f64::NAN)));
    }
    for (name, threads) in threads::ROWS {
        let line = Row::new(name)
            .ns(of_all(name, |sample| Some(sample.ns)).unwrap_or(f64::NAN))
            .peer(format!("identity, {threads} threads"), of_all(name, |sample| sample.ratio))
            .other(of_all(name, |sample| sample.per_second).unwrap_or(f64::NAN), "calls_per_second")
            .limits(Limits::default());
        report.print(line);
    }
}

fn itself() -> Command {
    Command::new(current_exe().expect("the path of this program"))
}

/// Times the rows in a process of its own.
fn sample() -> Vec<Sample> {
    let output = itself().arg("sample").stderr(Stdio::inherit()).output().expect("a process");
    assert!(output.status.success(), "a sample failed: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("samples")
}

/// Counts the instructions of a call.
fn instructions(row: &str) -> f64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=*make_calls*")
        .arg(current_exe().expect("the path of this program"))
        .args(["count", row, &COUNTED.to_string()])
        .output()
        .expect("valgrind");
    let log = String::from_utf8_lossy(&output.stderr);
    let collected = log.lines().find_map(|line| line.split_once("Collected : "));
    let (_, collected) = collected.unwrap_or_else(|| panic!("nothing was counted: {log}"));
    collected.trim().parse::<f64>().expect("a count") / COUNTED as f64
}
