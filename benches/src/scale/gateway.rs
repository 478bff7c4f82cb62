//! The gateway as a child process.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde::Deserialize;

use crate::{
    BoxError,
    arguments::Arguments,
    process::{Memory, Process},
    workshop::Workshop,
};

pub struct Gateway {
    pub process: Process,
    pub address: SocketAddr,
    /// From its start to the line that says where it listens.
    pub started: Duration,
    /// The processor time that took, in seconds.
    pub starting: f64,
    /// What it had by then.
    pub fresh: Memory,
}

/// What `GET /tenants` says.
pub struct Tenants {
    pub all: usize,
    pub closed: usize,
    pub bytes: usize,
    pub took: Duration,
}

#[derive(Deserialize)]
struct Tenant {
    available: bool,
}

impl Gateway {
    pub fn start(
        arguments: &Arguments,
        workshop: &Workshop,
        store: &str,
    ) -> Result<Self, BoxError> {
        let began = Instant::now();
        let mut child = Command::new(&arguments.gateway)
            .args(["--listen", "127.0.0.1:0", "--base-url", &workshop.base_url])
            .args(["--audience", &workshop.audience, "--store", store, "--certificate"])
            .arg(workshop.certificate())
            // As in production: its looks cost memory and time. None of them may open a tenant here,
            // which the simulator's state API says is running.
            .args(["--state-api", "on", "--upgrade-settle", "86400"])
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let process = Process(child);
        let mut line = String::new();
        BufReader::new(stdout.ok_or("its output was asked for")?).read_line(&mut line)?;
        let started = began.elapsed();
        let address = line.trim().strip_prefix("listening on http://").ok_or("it did not start")?;
        let (fresh, starting) = (process.memory()?, process.processor()?);
        Ok(Self { address: address.parse()?, started, starting, fresh, process })
    }

    pub async fn tenants(&self) -> Result<Tenants, BoxError> {
        let client: Client<HttpConnector, Empty<Bytes>> =
            Client::builder(TokioExecutor::new()).build_http();
        let began = Instant::now();
        let answer = client.get(format!("http://{}/tenants", self.address).parse()?).await?;
        let body = answer.into_body().collect().await?.to_bytes();
        let took = began.elapsed();
        let tenants: Vec<Tenant> = serde_json::from_slice(&body)?;
        let closed = tenants.iter().filter(|tenant| !tenant.available).count();
        Ok(Tenants { all: tenants.len(), closed, bytes: body.len(), took })
    }
}
