//! Starts this program again and again, and reports the medians.

use std::{
    env::current_exe,
    process::{Command, Stdio},
};

use crate::{
    calls::{CROWDED, DECODE, RECEIVE, REFUSE},
    report::{Limits, Report, Row, median, processes},
    setup::BATCH,
};

const BY_HAND: &str = "handler by hand over HTTP, processor time";

/// The ns of the rows, in their order, two ratios: a notification to the decode, and over HTTP to
/// the handler by hand, and the ns of the crowded body.
pub type Sample = [f64; 8];

pub fn run() {
    let counter = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok();
    if !counter {
        eprintln!("valgrind is missing: instructions are not counted");
    }
    let samples: Vec<Sample> = (0..processes()).map(|_| sample()).collect();
    let of_all = |place: usize| median(samples.iter().map(|sample| sample[place]).collect());
    let count = |row| counter.then(|| instructions(row));

    let report = Report::start();
    report.print(Row::new(DECODE).instructions(count(DECODE)).ns(of_all(0)));
    let limits = Limits { ratio: Some(0.92), ..Limits::default() };
    let row = Row::new(RECEIVE).instructions(count(RECEIVE)).ns(of_all(1));
    report.print(row.peer("the decode", Some(of_all(5))).limits(limits));
    let limits = Limits { instructions: Some(26_000.0), ns: Some(1900.0), ..Limits::default() };
    report.print(Row::new(REFUSE).instructions(count(REFUSE)).ns(of_all(2)).limits(limits));
    report.print(Row::new(CROWDED).instructions(count(CROWDED)).ns(of_all(7)));
    report.print(Row::new(BY_HAND).ns(of_all(3)));
    let limits = Limits { ratio: Some(0.88), ..Limits::default() };
    let row = Row::new("notification over HTTP, processor time").ns(of_all(4));
    report.print(row.peer("the handler by hand", Some(of_all(6))).limits(limits));
}

fn itself() -> Command {
    Command::new(current_exe().expect("the path of this program"))
}

fn sample() -> Sample {
    let output = itself().arg("sample").stderr(Stdio::inherit()).output().expect("a process");
    assert!(output.status.success(), "a sample failed: {}", output.status);
    serde_json::from_slice(&output.stdout).expect("a sample")
}

/// Counts the instructions of a call.
fn instructions(row: &str) -> f64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg("--toggle-collect=*make_calls*")
        .arg(current_exe().expect("the path of this program"))
        .args(["count", row])
        .output()
        .expect("valgrind");
    let log = String::from_utf8_lossy(&output.stderr);
    let collected = log.lines().find_map(|line| line.split_once("Collected : "));
    let (_, collected) = collected.unwrap_or_else(|| panic!("nothing was counted: {log}"));
    collected.trim().parse::<f64>().expect("a count") / BATCH as f64
}
