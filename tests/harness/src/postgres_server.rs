//! A PostgreSQL server that belongs to one test: on a free port of loopback, and gone when the test
//! ends.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{Directory, SmallDisk, free_port, skip};

/// The user of a server.
const USER: &str = "gate";

/// Its database, which each server has from the start.
const DATABASE: &str = "postgres";

/// A server that can be killed, paused and restarted.
#[derive(Debug)]
pub struct PostgresServer {
    programs: PathBuf,
    // Removed before its directory.
    disk: Option<SmallDisk>,
    directory: Directory,
    port: u16,
    settings: Vec<String>,
    child: Option<Child>,
}

impl PostgresServer {
    /// Starts a server with its defaults: what it has committed is on disk.
    ///
    /// `None`, after a line on stderr, when there is no PostgreSQL: the test has nothing to do.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts a server as [`start`](Self::start) does, with more settings, such as
    /// `["max_connections=5"]`.
    pub fn start_with(settings: &[&str]) -> Option<Self> {
        if !postgres_installed() {
            return None;
        }
        Some(Self::start_in(Directory::new(), None, settings))
    }

    /// Starts a server as [`start`](Self::start) does, on a disk of its own that can be filled.
    ///
    /// `None`, after a line on stderr, when there is no PostgreSQL or mounting is not permitted.
    pub fn start_on_small_disk() -> Option<Self> {
        if !postgres_installed() {
            return None;
        }
        let directory = Directory::new();
        let disk = SmallDisk::over(&directory, 128)?;
        Some(Self::start_in(directory, Some(disk), &[]))
    }

    fn start_in(directory: Directory, disk: Option<SmallDisk>, settings: &[&str]) -> Self {
        let programs = programs().expect("PostgreSQL was found before");
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let port = free_port();
        let mut server = Self { programs, disk, directory, port, settings, child: None };
        server.initialise();
        server.run();
        server
    }

    /// The disk of a server that was started on a small one.
    pub fn disk(&self) -> &SmallDisk {
        self.disk.as_ref().expect("the server was started on a small disk")
    }

    /// Runs statements that may fail.
    pub fn try_execute(&self, sql: &str) -> bool {
        self.psql(sql).status.success()
    }

    /// Returns whether it ended by itself.
    pub fn has_ended(&mut self) -> bool {
        let child = self.child.as_mut().expect("the server was started");
        child.try_wait().expect("a child has a state").is_some()
    }

    /// Starts a server that follows this one and takes no writes until it is promoted.
    pub fn standby(&self) -> Self {
        self.standby_through(self.port)
    }

    /// Starts a server as [`standby`](Self::standby) does, by way of another port.
    pub fn standby_through(&self, primary: u16) -> Self {
        let (programs, directory) = (self.programs.clone(), Directory::new());
        let (port, settings) = (free_port(), self.settings.clone());
        let mut standby = Self { programs, disk: None, directory, port, settings, child: None };
        standby.give_to_server(&standby.directory);
        let mut command = standby.as_user("pg_basebackup");
        command.args(["-h", "127.0.0.1", "-p", &primary.to_string(), "-U", USER]);
        command.args(["-c", "fast", "-R", "-D"]).arg(standby.data());
        let output = command.output().expect("pg_basebackup runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        standby.run();
        standby
    }

    /// Copies a file into its data, where only the server can read it.
    pub fn install(&self, from: &Path, name: &str) {
        let to = self.data().join(name);
        fs::copy(from, &to).expect("the data can be written");
        self.give_to_server(&to);
        let mode = Command::new("chmod").arg("600").arg(&to).status();
        assert!(mode.expect("there is a chmod").success());
    }

    /// Returns whether the server runs as another user than the test, as it must if that is root.
    pub fn runs_as_other_user(&self) -> bool {
        is_root()
    }

    fn give_to_server(&self, path: &Path) {
        if is_root() {
            let owner = Command::new("chown").arg("postgres").arg(path).status();
            assert!(owner.expect("there is a chown").success(), "there is a user postgres");
        }
    }

    /// The port on 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its database.
    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The URL of its database by way of another port.
    pub fn url_at(&self, port: u16) -> String {
        format!("postgres://{USER}@127.0.0.1:{port}/{DATABASE}")
    }

    /// The directory of its socket and its data.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Replaces the settings for the next run.
    pub fn set_settings(&mut self, settings: &[&str]) {
        self.settings = settings.iter().map(|&setting| setting.to_owned()).collect();
    }

    /// Runs statements as the owner of the database, and returns what they print: columns with a
    /// `|` between them.
    pub fn execute(&self, sql: &str) -> String {
        let output = self.psql(sql);
        assert!(output.status.success(), "{sql}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("psql prints text").trim_end().to_owned()
    }

    fn psql(&self, sql: &str) -> Output {
        let port = self.port.to_string();
        Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1", "-h", "127.0.0.1"])
            .args(["-p", &port, "-U", USER, "-d", DATABASE, "-c", sql])
            .stdin(Stdio::null())
            .output()
            .expect("psql runs")
    }

    /// Starts a session that runs `sql` until it is dropped, such as one that holds a lock.
    pub fn session(&self, sql: &str) -> Session {
        let port = self.port.to_string();
        let child = Command::new(self.programs.join("psql"))
            .args(["-X", "-q", "-h", "127.0.0.1", "-p", &port, "-U", USER, "-d", DATABASE])
            .args(["-c", sql, "-c", "SELECT pg_sleep(600)"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Session(child.expect("psql starts"))
    }

    /// Ends all its processes at once, as a power cut does.
    pub fn kill(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        self.signal(&child, "-KILL");
        // A process that has ended already is no reason to fail.
        let _ = child.kill();
        child.wait().expect("the server ends");
        self.remove_shared_memory();
        // The next run refuses to start while a process of this one is left.
        let _ = fs::remove_file(self.data().join("postmaster.pid"));
    }

    /// Removes the segment of shared memory that a killed server leaves behind. It would be there
    /// until the machine restarts, and the kernel allows 4,096 of them.
    fn remove_shared_memory(&self) {
        let Ok(lines) = fs::read_to_string(self.data().join("postmaster.pid")) else { return };
        // The key and the id of the segment.
        let id = lines.lines().nth(6).and_then(|line| line.split_whitespace().nth(1));
        // A server that was killed while it started may have none yet.
        let Some(id) = id else { return };
        let removed = Command::new("ipcrm").args(["-m", id]).output();
        assert!(removed.expect("there is an ipcrm").status.success(), "segment {id} is removed");
    }

    /// Ends it, and runs it again with what it had on disk.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Ends it, and runs it again with no data.
    pub fn restart_without_data(&mut self) {
        self.kill();
        // Processes that were just killed may still write.
        let emptied = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(10));
            fs::remove_dir_all(self.data()).is_ok()
        });
        assert!(emptied, "the data can be removed");
        self.initialise();
        self.run();
    }

    /// Ends it with its connections, as an operator does.
    pub fn stop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        send("-INT", &[child.id()]);
        child.wait().expect("the server ends");
    }

