//! The subcommands: requests to a running gateway.

mod body;
mod events;
mod gateway;
mod print;
mod text;

use std::{
    io::{self, IsTerminal},
    process::ExitCode,
    time::Duration,
};

use axum::http::{Method, StatusCode};
use serde_json::{Value, json};

use self::{
    gateway::{Gateway, Message},
    print::Kind,
};
use crate::{
    BoxError,
    cli::{Command, Order, Output, Target, Tenants},
};

/// Time for the whole answer to a probe, which the prober bounds too.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest answer to a probe, in bytes.
const MAX_PROBE: usize = 1024 * 1024;

/// Time for the start of any other answer: a refresh waits for SuperOffice.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a subcommand. It succeeds when the gateway answers as was hoped for.
pub(crate) fn run(command: Command, target: Target) -> Result<ExitCode, BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let output = command.connection().output.unwrap_or_else(default_output);
        let session = Session { gateway: Gateway::new(target)?, output };
        match command {
            Command::Health(_) => session.probe("/status").await,
            Command::Ready(_) => session.probe("/ready").await,
            Command::Tenants(tenants) => session.list(&tenants).await,
            Command::Open(order) => session.give("open", order.order, order.until).await,
            Command::Close(order) => session.give("close", order.order, order.until).await,
            Command::Release(order) => session.give("release", order, None).await,
            Command::Refresh(order) => session.give("refresh", order, None).await,
            Command::Forget(order) => session.give("forget", order, None).await,
            Command::Events(_) => session.watch().await,
        }
    })
}

/// Chooses a table for a person, and for a program what the gateway sent.
fn default_output() -> Output {
    if io::stdout().is_terminal() { Output::Text } else { Output::Json }
}

/// A gateway, and how its answers are printed.
struct Session {
    gateway: Gateway,
    output: Output,
}

impl Session {
    /// Prints the answer, good or bad.
    async fn probe(&self, path: &str) -> Result<ExitCode, BoxError> {
        let answered = async {
            let response = self.gateway.send(Message::get(path), PROBE_TIMEOUT).await?;
            let status = response.status();
            if status == StatusCode::NOT_FOUND {
                return Err(gateway::NotServed.into());
            }
            Ok::<_, BoxError>((status, body::collect(response.into_body(), MAX_PROBE).await?))
        };
        let answered = tokio::time::timeout(PROBE_TIMEOUT, answered).await;
        let (status, body) = answered.map_err(|_| gateway::TimedOut)??;
        let Ok(Value::Object(answer)) = serde_json::from_slice(&body) else {
            return Err(format!("{status}, which is no answer of a gateway").into());
        };
        let is_ready = path != "/ready" || answer.get("ready") == Some(&Value::Bool(true));
        if status == StatusCode::OK && !is_ready {
            return Err("the answer does not say that the gateway is ready".into());
        }
        print::object(&body, &answer, self.output)?;
        Ok(if status == StatusCode::OK { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn list(&self, tenants: &Tenants) -> Result<ExitCode, BoxError> {
        let prefix = tenants.scope.prefix();
        let (path, kind) = match &tenants.tenant {
            Some(tenant) => (format!("{prefix}/tenants/{tenant}"), Kind::Object),
            None => (format!("{prefix}/tenants{}", query(tenants)), Kind::List),
        };
        self.print(Message::get(&path), kind).await
    }

    async fn give(
        &self,
        verb: &str,
        order: Order,
        until: Option<String>,
    ) -> Result<ExitCode, BoxError> {
        let path = format!("{}/tenants/{}/{verb}", order.scope.prefix(), order.tenant);
        let mut body = serde_json::Map::new();
        for (member, value) in [("note", order.note), ("until", until)] {
            if let Some(value) = value {
                body.insert(member.to_owned(), json!(value));
            }
        }
        let body = serde_json::to_vec(&body)?;
        self.print(Message { method: Method::POST, path: &path, body }, Kind::Object).await
    }

    async fn watch(&self) -> Result<ExitCode, BoxError> {
        let response = self.gateway.send(Message::get("/events"), TIMEOUT).await?;
        events::print_events(gateway::expect_ok(response).await?, self.output).await?;
        Ok(ExitCode::SUCCESS)
    }

    /// Prints the good answer to `message`, which is of this kind.
    async fn print(&self, message: Message<'_>, kind: Kind) -> Result<ExitCode, BoxError> {
        let response = self.gateway.send(message, TIMEOUT).await?;
        let body = gateway::expect_ok(response).await?.into_body();
        print::whole(body, kind, self.output).await?;
        Ok(ExitCode::SUCCESS)
    }
}

/// The query that chooses tenants.
fn query(tenants: &Tenants) -> String {
    let limit = tenants.limit.map(|limit| limit.to_string());
    let values = [
        ("closed", tenants.closed.then_some("true")),
        ("reason", tenants.reason.as_deref()),
        ("prefix", tenants.prefix.as_deref()),
        ("limit", limit.as_deref()),
        ("after", tenants.after.as_ref().map(|after| after.as_str())),
    ];
    let mut query = String::new();
    for (name, value) in values {
        let Some(value) = value else { continue };
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        for byte in value.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
                query.push(char::from(byte));
            } else {
                query.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    query
}
