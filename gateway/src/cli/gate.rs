//! The gates that a command line describes.

use std::fs;

use tower_superoffice::{TenantGate, pull::Schedule, store::PostgresStore, token::SigningKeys};

use super::{Args, EnvironmentArgs, Switch, store, track};
use crate::{BoxError, forward, routes::Access, served::Served};

impl Args {
    /// Builds the gates.
    pub(crate) async fn gates(&self) -> Result<Served, BoxError> {
        self.check()?;
        let names = self.environment_names();
        let tracked = match &self.track {
            Some(file) => track::read(file, &names)?,
            None => Vec::new(),
        };
        let authorities = self.authorities()?;
        let (mut gates, mut stores) = (Vec::new(), Vec::new());
        for args in &self.environments {
            let (gate, store) =
                self.gate(args, authorities.as_deref()).await.map_err(|error| match &*names {
                    [_] => error,
                    _ => format!("{}: {error}", args.environment.name()).into(),
                })?;
            gates.push(gate);
            stores.push(store);
        }
        let served = Served::new(gates)?;
        for (gate, tracked) in served.gates().iter().zip(tracked) {
            gate.track(tracked);
        }
        for (args, store) in self.environments.iter().zip(stores) {
            let any = args.any_audience.then(|| "any".to_owned());
            tracing::info!(
                environment = args.environment.name(),
                audiences = any.unwrap_or_else(|| args.audiences.join(", ")),
                store,
                state_api = self.state_api(),
                state_change_url = format!("https://YOUR-PUBLIC-HOST{}", self.notification_path),
                "gate started"
            );
        }
        Ok(served)
    }

    /// Returns the SQL that makes the tables of all environments in a PostgreSQL server.
    pub(crate) fn store_script(&self) -> String {
        let environments = self.environments.iter().map(|args| &args.environment);
        environments.map(PostgresStore::script).collect()
    }

    /// Builds the gate of an environment; returns it with the name of its store.
    async fn gate(
        &self,
        args: &EnvironmentArgs,
        authorities: Option<&[u8]>,
    ) -> Result<(TenantGate, String), BoxError> {
        let environment = &args.environment;
        let mut gate = TenantGate::builder(environment.clone())
            .notification_path(&self.notification_path)
            .settle(self.settle)
            .upgrade_settle(self.upgrade_settle)
            .login_tokens(self.login_tokens)
            .leeway(self.leeway)
            .key_max_age(self.key_max_age)
            .resume_jitter(self.resume_jitter)
            .event_capacity(self.event_capacity.get())
            .schedule(Schedule::new().pulls_per_second(self.pulls_per_second))
            .start_without_store(self.start_without_store)
            .state_api(self.state_api());
        for audience in &args.audiences {
            gate = gate.audience(audience);
        }
        if args.any_audience {
            gate = gate.any_audience();
        }
        for issuer in &args.issuers {
            gate = gate.issuer(issuer);
        }
        for file in args.certificate.iter().chain(&args.jwks) {
            gate = gate.signing_keys(SigningKeys::from_file(file)?);
        }
        if let Some(url) = &args.key_url {
            gate = gate.key_url(url.clone());
        }
        if self.hold_tracked {
            gate = gate.close_tracked_until_known();
        }
        if let Some(max) = self.tenant_labels {
            gate = gate.tenant_labels(max);
        }
        if let Some(pem) = authorities {
            gate = gate.extra_roots(pem);
        }
        let settings = store::Settings {
            environment,
            is_alone: self.environments.len() == 1,
            connect_timeout: self.store_connect_timeout,
            authorities,
        };
        let (gate, store) = store::open(gate, &self.store, settings)?;
        Ok((gate.build().await?, store))
    }

    fn environment_names(&self) -> Vec<String> {
        self.environments.iter().map(|args| args.environment.name()).collect()
    }

    /// Refuses values that would silently do something else than was meant.
    fn check(&self) -> Result<(), BoxError> {
        let names = self.environment_names();
        let prefixes = if names.len() > 1 { names } else { Vec::new() };
        if forward::is_reserved(&self.notification_path, &prefixes) {
            let advice =
                "--notification-path lies below a name of the gateway's own: choose another";
            return Err(advice.into());
        }
        if self.notification_path == "/" && self.internal_listen.is_none() {
            return Err(
                "--notification-path / would hide the page, which is GET /: choose another, \
                        or add --internal-listen"
                    .into(),
            );
        }
        if self.track.is_some() && !self.state_api() {
            return Err("--track needs the state API: add --state-api on".into());
        }
        if self.hold_tracked && self.track.is_none() {
            return Err("--hold-tracked needs --track FILE".into());
        }
        let mut issuers = self.environments.iter().flat_map(|args| &args.issuers);
        if issuers.any(|issuer| issuer.trim().is_empty()) {
            return Err("--issuer is empty".into());
        }
        Ok(())
    }

    /// Returns the certificates, in PEM, of the authorities in --ca-file.
    pub(crate) fn authorities(&self) -> Result<Option<Vec<u8>>, BoxError> {
        let Some(file) = &self.ca_file else { return Ok(None) };
        let pem =
            fs::read(file).map_err(|error| format!("--ca-file {}: {error}", file.display()))?;
        Ok(Some(pem))
    }

    /// Returns what an operator's order has to show; `None` when none is to be taken, because any
    /// host may reach the listener.
    pub(crate) fn access_to_orders(&self) -> Option<Access> {
        let own_hosts_only = self.internal_listen.is_some() || self.listen.ip().is_loopback();
        match &self.operator_token {
            Some(token) => Some(Access::Token(token.clone())),
            None => own_hosts_only.then_some(Access::Address),
        }
    }

    fn state_api(&self) -> bool {
        self.state_api.map_or(!self.environment.is_empty(), |switch| switch == Switch::On)
    }
}
