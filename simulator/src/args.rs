//! The command line.

use std::str::FromStr;

use clap::Parser;
use http::Uri;
use tower_superoffice::{
    TenantId,
    simulator::{Simulator, StartError},
    status::State,
};

use crate::{
    control::Control,
    driver::{Driver, SkewedClock},
};

/// Serves a SuperOffice CRM Online on loopback, to test services against.
///
/// It prints where its page, keys, state API and tenants are, and then takes commands from its
/// standard input: "help" lists them. It ends with "quit" or Ctrl-C.
#[derive(Debug, Parser)]
#[command(name = "superoffice-simulator", version)]
pub(crate) struct Args {
    /// A port of 127.0.0.1, 0 for a free one (repeatable). The first serves the page, the keys and
    /// the state API, the others tenants, which move between them. With one port, two free ones
    /// serve tenants.
    #[arg(long = "port", value_name = "PORT", default_values_t = [0])]
    ports: Vec<u16>,

    /// Serves tenants on the first port too, but none with the id `simulator`. SuperOffice does
    /// not: there the state API has the host of each tenant.
    #[arg(long)]
    tenants_at_own_host: bool,

    /// The application id: the audience of every notification's token. Default: a made-up one.
    #[arg(long, value_name = "ID")]
    application_id: Option<String>,

    /// The State Change URL that notifications are posted to. http only.
    #[arg(long, value_name = "URL", value_parser = http_url)]
    notify: Option<Uri>,

    /// Prints the URL of this tenant, and puts it in a state first, such as Suspended (repeatable).
    /// Tenants that are not named exist all the same, and run.
    #[arg(long = "tenant", value_name = "ID[=STATE]")]
    tenants: Vec<NamedTenant>,
}

#[derive(Debug, Clone)]
struct NamedTenant {
    id: TenantId,
    state: Option<State>,
}

impl Args {
    pub(crate) async fn start(&self) -> Result<Driver, StartError> {
        let (clock, ports) = (SkewedClock::default(), self.ports.iter().copied());
        let own = clock.clone();
        let mut builder = Simulator::builder().ports(ports).clock(move || own.now());
        if self.tenants_at_own_host {
            builder = builder.tenants_at_own_host();
        }
        if let Some(id) = &self.application_id {
            builder = builder.application_id(id);
        }
        let simulator = builder.start().await?;
        if let Some(url) = &self.notify {
            simulator.notify_to(url.clone());
        }
        let driver = Driver::new(simulator, clock, self.notify.clone());
        for tenant in &self.tenants {
            driver.set_state(&tenant.id, tenant.state.unwrap_or(State::Running));
        }
        driver.simulator().control_service(Control(driver.clone()));
        Ok(driver)
    }

    /// Lists the addresses and ids to configure a service under test with, a line each.
    pub(crate) fn addresses(&self, simulator: &Simulator) -> String {
        // What `Uri` shows of an origin ends in a slash.
        let origins = simulator.hosts().iter().map(|host| host.to_string());
        let origins = origins.map(|origin| origin.trim_end_matches('/').to_owned());
        let environment = simulator.environment().origin();
        let mut lines = vec![
            format!("page            {environment}/"),
            format!("environment     {environment}"),
            format!("key set         {environment}/login/.well-known/jwks"),
            format!("state API       {environment}/api/state/{{ContextIdentifier}}"),
            format!("application id  {}", simulator.application_id()),
        ];
        lines.extend(origins.map(|origin| format!("tenants         {origin}")));
        lines.extend(self.tenants.iter().map(|tenant| {
            let url = simulator.url(&tenant.id, "");
            format!("tenant          {}", url.trim_end_matches('/'))
        }));
        lines.join("\n")
    }
}

impl FromStr for NamedTenant {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (id, state) = match text.split_once('=') {
            Some((id, name)) => (id, Some(state(name)?)),
            None => (text, None),
        };
        let id = TenantId::new(id).map_err(|error| error.to_string())?;
        Ok(Self { id, state })
    }
}

/// The state that SuperOffice calls `name`.
pub(crate) fn state(name: &str) -> Result<State, String> {
    State::from_name(name).ok_or_else(|| {
        "no such state: write it as SuperOffice does, such as Running, Suspended, OfflineMaintenance \
         or Deleted"
            .to_owned()
    })
}

fn http_url(text: &str) -> Result<Uri, String> {
    let url: Uri = text.parse().map_err(|error| format!("{error}"))?;
    match url.scheme_str() {
        Some("http") if url.host().is_some() => Ok(url),
        _ => Err("write http://HOST[:PORT]/PATH".to_owned()),
    }
}
