//! The table of results: medians of all rounds, one column per store.

use std::fmt;

use crate::arguments::Store;

/// A measured figure, in the order of the table.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Figure {
    Closed,
    Opened,
    ProcessorClosed,
    ProcessorOpened,
    ServerClosed,
    ServerOpened,
    ServerFollowed,
    ServerMemory,
    ProcessorFollower,
    Median,
    Most,
    Worst,
    Fresh,
    PeakClosed,
    PeakOpened,
    PeakRestarted,
    GrowthClosed,
    GrowthRestarted,
    StoredClosed,
    StoredOpen,
    StoredVacuumed,
    LogClosed,
    LogOpen,
    DumpClosed,
    DumpOpen,
    RestartCrashed,
    Restart,
    RestartProcessor,
    AnswerTime,
    AnswerSize,
    AnswerPeak,
}

use Figure as F;

/// Each figure with its decimals and its label.
const ROWS: [(Figure, usize, &str); 31] = [
    (F::Closed, 0, "closed a second"),
    (F::Opened, 0, "opened again a second"),
    (F::ProcessorClosed, 1, "gateway's processor time for each, closing, us"),
    (F::ProcessorOpened, 1, "the same, opening, us"),
    (F::ServerClosed, 1, "server's processor time for each, closing, us"),
    (F::ServerOpened, 1, "the same, opening, us"),
    (F::ServerFollowed, 1, "server's processor time until the replicas have followed, us"),
    (F::ServerMemory, 1, "server's memory, all closed, MB"),
    (F::ProcessorFollower, 1, "processor time of a replica that follows, us"),
    (F::Median, 1, "answered within, median, ms"),
    (F::Most, 1, "the same, 99 of 100, ms"),
    (F::Worst, 1, "the same, slowest, ms"),
    (F::Fresh, 1, "resident, no tenants, MB"),
    (F::PeakClosed, 1, "most resident, all closed, MB"),
    (F::PeakOpened, 1, "most resident, restarted and all opened, MB"),
    (F::PeakRestarted, 1, "most resident, restarted, MB"),
    (F::GrowthClosed, 0, "resident for each closed tenant, bytes"),
    (F::GrowthRestarted, 0, "the same after a restart, bytes"),
    (F::StoredClosed, 0, "store for each closed tenant, bytes"),
    (F::StoredOpen, 0, "the same, opened again, bytes"),
    (F::StoredVacuumed, 0, "the same, after autovacuum, bytes"),
    (F::LogClosed, 0, "append-only or write-ahead log for each, closed, bytes"),
    (F::LogOpen, 0, "the same, closed and opened again, bytes"),
    (F::DumpClosed, 0, "Redis's snapshot for each, closed, bytes"),
    (F::DumpOpen, 0, "the same, opened again, bytes"),
    (F::RestartCrashed, 3, "restart after kill -9, all closed, s"),
    (F::Restart, 3, "restart after SIGTERM, all closed, s"),
    (F::RestartProcessor, 2, "processor time of that, s"),
    (F::AnswerTime, 3, "GET /tenants, s"),
    (F::AnswerSize, 1, "its answer, MB"),
    (F::AnswerPeak, 1, "most resident after it, MB"),
];

/// The figures of one run.
#[derive(Default)]
pub struct Measured(Vec<(Figure, f64)>);

const MEGABYTE: f64 = 1e6;

impl Measured {
    pub fn add(&mut self, figure: Figure, value: f64) {
        self.0.push((figure, value));
    }

    pub fn megabytes(&mut self, figure: Figure, bytes: u64) {
        self.add(figure, bytes as f64 / MEGABYTE);
    }

    /// Converts a figure in megabytes back to bytes.
    pub fn bytes(&self, figure: Figure) -> u64 {
        (self.get(figure).next().unwrap_or_default() * MEGABYTE) as u64
    }

    fn get(&self, figure: Figure) -> impl Iterator<Item = f64> {
        self.0.iter().filter(move |(own, _)| *own == figure).map(|(_, value)| *value)
    }
}

/// Prints all figures in a line, so that an interrupted run leaves partial results.
impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (figure, decimals, name) in ROWS {
            for value in self.get(figure) {
                write!(f, "{name} {value:.decimals$}; ")?;
            }
        }
        Ok(())
    }
}

pub struct Table {
    tenants: usize,
    rounds: usize,
    columns: Vec<(Store, Vec<Measured>)>,
}

impl Table {
    pub fn new(tenants: usize, rounds: usize) -> Self {
        Self { tenants, rounds, columns: Vec::new() }
    }

    pub fn add(&mut self, store: Store, measured: Measured) {
        match self.columns.iter_mut().find(|(own, _)| *own == store) {
            Some((_, all)) => all.push(measured),
            None => self.columns.push((store, vec![measured])),
        }
    }

    /// Prints the table as Markdown.
    pub fn print(&self) {
        println!("\n{} tenants, medians of {}\n", self.tenants, self.rounds);
        let names: Vec<_> = self.columns.iter().map(|(store, _)| store.name()).collect();
        println!("| | {} |\n|---|{}", names.join(" | "), "---|".repeat(names.len()));
        for (figure, decimals, name) in ROWS {
            let medians: Vec<_> = self.columns.iter().map(|(_, all)| median(all, figure)).collect();
            if medians.iter().all(Option::is_none) {
                continue;
            }
            let cells: Vec<_> = (self.columns.iter().zip(&medians))
                .map(|((store, _), median)| {
                    let Some(median) = median else { return String::new() };
                    let ratio = self.ratio(figure, *store).unwrap_or_default();
                    format!("{median:.decimals$}{ratio}")
                })
                .collect();
            println!("| {name} | {} |", cells.join(" | "));
        }
    }

    /// Returns the median ratio of a throughput to that of the memory store in the same rounds.
    fn ratio(&self, figure: Figure, store: Store) -> Option<String> {
        if !matches!(figure, F::Closed | F::Opened) || store == Store::Memory {
            return None;
        }
        let of = |store| self.columns.iter().find(|(own, _)| *own == store).map(|(_, all)| all);
        let rounds = of(store)?.iter().zip(of(Store::Memory)?);
        let ratios = rounds
            .filter_map(|(own, memory)| Some(own.get(figure).next()? / memory.get(figure).next()?));
        Some(format!(" ({:.2} x)", middle(ratios.collect())?))
    }
}

fn median(all: &[Measured], figure: Figure) -> Option<f64> {
    middle(all.iter().flat_map(|measured| measured.get(figure)).collect())
}

fn middle(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
