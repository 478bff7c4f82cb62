//! The folder everything happens in, and the machine it happens on.

use std::{
    fs,
    io::{Seek, SeekFrom, Write},
    path::PathBuf,
    time::Instant,
};

use tower_superoffice::simulator::Simulator;

use crate::{BoxError, arguments::Arguments};

pub struct Workshop {
    folder: PathBuf,
    /// Where the environment's login and state API are.
    pub base_url: String,
    pub audience: String,
}

impl Workshop {
    pub fn new(simulator: &Simulator) -> Result<Self, BoxError> {
        let folder = std::env::temp_dir().join(format!("superoffice-scale-{}", std::process::id()));
        fs::create_dir(&folder)?;
        let base_url = simulator.hosts().first().ok_or("a simulator has hosts")?.to_string();
        let audience = simulator.application_id().to_owned();
        let workshop = Self { folder, base_url, audience };
        fs::write(workshop.certificate(), simulator.certificate_pem())?;
        Ok(workshop)
    }

    pub fn certificate(&self) -> PathBuf {
        self.folder.join("certificate.pem")
    }

    /// An empty folder of this name.
    pub fn fresh(&self, name: &str) -> Result<PathBuf, BoxError> {
        let folder = self.folder.join(name);
        if folder.exists() {
            fs::remove_dir_all(&folder)?;
        }
        fs::create_dir(&folder)?;
        Ok(folder)
    }

    /// Says what the figures depend on.
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

    /// The median of what it takes to have 4 KiB on the disk, in ms.
    fn sync_time(&self) -> Result<f64, BoxError> {
        let path = self.folder.join("sync");
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

impl Drop for Workshop {
    fn drop(&mut self) {
        // What can't be removed is left to whoever tidies up the folder for temporary files.
        let _ = fs::remove_dir_all(&self.folder);
    }
}
