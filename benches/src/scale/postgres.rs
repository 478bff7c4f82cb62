//! A PostgreSQL server with the defaults of its version, on a free port of loopback.

use std::{
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{BoxError, process::Process};

pub struct Postgres {
    pub process: Process,
    programs: PathBuf,
    port: u16,
    directory: PathBuf,
    /// Position in the write-ahead log while it was empty.
    empty: u64,
}

/// Sizes in bytes.
pub struct Size {
    /// The store's tables and their indices.
    pub tables: u64,
    /// Bytes written to the write-ahead log so far.
    pub log: u64,
}

const USER: &str = "gate";

/// Sum over the store's tables.
const TABLES: &str = "FROM pg_class WHERE relkind = 'r' AND relname LIKE 'tower_superoffice%'";

impl Postgres {
    pub fn start(directory: PathBuf) -> Result<Self, BoxError> {
        let programs = programs().ok_or("initdb is missing: install postgresql first")?;
        let data = directory.join("data");
        if is_root()? {
            succeed(Command::new("chown").arg("postgres").arg(&directory).output()?)?;
        }
        let initdb = programs.join("initdb");
        let made = server_command(&initdb, &directory)?
            .args(["-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "-D"])
            .arg(&data)
            .output()?;
        succeed(made)?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = server_command(&programs.join("postgres"), &directory)?;
        command.arg("-D").arg(&data).args(["-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", &format!("port={port}")]);
        command.args(["-c", &format!("unix_socket_directories={}", directory.display())]);
        let log = fs::File::create(directory.join("log"))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = Process(command.spawn()?);
        let mut postgres = Self { process, programs, port, directory, empty: 0 };
        let began = Instant::now();
        while postgres.query("SELECT 1").is_err() {
            if began.elapsed() > Duration::from_secs(30) {
                let log = fs::read_to_string(postgres.directory.join("log"))?;
                return Err(format!("PostgreSQL does not answer; its log says:\n{log}").into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        postgres.empty = postgres.log_position()?;
        Ok(postgres)
    }

    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    pub fn size(&self) -> Result<Size, BoxError> {
        let tables = self.query(&format!("SELECT sum(pg_total_relation_size(oid)) {TABLES}"))?;
        Ok(Size { tables: tables.parse()?, log: self.log_position()? - self.empty })
    }

    /// Waits until autovacuum has no more to do, and returns the sizes after it.
    ///
    /// It looks for work once a minute by default, which would be waiting for nothing.
    pub fn size_after_autovacuum(&self) -> Result<Size, BoxError> {
        const DONE: &str = "SELECT count(*) FROM pg_stat_user_tables \
            WHERE relname LIKE 'tower_superoffice%_tenants' \
            AND last_autovacuum IS NOT NULL AND n_dead_tup <= 50 + n_live_tup / 5 \
            AND NOT EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'autovacuum worker')";
        // A connection reports its dead rows after ten seconds without a statement at the latest.
        thread::sleep(Duration::from_secs(15));
        self.query("ALTER SYSTEM SET autovacuum_naptime = '1s'")?;
        self.query("SELECT pg_reload_conf()")?;
        let began = Instant::now();
        while self.query(DONE)? != "1" {
            if began.elapsed() > Duration::from_secs(600) {
                return Err("autovacuum did not end within ten minutes".into());
            }
            thread::sleep(Duration::from_millis(500));
        }
        self.size()
    }

    fn log_position(&self) -> Result<u64, BoxError> {
        Ok(self.query("SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")?.parse()?)
    }

    /// Runs a statement, and returns the one value that it results in.
    fn query(&self, sql: &str) -> Result<String, BoxError> {
        let output = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-t", "-A", "-h", "127.0.0.1", "-p", &self.port.to_string()])
            .args(["-U", USER, "-d", "postgres", "-c", sql])
            .stdin(Stdio::null())
            .output()?;
        Ok(succeed(output)?.trim().to_owned())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // An immediate shutdown ends its children too, and gives its shared memory back. A kill
        // does neither, and the number of segments is limited. Best effort: the temporary directory
        // is cleaned by the system.
        let id = self.process.0.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &id]).status();
        let _ = self.process.0.wait();
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// Returns what a program printed.
fn succeed(output: Output) -> Result<String, BoxError> {
    if output.status.success() {
        Ok(String::from_utf8(output.stdout)?)
    } else {
        Err(String::from_utf8_lossy(&output.stderr).into_owned().into())
    }
}

/// A command with a program of PostgreSQL, which refuses to run as root.
fn server_command(program: &Path, directory: &Path) -> Result<Command, BoxError> {
    if !is_root()? {
        return Ok(Command::new(program));
    }
    // Unlike `su` it becomes the program, so that its process id is the server's.
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command.current_dir(directory);
    Ok(command)
}

fn is_root() -> Result<bool, BoxError> {
    Ok(Command::new("id").arg("-u").output()?.stdout == b"0\n")
}

/// Returns the directory of the newest version's programs. Debian has them out of the `PATH`.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten();
    let debian = versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).max();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let all = debian.into_iter().chain(std::env::split_paths(&path));
    { all }.find(|programs| programs.join("initdb").exists())
}
