//! The subcommands, each a request to a running gateway.

use std::path::PathBuf;

use axum::http::Uri;
use clap::{Subcommand, ValueEnum, builder::PossibleValuesParser};
use tower_superoffice::{Environment, TenantId, UnavailableReason};

use super::NamedEnvironment;
use crate::routes::REASONS;

/// A request to a running gateway, made instead of starting one.
#[derive(Debug, Clone, Subcommand)]
pub(crate) enum Command {
    /// Prints health, keys and version; fails when no gateway answers.
    Health(Connection),
    /// Prints whether the gateway is ready and why not; fails while it is not.
    Ready(Connection),
    /// Prints all tenants, or one.
    Tenants(Tenants),
    /// Lets calls to a tenant through, whatever SuperOffice reports.
    Open(Override),
    /// Refuses calls to a tenant, whatever SuperOffice reports.
    Close(Override),
    /// Ends the open or close of a tenant.
    Release(Order),
    /// Pulls the state of a tenant from SuperOffice now.
    Refresh(Order),
    /// Removes what is known of a tenant whose deletion a pull has confirmed.
    Forget(Order),
    /// Prints every tenant, then what happens, a line each.
    Events(Connection),
}

/// How to reach the gateway.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Connection {
    /// URL of the gateway [default: the address in SUPEROFFICE_GATEWAY_INTERNAL_LISTEN or
    /// SUPEROFFICE_GATEWAY_LISTEN, else http://127.0.0.1:8080].
    #[arg(long, env = "SUPEROFFICE_GATEWAY_URL", value_name = "URL")]
    pub(crate) url: Option<Uri>,

    /// File with the operator's token, which can also be in the variable
    /// SUPEROFFICE_GATEWAY_OPERATOR_TOKEN.
    #[arg(
        long,
        env = "SUPEROFFICE_GATEWAY_OPERATOR_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub(crate) operator_token_file: Option<PathBuf>,

    /// File with certificates, in PEM, of authorities that are trusted besides the public ones.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_CA_FILE", value_name = "FILE")]
    pub(crate) ca_file: Option<PathBuf>,

    /// How the answer is printed [default: text on a terminal, else json].
    #[arg(long, env = "SUPEROFFICE_GATEWAY_OUTPUT", value_enum, value_name = "FORMAT")]
    pub(crate) output: Option<Output>,
}

/// How answers are printed.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum Output {
    /// For people.
    Text,
    /// As the gateway sent them.
    Json,
}

/// The environment that a command is about. It has no variable: a gateway's own lists all of its
/// environments.
#[derive(Debug, Clone, Copy, clap::Args)]
pub(crate) struct Scope {
    /// The tenants' environment, when the gateway serves several.
    #[arg(long, value_enum, value_name = "NAME")]
    pub(crate) environment: Option<NamedEnvironment>,
}

impl Scope {
    /// Returns the start of the paths about tenants.
    pub(crate) fn prefix(self) -> String {
        let name = self.environment.map(|name| Environment::from(name).name());
        name.map(|name| format!("/{name}")).unwrap_or_default()
    }
}

/// The tenants to print.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Tenants {
    /// The one tenant to print.
    #[arg(value_name = "TENANT", conflicts_with_all = ["closed", "reason", "prefix", "limit", "after"])]
    pub(crate) tenant: Option<TenantId>,

    /// Only those that are closed.
    #[arg(long)]
    pub(crate) closed: bool,

    /// Only those that are closed for this reason.
    #[arg(long, value_name = "REASON", value_parser = reason_parser())]
    pub(crate) reason: Option<String>,

    /// Only those whose id begins like this.
    #[arg(long, value_name = "TEXT")]
    pub(crate) prefix: Option<String>,

    /// At most so many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,

    /// Only those behind this one: the last of the page before.
    #[arg(long, value_name = "TENANT")]
    pub(crate) after: Option<TenantId>,

    #[command(flatten)]
    pub(crate) scope: Scope,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

fn reason_parser() -> PossibleValuesParser {
    REASONS.map(UnavailableReason::as_str).into()
}

/// An order.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Order {
    /// The tenant.
    #[arg(value_name = "TENANT")]
    pub(crate) tenant: TenantId,

    /// Why, for those who look at the tenant: at most 200 characters.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,

    #[command(flatten)]
    pub(crate) scope: Scope,

    #[command(flatten)]
    pub(crate) connection: Connection,
}

/// An order that can end by itself.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Override {
    #[command(flatten)]
    pub(crate) order: Order,

    /// When it ends, in RFC 3339, such as 2026-12-01T06:00:00Z [default: with release].
    #[arg(long, value_name = "TIME")]
    pub(crate) until: Option<String>,
}

impl Command {
    pub(crate) fn connection(&self) -> &Connection {
        match self {
            Self::Health(connection) | Self::Ready(connection) | Self::Events(connection) => {
                connection
            }
            Self::Tenants(tenants) => &tenants.connection,
            Self::Open(order) | Self::Close(order) => &order.order.connection,
            Self::Release(order) | Self::Refresh(order) | Self::Forget(order) => &order.connection,
        }
    }
}
