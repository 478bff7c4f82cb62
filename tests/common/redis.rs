//! A redis-server of a test's own, on a free port of loopback, gone when the test ends.

use std::{
    fs,
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use crate::directory::Directory;

/// A server that can be killed, paused and brought back.
#[derive(Debug)]
pub(crate) struct RedisServer {
    directory: Directory,
    port: u16,
    arguments: Vec<String>,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a server that has written to disk whatever it answered.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// Starts a server with more arguments, such as `["--requirepass", "secret"]`.
    pub(crate) fn start_with(arguments: &[&str]) -> Self {
        let mut server = Self::stopped(arguments);
        server.run();
        server
    }

    /// A server that has its port but does not run yet.
    pub(crate) fn stopped(arguments: &[&str]) -> Self {
        let directory = Directory::new();
        let arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
        Self { directory, port: free_port(), arguments, child: None }
    }

    /// Replaces the arguments for the next run.
    pub(crate) fn set_arguments(&mut self, arguments: &[&str]) {
        self.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// The directory that the server keeps its data in.
    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// A connection for the test to look around.
    pub(crate) fn connection(&self) -> redis::Connection {
        let client = redis::Client::open(self.url()).expect("the URL is right");
        client.get_connection().expect("the server answers")
    }

    /// Ends it as a crash does.
    /// Makes a user with these rights; its URL.
    pub(crate) fn user(&self, name: &str, rights: &str) -> String {
        let mut acl = redis::cmd("ACL");
        acl.arg("SETUSER").arg(name).arg("on").arg(">word").arg("~*").arg("&*");
        acl.arg(rights.split(' ').collect::<Vec<_>>());
        acl.exec(&mut self.connection()).expect("the server makes a user");
        format!("redis://{name}:word@127.0.0.1:{}/0", self.port())
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("redis-server can be killed");
            child.wait().expect("redis-server ends");
        }
    }

    /// Brings it back with what it had on disk.
    pub(crate) fn restart(&mut self) {
        self.kill();
        self.run();
    }

    /// Brings it back with nothing.
    pub(crate) fn restart_without_data(&mut self) {
        self.kill();
        for name in ["appendonlydir", "appendonly.aof", "dump.rdb"] {
            let path = self.directory.join(name);
            // Which of them there are depends on the server's version.
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
        self.run();
    }

    /// Stops it from running, without a word to its clients.
    pub(crate) fn pause(&self) {
        self.signal("-STOP");
    }

    /// Lets it run on.
    pub(crate) fn resume(&self) {
        self.signal("-CONT");
    }

    /// Runs it, and waits until it answers.
    pub(crate) fn run(&mut self) {
        self.spawn();
        let began = Instant::now();
        while !answers(self.port) {
            let child = self.child.as_mut().expect("it was just started");
            let ended = child.try_wait().expect("a child can be asked");
            assert!(
                ended.is_none() && began.elapsed() < Duration::from_secs(30),
                "redis-server does not start; its log says:\n{}",
                fs::read_to_string(self.directory.join("log")).unwrap_or_default()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn spawn(&mut self) {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.file("log"));
        let spawned = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--save", "", "--daemonize", "no"])
            .args(["--appendonly", "yes", "--appendfsync", "always"])
            .args(["--port", &self.port.to_string(), "--dir"])
            .arg(&*self.directory)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.expect("the log can be written"))
            .stderr(Stdio::inherit())
            .spawn();
        self.child = Some(match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                panic!(
                    "redis-server is missing: install it, as scripts/test does (Debian: apt install redis-server)"
                )
            }
            Err(error) => panic!("redis-server can't be started: {error}"),
        });
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
            // A paused process is killed just as well. One that is gone already is no reason to fail.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

/// Whether a Redis server at `port` has loaded its data and takes commands, or wants a password or
/// TLS first.
fn answers(port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) else { return false };
    let mut answer = [0; 8];
    let asked = stream
        .set_read_timeout(Some(Duration::from_secs(1)))
        .and_then(|()| stream.write_all(b"PING\r\n"))
        .and_then(|()| stream.read(&mut answer));
    match asked {
        Ok(length) => {
            let answer = &answer[..length];
            answer.starts_with(b"+PONG")
                || answer.starts_with(b"-NOAUTH")
                || answer.first() == Some(&0x15)
        }
        // One that speaks TLS hangs up.
        Err(error) => error.kind() == ErrorKind::ConnectionReset,
    }
}
