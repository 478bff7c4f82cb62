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
        let kilobytes = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next());
            number.and_then(|number| number.parse::<u64>().ok()).ok_or("/proc has another form")
        };
        Ok(Memory { resident: kilobytes("VmRSS:")? * 1024, peak: kilobytes("VmHWM:")? * 1024 })
    }

    /// Returns the processor time of all its threads, in seconds.
    pub fn processor(&self) -> Result<f64, BoxError> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The name, which comes first, may have spaces in it.
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
        let ticks = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok());
        Ok(ticks.sum::<f64>() / TICKS_A_SECOND)
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

impl Drop for Process {
    fn drop(&mut self) {
        // Fails when the process has exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
