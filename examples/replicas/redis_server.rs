//! A redis-server child process without persistence.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, SocketAddr},
    process::Stdio,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    process::{Child, Command},
};

use crate::BoxError;

pub struct RedisServer {
    address: SocketAddr,
    child: Option<Child>,
}

impl RedisServer {
    /// Starts a server on a free port of loopback.
    pub async fn start() -> Result<Self, BoxError> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?.local_addr()?;
        let mut server = Self { address: free, child: None };
        server.run().await?;
        Ok(server)
    }

    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// Runs the server, and waits until it answers.
    pub async fn run(&mut self) -> Result<(), BoxError> {
        let spawned = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &self.address.port().to_string()])
            .args(["--save", "", "--appendonly", "no", "--daemonize", "no"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .kill_on_drop(true)
            .spawn();
        let mut child = spawned.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                "redis-server is missing: install it (Debian: apt install redis-server)".to_owned()
            }
            _ => format!("redis-server can't be started: {error}"),
        })?;
        while self.ping().await.is_err() {
            if let Some(status) = child.try_wait()? {
                return Err(format!("redis-server exited at start: {status}").into());
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        self.child = Some(child);
        Ok(())
    }

    /// Kills the server, as a crash would.
    pub async fn kill(&mut self) -> Result<(), BoxError> {
        if let Some(mut child) = self.child.take() {
            child.kill().await?;
        }
        Ok(())
    }

    async fn ping(&self) -> Result<(), BoxError> {
        let mut stream = TcpStream::connect(self.address).await?;
        stream.write_all(b"PING\r\n").await?;
        let mut answer = [0; 5];
        stream.read_exact(&mut answer).await?;
        if answer == *b"+PONG" { Ok(()) } else { Err("redis-server does not answer PING".into()) }
    }
}
