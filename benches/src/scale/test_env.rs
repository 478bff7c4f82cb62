//! The working directory of a run, and the machine it runs on.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    path::PathBuf,
    time::Instant,
};

use tower_superoffice::simulator::Simulator;

use crate::{BoxError, arguments::Arguments};

pub struct TestEnv {
    directory: PathBuf,
    /// Origin of the simulated environment's login and state API.
    pub base_url: String,
    pub audience: String,
}

impl TestEnv {
    pub fn new(simulator: &Simulator) -> Result<Self, BoxError> {
        let directory =
            std::env::temp_dir().join(format!("superoffice-scale-{}", std::process::id()));
        fs::create_dir(&directory)?;
        let base_url = simulator.environment().origin();
        let audience = simulator.application_id().to_owned();
        let env = Self { directory, base_url, audience };
        fs::write(env.certificate(), simulator.certificate_pem())?;
        Ok(env)
    }

    pub fn certificate(&self) -> PathBuf {
        self.directory.join("certificate.pem")
    }

    /// Creates an empty directory of this name.
    pub fn empty_directory(&self, name: &str) -> Result<PathBuf, BoxError> {
        let directory = self.directory.join(name);
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir(&directory)?;
        Ok(directory)
    }

    /// Prints the properties of the machine that the figures depend on.
    pub fn describe(&self, arguments: &Arguments) -> Result<(), BoxError> {
        let cpu = fs::read_to_string("/proc/cpuinfo")?;
        let model =
            cpu.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        println!(
            "{} cores of {}, Linux {}, {} connections, one sync of 4 KiB takes {:.2} ms here",
            std::thread::available_parallelism()?,
            model.trim_start_matches([':', ' ', '\t']),
            kernel.trim(),
            arguments.connections,
            self.sync_time()?,
        );
        Ok(())
    }

    /// Measures the median time of writing and syncing 4 KiB, in ms.
    fn sync_time(&self) -> Result<f64, BoxError> {
        let path = self.directory.join("sync");
        let mut file = fs::File::create(&path)?;
        let mut times = Vec::new();
        for _ in 0..100 {
            file.seek(SeekFrom::Start(0))?;
            file.write_all(&[7; 4096])?;
            let began = Instant::now();
            file.sync_data()?;
            times.push(began.elapsed().as_secs_f64() * 1e3);
        }
        fs::remove_file(path)?;
        times.sort_by(f64::total_cmp);
        Ok(times[times.len() / 2])
    }
}

impl Drop for TestEnv {
    fn drop(&mut self) {
        // Best effort: the system cleans its temporary directory.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
