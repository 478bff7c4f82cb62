//! The subcommands: requests to a running gateway.

mod ask;
mod print;

use std::{process::ExitCode, time::Duration};

use axum::http::{Method, StatusCode};
use serde_json::json;

use self::ask::{Gateway, Question};
use crate::{
    BoxError,
    cli::{Command, Order, Target, Tenants},
};

/// Time for the whole answer to a probe, which the prober bounds too.
const PROBE_TIMEOUT: Duration = Duration::from_secs(5);

/// Time for the start of any other answer: a refresh waits for SuperOffice.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs a subcommand. It succeeds when the gateway answers as was hoped for.
pub(crate) fn run(command: Command, target: Target) -> Result<ExitCode, BoxError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let gateway = Gateway::new(target)?;
        match command {
            Command::Health(_) => probe(&gateway, "/status").await,
            Command::Ready(_) => probe(&gateway, "/ready").await,
            Command::Tenants(tenants) => list(&gateway, &tenants).await,
            Command::Open(order) => give(&gateway, "open", order.order, order.until).await,
            Command::Close(order) => give(&gateway, "close", order.order, order.until).await,
            Command::Release(order) => give(&gateway, "release", order, None).await,
            Command::Refresh(order) => give(&gateway, "refresh", order, None).await,
            Command::Forget(order) => give(&gateway, "forget", order, None).await,
            Command::Events(_) => watch(&gateway).await,
        }
    })
}

/// Prints the answer, good or bad.
async fn probe(gateway: &Gateway, path: &str) -> Result<ExitCode, BoxError> {
    let answered = async {
        let response = gateway.ask(Question::get(path), PROBE_TIMEOUT).await?;
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Err(ask::NotServed.into());
        }
        print::whole(response.into_body()).await?;
        Ok::<_, BoxError>(status)
    };
    let status =
        tokio::time::timeout(PROBE_TIMEOUT, answered).await.map_err(|_| ask::TimedOut)??;
    Ok(if status == StatusCode::OK { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn list(gateway: &Gateway, tenants: &Tenants) -> Result<ExitCode, BoxError> {
    let prefix = tenants.scope.prefix();
    let path = match &tenants.tenant {
        Some(tenant) => format!("{prefix}/tenants/{tenant}"),
        None => format!("{prefix}/tenants{}", query(tenants)),
    };
    let response = gateway.ask(Question::get(&path), TIMEOUT).await?;
    print::whole(ask::expect_ok(response).await?.into_body()).await?;
    Ok(ExitCode::SUCCESS)
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

async fn give(
    gateway: &Gateway,
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
    let question = Question { method: Method::POST, path: &path, body };
    let response = gateway.ask(question, TIMEOUT).await?;
    print::whole(ask::expect_ok(response).await?.into_body()).await?;
    Ok(ExitCode::SUCCESS)
}

async fn watch(gateway: &Gateway) -> Result<ExitCode, BoxError> {
    let response = gateway.ask(Question::get("/events"), TIMEOUT).await?;
    print::events(ask::expect_ok(response).await?.into_body()).await?;
    Ok(ExitCode::SUCCESS)
}
