//! The gate that a command line describes.

use std::fs;

use tower_superoffice::{Environment, TenantGate, pull::Schedule, token::SigningKeys};

use super::{Args, NamedEnvironment, Switch, store, track};
use crate::{BoxError, forward, routes::Access};

impl Args {
    /// Builds the gate.
    pub(crate) async fn gate(&self) -> Result<TenantGate, BoxError> {
        self.check()?;
        let environment = self.environment();
        let mut gate = TenantGate::builder(environment.clone())
            .notification_path(&self.notification_path)
            .settle(self.settle)
            .upgrade_settle(self.upgrade_settle)
            .login_tokens(self.login_tokens)
            .schedule(Schedule::new().pulls_per_second(self.pulls_per_second))
            .start_without_store(self.start_without_store)
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
            gate = gate.signing_keys(SigningKeys::from_file(file)?);
        }
        if let Some(url) = &self.key_url {
            gate = gate.key_url(url.clone());
        }
        if self.hold_tracked {
            gate = gate.close_tracked_until_known();
        }
        let authorities = self.authorities()?;
        if let Some(pem) = &authorities {
            gate = gate.extra_roots(pem);
        }
        let tracked = self.track.as_deref().map_or(Ok(Vec::new()), track::read)?;
        let settings = store::Settings {
            environment: &environment,
            connect_timeout: self.store_connect_timeout,
            authorities,
        };
        let (gate, store) = store::open(gate, &self.store, settings)?;
        let gate = gate.build().await?;
        gate.track(tracked);
        tracing::info!(
            environment = environment.name(),
            audiences = if self.any_audience { "any".to_owned() } else { self.audience.join(", ") },
            store,
            state_api = self.state_api(),
            state_change_url = format!("https://YOUR-PUBLIC-HOST{}", self.notification_path),
            "gate started"
        );
        Ok(gate)
    }

    /// Refuses values that would silently do something else than was meant.
    fn check(&self) -> Result<(), BoxError> {
        if forward::is_reserved(&self.notification_path) {
            let advice =
                "--notification-path lies below a name of the gateway's own: choose another";
            return Err(advice.into());
        }
        if self.track.is_some() && !self.state_api() {
            return Err("--track needs the state API: add --state-api on".into());
        }
        if self.hold_tracked && self.track.is_none() {
            return Err("--hold-tracked needs --track FILE".into());
        }
        if self.issuer.iter().any(|issuer| issuer.trim().is_empty()) {
            return Err("--issuer is empty".into());
        }
        Ok(())
    }

    fn environment(&self) -> Environment {
        match (self.environment, &self.base_url) {
            (Some(NamedEnvironment::Sod), _) => Environment::Sod,
            (Some(NamedEnvironment::Stage), _) => Environment::Stage,
            (Some(NamedEnvironment::Production), _) => Environment::Production,
            (None, base) => {
                let base = base.clone().unwrap_or_default();
                if self.tenant_host.is_empty() {
                    Environment::custom(base)
                } else {
                    Environment::custom_with_hosts(base, self.tenant_host.clone())
                }
            }
        }
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
        self.state_api.map_or(self.environment.is_some(), |switch| switch == Switch::On)
    }
}
