//! A thread's processor time, and its core.

use std::{fs, path::PathBuf, thread::available_parallelism};

use rustix::{
    thread::{CpuSet, Pid, sched_setaffinity},
    time::{ClockId, clock_gettime},
};

/// A thread of this process, by its folder in /proc.
pub struct Thread(PathBuf);

impl Thread {
    pub fn own() -> Self {
        let task = fs::read_link("/proc/thread-self").expect("the thread's folder in /proc");
        Self(PathBuf::from("/proc").join(task))
    }

    /// Returns the ns that the thread has run, whatever else the machine does. Of a thread that
    /// runs they may be some ms late.
    pub fn spent(&self) -> f64 {
        let text = fs::read_to_string(self.0.join("schedstat")).expect("the thread's times");
        text.split(' ').next().and_then(|ns| ns.parse().ok()).expect("ns")
    }

    /// Returns the ns that the calling thread has run.
    pub fn own_spent() -> f64 {
        let spent = clock_gettime(ClockId::ThreadCPUTime);
        spent.tv_sec as f64 * 1e9 + spent.tv_nsec as f64
    }

    /// Keeps the thread on one core, so that its caches stay its own.
    pub fn pin(&self, core: usize) {
        if available_parallelism().is_ok_and(|cores| cores.get() < 2) {
            return;
        }
        let tid = self.0.file_name().and_then(|tid| tid.to_str()?.parse().ok());
        let mut cores = CpuSet::new();
        cores.set(core);
        if sched_setaffinity(tid.and_then(Pid::from_raw), &cores).is_err() {
            eprintln!("a thread can't be kept on its core");
        }
    }
}
