//! The report of all programs here: a row for each measured thing, as a table or as JSON.
//!
//! With the argument `--json` each row is an object on a line of its own: `name`, `instructions`,
//! `ns`, `ratio`, `peer`, `budget` and `kept`, `null` where there is none, and figures in other
//! units under the name of their unit.

use std::collections::BTreeMap;

use serde::Serialize;

/// A measured row.
#[derive(Debug, Default, Serialize)]
pub struct Row {
    name: String,
    instructions: Option<f64>,
    ns: Option<f64>,
    /// The time, divided by the peer's.
    ratio: Option<f64>,
    peer: Option<String>,
    budget: Option<String>,
    /// Whether each limit is kept; `None` without limits, or where one was not measured.
    kept: Option<bool>,
    #[serde(flatten)]
    others: BTreeMap<&'static str, f64>,
    #[serde(skip)]
    limits: Limits,
}

/// The budget of a row: the most that each figure may be.
#[derive(Debug, Default, Clone, Copy)]
pub struct Limits {
    pub instructions: Option<f64>,
    pub ns: Option<f64>,
    pub ratio: Option<f64>,
    /// A figure in another unit.
    pub other: Option<(f64, &'static str)>,
}

#[allow(dead_code, reason = "each program has figures of its own")]
impl Row {
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), ..Self::default() }
    }

    pub fn instructions(mut self, instructions: Option<f64>) -> Self {
        self.instructions = instructions.map(f64::round);
        self
    }

    pub fn ns(mut self, ns: f64) -> Self {
        self.ns = Some(rounded(ns, 10.0));
        self
    }

    pub fn peer(mut self, peer: impl Into<String>, ratio: Option<f64>) -> Self {
        (self.peer, self.ratio) = (Some(peer.into()), ratio.map(|ratio| rounded(ratio, 1000.0)));
        self
    }

    /// Adds a figure in another unit.
    pub fn other(mut self, figure: f64, unit: &'static str) -> Self {
        self.others.insert(unit, figure.round());
        self
    }

    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    fn judge(&mut self) {
        let Limits { instructions, ns, ratio, other } = self.limits;
        let own = |(_, unit): (f64, &'static str)| self.others.get(unit).copied();
        let limits = [
            (instructions, self.instructions, "instructions".to_owned()),
            (ratio, self.ratio, format!("x {}", self.peer.as_deref().unwrap_or_default())),
            (ns, self.ns, "ns".to_owned()),
            (other.map(|(most, _)| most), other.and_then(own), {
                other.map_or_else(String::new, |(_, unit)| unit.to_owned())
            }),
        ];
        let mut texts = Vec::new();
        let mut kept = Vec::new();
        for (most, own, unit) in limits {
            if let Some(most) = most {
                texts.push(format!("{most} {unit}"));
                kept.push(own.map(|own| own <= most));
            }
        }
        self.budget = (!texts.is_empty()).then(|| texts.join(", "));
        self.kept = match () {
            () if kept.contains(&Some(false)) => Some(false),
            () if kept.is_empty() || kept.contains(&None) => None,
            () => Some(true),
        };
    }
}

/// Prints rows as they are measured.
pub struct Report {
    json: bool,
}

impl Report {
    /// Starts the report in the format that the program's arguments name.
    pub fn start() -> Self {
        let json = std::env::args().any(|argument| argument == "--json");
        if !json {
            println!(
                "{:<42} {:>7} {:>9} {:>7}  {:<24} {:<40} kept",
                "row", "instr", "ns", "ratio", "peer, or other figures", "budget"
            );
        }
        Self { json }
    }

    pub fn print(&self, mut row: Row) {
        row.judge();
        if self.json {
            println!("{}", serde_json::to_string(&row).expect("a row is JSON"));
            return;
        }
        let number = |number: Option<f64>, decimals: usize| {
            number.map_or_else(|| "-".to_owned(), |number| format!("{number:.decimals$}"))
        };
        let others = row.others.iter().map(|(unit, figure)| format!("{figure} {unit}"));
        let beside: Vec<String> = row.peer.iter().cloned().chain(others).collect();
        let kept = match row.kept {
            None => "",
            Some(true) => "yes",
            Some(false) => "MISSED",
        };
        println!(
            "{:<42} {:>7} {:>9} {:>7}  {:<24} {:<40} {kept}",
            row.name,
            number(row.instructions, 0),
            number(row.ns, 1),
            number(row.ratio, 3),
            beside.join(", "),
            row.budget.unwrap_or_default(),
        );
    }
}

fn rounded(number: f64, steps: f64) -> f64 {
    (number * steps).round() / steps
}

/// Returns how many processes the medians are taken over: nine, or what `BENCH_PROCESSES` says.
#[allow(dead_code, reason = "not every program starts others")]
pub fn processes() -> usize {
    let wanted = std::env::var("BENCH_PROCESSES").ok().and_then(|number| number.parse().ok());
    wanted.unwrap_or(9).max(1)
}

/// Returns the median of `values`, which are not empty.
#[allow(dead_code, reason = "not every program takes one")]
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}