    /// Suspends its processes: connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.signal(self.child.as_ref().expect("the server runs"), "-STOP");
    }

    /// Continues paused processes.
    pub fn resume(&self) {
        self.signal(self.child.as_ref().expect("the server runs"), "-CONT");
    }

    /// Starts the process, and waits until it answers.
    pub fn run(&mut self) {
        let data = self.data();
        let mut command = self.as_user("postgres");
        command.arg("-D").arg(&data).args(["-c", "listen_addresses=127.0.0.1"]);
        command.args(["-c", &format!("port={}", self.port)]);
        command.args(["-c", &format!("unix_socket_directories={}", self.directory.display())]);
        command.args(["-c", "shared_buffers=32MB", "-c", "max_wal_size=256MB"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let log = fs::OpenOptions::new().create(true).append(true).open(self.log());
        let log = log.expect("the log can be written");
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("the server starts"));
        let began = Instant::now();
        while !self.psql("SELECT 1").status.success() {
            let child = self.child.as_mut().expect("it was just started");
            let ended = child.try_wait().expect("a child has a state");
            assert!(
                ended.is_none() && began.elapsed() < Duration::from_secs(30),
                "the server does not start; its log says:\n{}",
                fs::read_to_string(self.log()).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn initialise(&self) {
        self.give_to_server(&self.directory);
        let copied = Command::new("cp").arg("-a").arg(self.template()).arg(self.data()).status();
        assert!(copied.expect("there is a cp").success(), "the data can be written");
    }

    /// Returns a directory with the data of a server that never ran. The first test makes it: that
    /// takes a second, and a copy a tenth of it.
    fn template(&self) -> PathBuf {
        let version = self.programs.to_string_lossy().replace('/', "-");
        let template = std::env::temp_dir().join(format!("tower-superoffice-postgres{version}"));
        if template.exists() {
            return template;
        }
        let made = self.directory.join("template");
        let mut command = self.as_user("initdb");
        command.arg("-D").arg(&made);
        command.args(["-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"]);
        let output = command.output().expect("initdb runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Another test may have been quicker.
        match fs::rename(&made, &template) {
            Ok(()) => template,
            Err(_) => made,
        }
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn log(&self) -> PathBuf {
        self.directory.join("log")
    }

    /// A command with a program of PostgreSQL, which refuses to run as root.
    fn as_user(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        if !is_root() {
            return Command::new(program);
        }
        // Unlike `su` it becomes the program, so that signals reach it.
        let mut command = Command::new("setpriv");
        command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
        command.current_dir(&*self.directory);
        command
    }

    fn signal(&self, child: &Child, signal: &str) {
        // First the parent, which would replace a child that ended.
        send("-STOP", &[child.id()]);
        let children = fs::read_to_string(format!("/proc/{0}/task/{0}/children", child.id()));
        let children = children.unwrap_or_default();
        let mut processes: Vec<u32> =
            children.split_whitespace().filter_map(|id| id.parse().ok()).collect();
        processes.push(child.id());
        send(signal, &processes);
    }
}

fn send(signal: &str, processes: &[u32]) {
    let processes = processes.iter().map(ToString::to_string);
    // One that has ended in the meantime is no reason to fail.
    let sent = Command::new("kill").arg(signal).args(processes).stderr(Stdio::null()).status();
    sent.expect("there is a kill command");
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A session that ends when this is dropped.
#[derive(Debug)]
pub struct Session(Child);

impl Drop for Session {
    fn drop(&mut self) {
        // One that has ended already is no reason to fail.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Returns whether there is a PostgreSQL, and says on stderr that the test is skipped if not.
pub fn postgres_installed() -> bool {
    let installed = programs().is_some();
    if !installed {
        skip("postgresql");
    }
    installed
}

/// Returns the directory of the newest version's programs. Debian has them out of the `PATH`.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten();
    let mut found: Vec<_> = versions
        .filter_map(|version| Some(version.ok()?.path().join("bin")))
        .filter(|programs| programs.join("initdb").exists())
        .collect();
    found.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let in_path = std::env::split_paths(&path).find(|programs| programs.join("initdb").exists());
    found.pop().or(in_path)
}

fn is_root() -> bool {
    let id = Command::new("id").arg("-u").output();
    id.is_ok_and(|output| output.stdout == b"0\n")
}
