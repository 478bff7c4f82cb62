//! A redis-server of our own on a free port of loopback.

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
    folder: PathBuf,
    /// What it had allocated when it was empty.
    empty: u64,
}

/// In bytes.
pub struct Size {
    /// Allocated since it was empty.
    pub used: u64,
    /// What it appended to its log.
    pub log: u64,
    /// A snapshot.
    pub dump: u64,
}

impl Redis {
    pub fn start(folder: PathBuf, sync: &str) -> Result<Self, BoxError> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let child = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", ""])
            .args(["--appendonly", "yes", "--appendfsync", sync, "--dir"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| {
                format!("redis-server can't be started ({error}): install it first")
            })?;
        let mut redis = Self { process: Process(child), port, folder, empty: 0 };
        let began = Instant::now();
        while redis.ask("PING").is_err() {
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

    /// How large it is now. The snapshot is made for that.
    pub fn size(&self) -> Result<Size, BoxError> {
        let used = self.used()?.saturating_sub(self.empty);
        // The log is one file or a folder of files, depending on the version.
        let log = bytes_in(&self.folder)?;
        self.ask("SAVE")?;
        let dump = self.folder.join("dump.rdb");
        let size = Size { used, log, dump: fs::metadata(&dump)?.len() };
        fs::remove_file(dump)?;
        Ok(size)
    }

    fn used(&self) -> Result<u64, BoxError> {
        let info = self.ask("INFO memory")?;
        let used = info.lines().find_map(|line| line.strip_prefix("used_memory:"));
        Ok(used.ok_or("Redis says how much it uses")?.trim().parse()?)
    }

    /// The answer to a command, which is a line, or a text whose length is in the first line.
    fn ask(&self, command: &str) -> Result<String, BoxError> {
        let stream = TcpStream::connect(("127.0.0.1", self.port))?;
        stream.set_read_timeout(Some(Duration::from_secs(120)))?;
        (&stream).write_all(format!("{command}\r\n").as_bytes())?;
        let mut answer = BufReader::new(stream);
        let mut line = String::new();
        answer.read_line(&mut line)?;
        match line.trim_end().split_at_checked(1) {
            Some(("+", said)) => Ok(said.to_owned()),
            Some(("$", length)) => {
                let mut text = vec![0; length.parse()?];
                answer.read_exact(&mut text)?;
                Ok(String::from_utf8(text)?)
            }
            _ => Err(format!("Redis answers {command} with {line}").into()),
        }
    }
}

fn bytes_in(folder: &Path) -> Result<u64, BoxError> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        bytes += if entry.file_type()?.is_dir() {
            bytes_in(&entry.path())?
        } else {
            entry.metadata()?.len()
        };
    }
    Ok(bytes)
}
