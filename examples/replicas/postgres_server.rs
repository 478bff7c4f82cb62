//! A PostgreSQL server as a child process, with its data in a temporary directory.

use std::{
    fs,
    net::{Ipv4Addr, TcpListener},
    path::{Path, PathBuf},
    process::{Output, Stdio},
    time::Duration,
};

use tokio::process::{Child, Command};

use crate::BoxError;

const USER: &str = "replicas";

pub struct PostgresServer {
    programs: PathBuf,
    directory: PathBuf,
    as_root: bool,
    port: u16,
    child: Option<Child>,
}

impl PostgresServer {
    /// Starts a server on a free port of loopback.
    pub async fn start() -> Result<Self, BoxError> {
        let programs = programs()
            .ok_or("PostgreSQL is missing: install it (Debian: apt install postgresql)")?;
        let as_root = output(Command::new("id").arg("-u")).await?.trim() == "0";
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let name = format!("replicas-{}-{port}", std::process::id());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir(&directory)?;
        let mut server = Self { programs, directory, as_root, port, child: None };
        if as_root {
            output(Command::new("chown").arg("postgres").arg(&server.directory)).await?;
        }
        let mut initdb = server.command("initdb");
        initdb.args(["-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync", "-D"]);
        output(initdb.arg(server.directory.join("empty"))).await?;
        server.run().await?;
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    /// Runs the server without data, and waits until it answers.
    pub async fn run(&mut self) -> Result<(), BoxError> {
        let data = self.directory.join("data");
        if data.exists() {
            fs::remove_dir_all(&data)?;
        }
        output(Command::new("cp").arg("-a").arg(self.directory.join("empty")).arg(&data)).await?;
        let mut child = self
            .command("postgres")
            .arg("-D")
            .arg(&data)
            .args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={}", self.port)])
            .args(["-c", &format!("unix_socket_directories={}", self.directory.display())])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()?;
        while !self.is_ready().await? {
            if let Some(status) = child.try_wait()? {
                return Err(format!("PostgreSQL exited at start: {status}").into());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        self.child = Some(child);
        Ok(())
    }

    /// Ends the server with all its connections and without a checkpoint, as a crash would.
    pub async fn kill(&mut self) -> Result<(), BoxError> {
        if let Some(mut child) = self.child.take() {
            // Killed by SIGKILL it would leave its shared memory and its children behind.
            signal_quit(&child)?;
            child.wait().await?;
        }
        Ok(())
    }

    async fn is_ready(&self) -> Result<bool, BoxError> {
        let mut command = Command::new(self.programs.join("pg_isready"));
        command.args(["-q", "-h", "127.0.0.1", "-p", &self.port.to_string()]);
        Ok(command.status().await?.success())
    }

    /// A command with a program of PostgreSQL, which refuses to run as root.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if self.as_root {
            // Unlike `su` it becomes the program, so that signals reach it.
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(&self.directory);
        command
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Best effort: the system cleans its temporary directory.
        if let Some(child) = &mut self.child {
            let _ = signal_quit(child);
            while matches!(child.try_wait(), Ok(None)) {
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        let _ = fs::remove_dir_all(&self.directory);
    }
}

fn signal_quit(child: &Child) -> Result<(), BoxError> {
    let id = child.id().ok_or("PostgreSQL has ended already")?.to_string();
    let sent = std::process::Command::new("kill").args(["-QUIT", &id]).status()?;
    if sent.success() { Ok(()) } else { Err("PostgreSQL can't be signalled".into()) }
}

/// Runs a command to its end, and returns what it printed.
async fn output(command: &mut Command) -> Result<String, BoxError> {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().await?;
    if status.success() {
        Ok(String::from_utf8(stdout)?)
    } else {
        Err(String::from_utf8_lossy(&stderr).into_owned().into())
    }
}

/// Returns the directory of the newest version's programs. Debian has them out of the `PATH`.
fn programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok().into_iter().flatten();
    let newest = versions.filter_map(|version| Some(version.ok()?.path().join("bin"))).max();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut all = newest.into_iter().chain(std::env::split_paths(&path));
    all.find(|programs: &PathBuf| Path::exists(&programs.join("initdb")))
}
