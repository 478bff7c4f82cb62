//! A restart: a gate is built on a redb file with so many closed tenants, again and again, each time in
//! a process of its own. `scripts/scale --restart` builds and runs it; docs/capacity.md has the results.
//!
//! Linux only: it reads /proc.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Instant,
};

use futures::{StreamExt, stream};
use tower_superoffice::{
    Environment, TenantGate,
    status::Record,
    store::{RedbStore, Store},
};

#[allow(dead_code, reason = "the gates of this module have another store")]
#[path = "gates.rs"]
mod gates;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: restart [--rounds 5] TENANTS..., or restart --once FILE TENANTS";

/// Enough to fill group commits.
const MERGES: usize = 1024;

fn main() -> Result<(), BoxError> {
    let mut args: Vec<_> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|first| first == "--once") {
        let [_, file, tenants] = args.as_slice() else { return Err(USAGE.into()) };
        return runtime()?.block_on(once(Path::new(file), tenants.parse()?));
    }
    let mut rounds = 5;
    if args.first().is_some_and(|first| first == "--rounds") {
        rounds = args.get(1).ok_or(USAGE)?.parse()?;
        args.drain(..2);
    }
    println!("tenants\tprocessor (s)\telapsed (s)\tresident (MB)\tpeak (MB)\tfile (MB)");
    for tenants in &args {
        measure(tenants.parse()?, rounds)?;
    }
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime, BoxError> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Fills a file and prints the medians of `rounds` restarts with it.
fn measure(tenants: usize, rounds: usize) -> Result<(), BoxError> {
    let file = File::new(tenants)?;
    runtime()?.block_on(fill(&file.0, tenants))?;
    let mut runs = Vec::new();
    for _ in 0..rounds {
        let program = std::env::current_exe()?;
        let run =
            Command::new(program).arg("--once").arg(&file.0).arg(tenants.to_string()).output()?;
        if !run.status.success() {
            return Err(String::from_utf8_lossy(&run.stderr).into_owned().into());
        }
        let numbers = String::from_utf8(run.stdout)?;
        let numbers: Result<Vec<f64>, _> = numbers.split_whitespace().map(str::parse).collect();
        runs.push(numbers?);
    }
    let median = |column: usize| {
        let mut numbers: Vec<_> = runs.iter().filter_map(|run| run.get(column).copied()).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let size = fs::metadata(&file.0)?.len() as f64 / 1e6;
    let (processor, elapsed, resident, peak) = (median(0), median(1), median(2), median(3));
    println!("{tenants}\t{processor:.2}\t{elapsed:.2}\t{resident:.0}\t{peak:.0}\t{size:.0}");
    Ok(())
}

/// Stores a suspended tenant under each number.
async fn fill(file: &Path, tenants: usize) -> Result<(), BoxError> {
    let store = RedbStore::open(file, &Environment::Production)?;
    let record = Record::decode(format!(r#"{{"v":"1.1",{}}}"#, gates::SUSPENDED).as_bytes())?;
    let merges = stream::iter((0..tenants).map(gates::closed)).map(|tenant| {
        let (store, record) = (&store, &record);
        async move { store.merge(&tenant, record).await }
    });
    let mut merged = merges.buffer_unordered(MERGES);
    while let Some(result) = merged.next().await {
        result?;
    }
    Ok(())
}

/// Builds a gate on the file, and prints what that took.
async fn once(file: &Path, tenants: usize) -> Result<(), BoxError> {
    let began = Instant::now();
    let store = RedbStore::open(file, &Environment::Production)?;
    let gate =
        TenantGate::builder(Environment::Production).any_audience().store(store).build().await?;
    let elapsed = began.elapsed().as_secs_f64();
    if gate.health().closed() != tenants {
        return Err(format!("{} of {tenants} tenants are closed", gate.health().closed()).into());
    }
    let (stat, status) =
        (fs::read_to_string("/proc/self/stat")?, fs::read_to_string("/proc/self/status")?);
    // The name, which comes first, may have spaces in it. Times are in hundredths of a second.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: f64 = fields.skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
    let megabytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        let number = line.and_then(|line| line.split_whitespace().next());
        number.and_then(|number| number.parse::<f64>().ok()).unwrap_or(f64::NAN) * 1024.0 / 1e6
    };
    println!("{} {elapsed} {} {}", ticks / 100.0, megabytes("VmRSS:"), megabytes("VmHWM:"));
    Ok(())
}

/// A file for the tenants, removed at the end.
struct File(PathBuf);

impl File {
    fn new(tenants: usize) -> Result<Self, BoxError> {
        let name = format!("restart-{}-{tenants}.redb", std::process::id());
        Ok(Self(std::env::temp_dir().join(name)))
    }
}

impl Drop for File {
    fn drop(&mut self) {
        // Fails when it was never made.
        let _ = fs::remove_file(&self.0);
    }
}
