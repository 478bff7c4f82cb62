//! A child process: its memory and processor time from /proc, and its termination.

use std::{
    fs, io,
    process::Child,
    time::{Duration, Instant},
};

use crate::BoxError;

/// A child process that is killed on drop.
pub struct Process(pub Child);

/// In bytes.
#[derive(Clone, Copy, Default)]
pub struct Memory {
    pub resident: u64,
    /// Highest resident size so far.
    pub peak: u64,
}

/// Linux counts processor time in hundredths of a second.
const TICKS_A_SECOND: f64 = 100.0;

impl Process {
    pub fn memory(&self) -> Result<Memory, BoxError> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let kilobytes = |name| value(&status, name).ok_or("/proc has another form");
        Ok(Memory { resident: kilobytes("VmRSS:")? * 1024, peak: kilobytes("VmHWM:")? * 1024 })
    }

    /// Returns the processor time of all its threads, in seconds.
    pub fn processor(&self) -> Result<f64, BoxError> {
        processor_time(self.0.id(), 2)
    }

    /// Returns the processor time of all processes that it is made of, in seconds.
    pub fn processor_of_all(&self) -> Result<f64, BoxError> {
        // Children that have ended count for their parent.
        let mut seconds = processor_time(self.0.id(), 4)?;
        for child in self.children()? {
            seconds += processor_time(child, 2).unwrap_or_default();
        }
        Ok(seconds)
    }

    /// Returns the memory of all processes that it is made of, in bytes. What they share counts
    /// once.
    pub fn memory_of_all(&self) -> Result<u64, BoxError> {
        let mut kilobytes = 0;
        for process in self.children()?.into_iter().chain([self.0.id()]) {
            // One that has ended in the meantime has none.
            let Ok(sums) = fs::read_to_string(format!("/proc/{process}/smaps_rollup")) else {
                continue;
            };
            kilobytes += value(&sums, "Pss:").ok_or("/proc has another form")?;
        }
        Ok(kilobytes * 1024)
    }

    /// Returns the ids of its children.
    pub fn children(&self) -> Result<Vec<u32>, BoxError> {
        let all = fs::read_to_string(format!("/proc/{0}/task/{0}/children", self.0.id()))?;
        Ok(all.split_whitespace().map(str::parse).collect::<Result<_, _>>()?)
    }

    /// Kills it, as a crash would.
    pub fn kill(mut self) -> io::Result<()> {
        self.0.kill()?;
        self.0.wait().map(drop)
    }

    /// Sends SIGTERM, and returns how long it took to exit.
    pub fn terminate(mut self) -> Result<Duration, BoxError> {
        let began = Instant::now();
        let id = self.0.id().to_string();
        std::process::Command::new("kill").args(["-TERM", &id]).status()?;
        let status = self.0.wait()?;
        if status.success() {
            Ok(began.elapsed())
        } else {
            Err(format!("the process exited with {status}").into())
        }
    }
}

/// Returns the number behind a name at the start of a line.
fn value(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Sums the first fields of a process' times: own in user and system mode, then of ended children.
fn processor_time(process: u32, fields: usize) -> Result<f64, BoxError> {
    let stat = fs::read_to_string(format!("/proc/{process}/stat"))?;
    // The name, which comes first, may have spaces in it.
    let all = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks = all.skip(11).take(fields).filter_map(|field| field.parse::<f64>().ok());
    Ok(ticks.sum::<f64>() / TICKS_A_SECOND)
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails when the process has exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
