//! A thread's processor time, and its core.

use std::{fs, path::PathBuf, process::Command, thread::available_parallelism};

/// A thread of this process, by its folder in /proc.
pub struct Thread(PathBuf);

impl Thread {
    pub fn own() -> Self {
        let task = fs::read_link("/proc/thread-self").expect("the thread's folder in /proc");
        Self(PathBuf::from("/proc").join(task))
    }

    /// Returns the ns that the thread has run, whatever else the machine does.
    pub fn spent(&self) -> f64 {
        let text = fs::read_to_string(self.0.join("schedstat")).expect("the thread's times");
        text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("ns")
    }

    /// Keeps the thread on one core, so that its caches stay its own.
    pub fn pin(&self, core: usize) {
        if available_parallelism().is_ok_and(|cores| cores.get() < 2) {
            return;
        }
        let tid = self.0.file_name().and_then(|tid| tid.to_str()).expect("a thread id");
        let pinned = Command::new("taskset").args(["-pc", &core.to_string(), tid]).output();
        if !pinned.is_ok_and(|output| output.status.success()) {
            eprintln!("taskset failed: a thread is not pinned");
        }
    }
}
