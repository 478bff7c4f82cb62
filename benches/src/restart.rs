//! A restart: a gate is built on a store with so many closed tenants, again and again, each time in
//! a process of its own. `scripts/scale --restart` builds and runs it; docs/capacity.md has the
//! results.
//!
//! Linux only: it reads /proc.

use std::{fs, path::PathBuf, process::Command, time::Instant};

use futures::{StreamExt, stream};
use tower_superoffice::{
    Environment, TenantGate,
    status::Record,
    store::{PostgresStore, RedbStore, Store},
};

#[allow(dead_code, reason = "the gates of this module have another store")]
#[path = "gates.rs"]
mod gates;
#[allow(dead_code, reason = "a night measures more")]
#[path = "scale/postgres.rs"]
mod postgres;
#[allow(dead_code, reason = "gateways are ended in more ways")]
#[path = "scale/process.rs"]
mod process;

use postgres::Postgres;

type BoxError = Box<dyn std::error::Error + Send + Sync>;

const USAGE: &str = "usage: restart [--store redb|postgres] [--rounds 5] TENANTS..., \
    or restart --once URL TENANTS";

/// Enough to fill group commits.
const MERGES: usize = 1024;

fn main() -> Result<(), BoxError> {
    let (mut rounds, mut store, mut all) = (5, "redb".to_owned(), Vec::new());
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--once" => {
                let (Some(url), Some(tenants)) = (args.next(), args.next()) else {
                    return Err(USAGE.into());
                };
                return once(&url, tenants.parse()?);
            }
            "--rounds" => rounds = args.next().ok_or(USAGE)?.parse()?,
            "--store" => store = args.next().ok_or(USAGE)?,
            tenants => all.push(tenants.parse().map_err(|_| USAGE)?),
        }
    }
    println!(
        "tenants\tprocessor (s)\telapsed (s)\tresident (MB)\tpeak (MB)\tstore (MB)\tserver (s)"
    );
    for tenants in all {
        measure(&Location::new(&store, tenants)?, tenants, rounds)?;
    }
    Ok(())
}

fn runtime() -> Result<tokio::runtime::Runtime, BoxError> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}

/// Fills a store and prints the medians of `rounds` restarts with it.
fn measure(location: &Location, tenants: usize, rounds: usize) -> Result<(), BoxError> {
    let url = location.url();
    runtime()?.block_on(async { fill(&*open(&url)?, tenants).await })?;
    let mut runs = Vec::new();
    for _ in 0..rounds {
        let before = location.processor()?;
        let run = Command::new(std::env::current_exe()?)
            .args(["--once", &url, &tenants.to_string()])
            .output()?;
        if !run.status.success() {
            return Err(String::from_utf8_lossy(&run.stderr).into_owned().into());
        }
        let numbers = String::from_utf8(run.stdout)?;
        let numbers: Result<Vec<f64>, _> = numbers.split_whitespace().map(str::parse).collect();
        let mut numbers = numbers?;
        numbers.push(location.processor()? - before);
        runs.push(numbers);
    }
    let median = |column: usize| {
        let mut numbers: Vec<_> = runs.iter().filter_map(|run| run.get(column).copied()).collect();
        numbers.sort_by(f64::total_cmp);
        numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
    };
    let size = location.size()? as f64 / 1e6;
    let (processor, elapsed, resident, peak) = (median(0), median(1), median(2), median(3));
    let server = median(4);
    println!(
        "{tenants}\t{processor:.2}\t{elapsed:.2}\t{resident:.0}\t{peak:.0}\t{size:.0}\t{server:.2}"
    );
    Ok(())
}

/// Stores a suspended tenant under each number.
async fn fill(store: &dyn Store, tenants: usize) -> Result<(), BoxError> {
    let record = Record::decode(format!(r#"{{"v":"1.1",{}}}"#, gates::SUSPENDED).as_bytes())?;
    let merges = stream::iter((0..tenants).map(gates::closed)).map(|tenant| {
        let record = &record;
        async move { store.merge(&tenant, record).await }
    });
    let mut merged = merges.buffer_unordered(MERGES);
    while let Some(result) = merged.next().await {
        result?;
    }
    Ok(())
}

/// Builds a gate on the store, and prints what that took.
fn once(url: &str, tenants: usize) -> Result<(), BoxError> {
    runtime()?.block_on(start(url, tenants))
}

async fn start(url: &str, tenants: usize) -> Result<(), BoxError> {
    let began = Instant::now();
    let builder = TenantGate::builder(Environment::Production).any_audience();
    let gate = match url.strip_prefix("redb:") {
        Some(file) => builder.store(RedbStore::open(file, &Environment::Production)?),
        None => builder.store(PostgresStore::connect(url, &Environment::Production)?),
    };
    let gate = gate.build().await?;
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

fn open(url: &str) -> Result<Box<dyn Store>, BoxError> {
    Ok(match url.strip_prefix("redb:") {
        Some(file) => Box::new(RedbStore::open(file, &Environment::Production)?),
        None => Box::new(PostgresStore::connect(url, &Environment::Production)?),
    })
}

/// The place of the tenants, removed at the end.
enum Location {
    Redb(PathBuf),
    Postgres(Postgres),
}

impl Location {
    fn new(store: &str, tenants: usize) -> Result<Self, BoxError> {
        let name = format!("restart-{}-{tenants}.{store}", std::process::id());
        let path = std::env::temp_dir().join(name);
        match store {
            "redb" => Ok(Self::Redb(path)),
            "postgres" => {
                fs::create_dir(&path)?;
                Ok(Self::Postgres(Postgres::start(path)?))
            }
            _ => Err(USAGE.into()),
        }
    }

    fn url(&self) -> String {
        match self {
            Self::Redb(file) => format!("redb:{}", file.display()),
            Self::Postgres(postgres) => postgres.url(),
        }
    }

    /// Returns its size in bytes.
    fn size(&self) -> Result<u64, BoxError> {
        match self {
            Self::Redb(file) => Ok(fs::metadata(file)?.len()),
            Self::Postgres(postgres) => Ok(postgres.size()?.tables),
        }
    }

    /// Returns the processor time of the server, in seconds.
    fn processor(&self) -> Result<f64, BoxError> {
        match self {
            Self::Redb(_) => Ok(0.0),
            Self::Postgres(postgres) => postgres.process.processor_of_all(),
        }
    }
}

impl Drop for Location {
    fn drop(&mut self) {
        if let Self::Redb(file) = self {
            // Best effort: the system cleans its temporary directory.
            let _ = fs::remove_file(file);
        }
    }
}
