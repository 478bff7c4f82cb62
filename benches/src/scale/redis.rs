//! A redis-server child process on a free port of loopback.

use std::{
    fs,
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{BoxError, process::Process};

pub struct Redis {
    pub process: Process,
    port: u16,
    directory: PathBuf,
    /// Bytes allocated while it was empty.
    empty: u64,
}

/// Sizes in bytes.
pub struct Size {
    /// Memory allocated beyond that of the empty server.
    pub used: u64,
    /// Its append-only log.
    pub log: u64,
    /// Its snapshot.
    pub dump: u64,
}

impl Redis {
    pub fn start(directory: PathBuf, sync: &str) -> Result<Self, BoxError> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", sync, "--dir"])
            .arg(&directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("redis-server can't be started ({error}): install it first")
            })?;
        let mut redis = Self { process: Process(child), port, directory, empty: 0 };
        let began = Instant::now();
        while redis.command("PING").is_err() {
            if began.elapsed() > Duration::from_secs(30) {
                return Err("redis-server does not answer".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        redis.empty = redis.used()?;
        Ok(redis)
    }

    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}", self.port)
    }

    /// Measures its current size. Makes a snapshot for that, and removes it.
    pub fn size(&self) -> Result<Size, BoxError> {
        let used = self.used()?.saturating_sub(self.empty);
        // The log is one file or a directory of files, depending on the version.
        let log = bytes_in(&self.directory)?;
        self.command("SAVE")?;
        let dump = self.directory.join("dump.rdb");
        let size = Size { used, log, dump: fs::metadata(&dump)?.len() };
        fs::remove_file(dump)?;
        Ok(size)
    }

    fn used(&self) -> Result<u64, BoxError> {
        let info = self.command("INFO memory")?;
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        Ok(used.ok_or("INFO has no used_memory")?.trim().parse()?)
    }

    /// Sends a command and reads its reply, a simple or a bulk string.
    fn command(&self, command: &str) -> Result<String, BoxError> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        (&stream).write_all(format!("{command}\r\n").as_bytes())?;
        let mut answer = BufReader::new(stream);
        let mut line = String::new();
        answer.read_line(&mut line)?;
        match line.trim_end().split_at_checked(1) {
            Some(("+", text)) => Ok(text.to_owned()),
            Some(("$", length)) => {
                let mut text = vec![0; length.parse()?];
                answer.read_exact(&mut text)?;
                Ok(String::from_utf8(text)?)
            }
            _ => Err(format!("Redis answers {command} with {line}").into()),
        }
    }
}

fn bytes_in(directory: &Path) -> Result<u64, BoxError> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            bytes_in(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}
