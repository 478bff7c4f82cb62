//! The command line, and the gate that it describes.

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use axum::http::Uri;
use clap::{Parser, ValueEnum};
use tower_superoffice::{Environment, SigningKeys, TenantGate, TenantGateBuilder, store};

use crate::{BoxError, admin};

/// Receives SuperOffice's tenant notifications and forwards calls to tenants that are open.
///
/// POST the State Change URL of your application at --notification-path, and let your services call
/// /{ContextIdentifier}/... here instead of at SuperOffice. A call to a tenant that is suspended,
/// upgrading or deleted is answered with 503 (410 when deleted) and never sent.
#[derive(Debug, Parser)]
#[command(name = "gateway", version)]
pub(crate) struct Args {
    /// Where to listen; port 0 picks a free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub(crate) listen: SocketAddr,

    /// Serves everything but the notification path here instead.
    #[arg(long, value_name = "ADDR")]
    pub(crate) internal_listen: Option<SocketAddr>,

    /// SuperOffice's environment.
    #[arg(long, value_enum, required_unless_present = "base_url", conflicts_with = "base_url")]
    environment: Option<Named>,

    /// A custom environment: keys, state API and tenants live under this URL.
    #[arg(long, value_name = "URL")]
    base_url: Option<Uri>,

    /// Where calls go instead of https://{tenant's host}; path and query are kept byte for byte.
    #[arg(long, value_name = "URL")]
    pub(crate) upstream: Option<Uri>,

    /// Verifies tokens with the certificate or public key in this file, not with the environment's key URL.
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// Verifies tokens with the JSON Web Key Set in this file, not with the environment's key URL.
    #[arg(long, value_name = "FILE")]
    jwks: Option<PathBuf>,

    /// Fetches keys from here instead of the environment's key URL; files of keys count too.
    #[arg(long, value_name = "URL")]
    key_url: Option<Uri>,

    /// Takes notifications for this application id (repeatable).
    #[arg(long, value_name = "ID", required_unless_present = "any_audience")]
    audience: Vec<String>,

    /// Takes notifications for any application.
    #[arg(long, conflicts_with = "audience")]
    any_audience: bool,

    /// Takes notifications from this issuer too (repeatable).
    #[arg(long, value_name = "ISS")]
    issuer: Vec<String>,

    /// Where notifications arrive.
    #[arg(long, value_name = "PATH", default_value = "/NotifyCustomerStateChange")]
    pub(crate) notification_path: String,

    /// Where tenants' states are kept: memory, redb:FILE, or redis://HOST:PORT[/DB].
    #[arg(long, value_name = "STORE", default_value = "memory")]
    store: String,

    /// Whether the state API is asked about tenants [default: on with --environment, off with --base-url].
    #[arg(long, value_name = "on|off")]
    state_api: Option<Switch>,

    /// How long after a notification the state API may lag behind it.
    #[arg(long, value_name = "SECONDS", default_value = "60", value_parser = seconds, allow_negative_numbers = true)]
    settle: Duration,

    /// How long after the notice of an upgrade the tenant may still be up.
    #[arg(long, value_name = "SECONDS", default_value = "900", value_parser = seconds, allow_negative_numbers = true)]
    upgrade_settle: Duration,

    /// How long a tenant may take to start its answer.
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) upstream_timeout: Duration,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Named {
    /// Development.
    Sod,
    Stage,
    Production,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Switch {
    On,
    Off,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number of seconds".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

impl Args {
    /// Builds the gate.
    pub(crate) async fn gate(&self) -> Result<TenantGate, BoxError> {
        self.check()?;
        let environment = self.environment();
        let mut gate = TenantGate::builder(environment.clone())
            .notification_path(&self.notification_path)
            .settle(self.settle)
            .upgrade_settle(self.upgrade_settle)
            .state_api(self.state_api());
        for audience in &self.audience {
            gate = gate.audience(audience);
        }
        if self.any_audience {
            gate = gate.any_audience();
        }
        for issuer in &self.issuer {
            gate = gate.issuer(issuer);
        }
        for file in self.certificate.iter().chain(&self.jwks) {
            gate = gate.signing_keys(SigningKeys::read(file)?);
        }
        if let Some(url) = &self.key_url {
            gate = gate.key_url(url.clone());
        }
        Ok(with_store(gate, &self.store, &environment)?.build().await?)
    }

    /// What would silently do something else than its user wants.
    fn check(&self) -> Result<(), BoxError> {
        if admin::PATHS.contains(&&*self.notification_path) {
            return Err("--notification-path is a path of the gateway's own: choose another".into());
        }
        if self.issuer.iter().any(|issuer| issuer.trim().is_empty()) {
            return Err("--issuer is empty".into());
        }
        Ok(())
    }

    fn environment(&self) -> Environment {
        match (self.environment, &self.base_url) {
            (Some(Named::Sod), _) => Environment::Sod,
            (Some(Named::Stage), _) => Environment::Stage,
            (Some(Named::Production), _) => Environment::Production,
            (None, base) => Environment::custom(base.clone().unwrap_or_default()),
        }
    }

    pub(crate) fn state_api(&self) -> bool {
        self.state_api.map_or(self.environment.is_some(), |switch| switch == Switch::On)
    }
}

fn with_store(
    gate: TenantGateBuilder,
    store: &str,
    environment: &Environment,
) -> Result<TenantGateBuilder, BoxError> {
    if store == "memory" {
        return Ok(gate);
    }
    if let Some(file) = store.strip_prefix("redb:") {
        return Ok(gate.store(store::RedbStore::open(file, environment)?));
    }
    if store.starts_with("redis://") || store.starts_with("rediss://") {
        return Ok(gate.store(store::RedisStore::connect(store, environment)?));
    }
    Err("--store takes memory, redb:FILE or redis://HOST:PORT[/DB]".into())
}
