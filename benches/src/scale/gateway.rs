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
    test_env::TestEnv,
};

pub struct Gateway {
    pub process: Process,
    pub address: SocketAddr,
    /// Time from its start to the line with its address.
    pub started: Duration,
    /// Processor time of the start, in seconds.
    pub start_processor: f64,
    /// Memory in use after the start.
    pub fresh: Memory,
}

/// A summary of the answer to `GET /tenants`.
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
    pub fn start(arguments: &Arguments, env: &TestEnv, store: &str) -> Result<Self, BoxError> {
        let began = Instant::now();
        let mut child = Command::new(&arguments.gateway)
            .args(["--listen", "127.0.0.1:0", "--base-url", &env.base_url])
            .args(["--audience", &env.audience, "--store", store, "--certificate"])
            .arg(env.certificate())
            // On as in production, because pulls cost memory and time. The long settle time keeps
            // them from opening a tenant, which the simulator reports as running.
            .args(["--state-api", "on", "--upgrade-settle", "86400"])
            .env("RUST_LOG", "warn")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()?;
        let stdout = child.stdout.take();
        let process = Process(child);
        let mut line = String::new();
        BufReader::new(stdout.ok_or("the gateway has no stdout")?).read_line(&mut line)?;
        let started = began.elapsed();
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .ok_or("the gateway printed no address")?;
        let (fresh, start_processor) = (process.memory()?, process.processor()?);
        Ok(Self { address: address.parse()?, started, start_processor, fresh, process })
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
