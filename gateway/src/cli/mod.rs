//! The command line.

mod command;
mod environments;
mod gate;
#[cfg(test)]
mod knobs;
mod loops;
mod parse;
mod store;
mod target;
mod token;
mod track;

use std::{ffi::OsString, net::SocketAddr, num::NonZeroUsize, path::PathBuf, time::Duration};

use axum::http::Uri;
use clap::{ArgAction, Parser, ValueEnum, builder::BoolishValueParser};
use tower_superoffice::Environment;

use self::environments::EnvironmentArgs;
pub(crate) use self::{
    command::{Command, Order, Output, Tenants},
    parse::Invocation,
    target::Target,
    token::OperatorToken,
};
use crate::log;

/// Receives SuperOffice's tenant notifications and forwards calls to tenants that are open.
///
/// Set the State Change URL of your application to --notification-path here, and let your services
/// call /{ContextIdentifier}/... here instead of at SuperOffice. A call to a tenant that is
/// suspended, upgrading or deleted is answered with 503 (410 when deleted) and never sent.
///
/// With several environments, calls go to /{environment}/{ContextIdentifier}/..., and the options
/// with [NAME=] are given once for each environment, as in --audience sod=my-application-id.
///
/// Not done: TLS on the listeners, WebSockets and other upgrades, and rewriting of absolute links
/// and redirects in responses, which keep the tenant's own host.
///
/// Each option is also an environment variable. That of a repeatable option takes a list with
/// commas. The commands send requests to a gateway that runs.
#[derive(Parser)]
#[command(
    name = "superoffice-gateway",
    version,
    subcommand_negates_reqs = true,
    args_conflicts_with_subcommands = true
)]
pub(crate) struct Args {
    /// Address to listen on; port 0 picks a free one.
    #[arg(
        long,
        env = "SUPEROFFICE_GATEWAY_LISTEN",
        value_name = "ADDR",
        default_value = "127.0.0.1:8080"
    )]
    pub(crate) listen: SocketAddr,

    /// Address to serve everything but the notification path on, instead of --listen.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_INTERNAL_LISTEN", value_name = "ADDR")]
    pub(crate) internal_listen: Option<SocketAddr>,

    /// SuperOffice's environment (repeatable). Several share the State Change URL; everything about
    /// tenants is then below /{environment}.
    #[arg(
        long,
        env = "SUPEROFFICE_GATEWAY_ENVIRONMENT",
        value_enum,
        value_name = "NAME",
        value_delimiter = ',',
        required_unless_present = "base_url",
        conflicts_with = "base_url"
    )]
    environment: Vec<NamedEnvironment>,

    /// A custom environment: keys, state API and tenants live under this URL.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_BASE_URL", value_name = "URL")]
    base_url: Option<Uri>,

    /// Host that serves tenants of the custom environment (repeatable); the first is called while a
    /// tenant's host is unknown [default: the URL's own host].
    #[arg(
        long,
        env = "SUPEROFFICE_GATEWAY_TENANT_HOST",
        value_name = "HOST[:PORT]",
        requires = "base_url"
    )]
    pub(crate) tenant_host: Vec<String>,

    /// Sends calls here instead of to https://{tenant's host}; path and query are kept byte for
    /// byte. It can't be the gateway itself. Not with several environments.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_UPSTREAM", value_name = "URL")]
    pub(crate) upstream: Option<Uri>,

    /// Verifies tokens with the certificate or public key in this file, not with the keys of the
    /// environment's key URL.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_CERTIFICATE", value_name = "[NAME=]FILE")]
    certificate: Vec<OsString>,

    /// Verifies tokens with the JSON Web Key Set in this file, not with that of the environment's
    /// key URL.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_JWKS", value_name = "[NAME=]FILE")]
    jwks: Vec<OsString>,

    /// Fetches keys from here instead of the environment's key URL; keys in files are used too.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_KEY_URL", value_name = "[NAME=]URL")]
    key_url: Vec<String>,

    /// Accepts notifications for this application id (repeatable).
    #[arg(long, env = "SUPEROFFICE_GATEWAY_AUDIENCE", value_name = "[NAME=]ID")]
    audience: Vec<String>,

    /// Accepts notifications for any application; NAME=true with several environments.
    #[arg(
        long,
        env = "SUPEROFFICE_GATEWAY_ANY_AUDIENCE",
        value_name = "[NAME=]BOOL",
        action = ArgAction::Append,
        num_args = 0..=1,
        default_missing_value = "true"
    )]
    any_audience: Vec<String>,

    /// Accepts notifications from this issuer too (repeatable).
    #[arg(long, env = "SUPEROFFICE_GATEWAY_ISSUER", value_name = "[NAME=]ISS")]
    issuer: Vec<String>,

    /// Accepts tokens that speak for a person as if they were a notification's: any user of a
    /// tenant holds one. For the case that SuperOffice's own notifications are refused for it.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_LOGIN_TOKENS", value_parser = BoolishValueParser::new())]
    login_tokens: bool,

    /// How far SuperOffice's clock and this machine's may differ, at most 300.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_LEEWAY", value_name = "SECONDS", default_value = "60", value_parser = seconds)]
    leeway: Duration,

    /// How long fetched keys are used while no newer ones can be fetched.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_KEY_MAX_AGE", value_name = "SECONDS", default_value = "86400", value_parser = seconds)]
    key_max_age: Duration,

    /// Path of the State Change URL.
    #[arg(
        long,
        env = "SUPEROFFICE_GATEWAY_NOTIFICATION_PATH",
        value_name = "PATH",
        default_value = "/NotifyCustomerStateChange"
    )]
    pub(crate) notification_path: String,

    /// Store of the tenants' records: memory, redb:FILE, redis://HOST:PORT[/DB],
    /// redis+sentinel://HOST:PORT,HOST:PORT/SERVICE[/DB], redis+unix:///PATH or
    /// postgres://USER@HOST[:PORT]/DATABASE; rediss:// and rediss+sentinel:// with TLS. Of several
    /// environments each has its own FILE.NAME, or its own keys or tables in one server. A password
    /// in it is safer in the variable, or in a file that SUPEROFFICE_GATEWAY_STORE_FILE names. What
    /// a postgres:// URL leaves out comes from PGUSER, PGPASSWORD, PGPASSWORD_FILE, PGHOST, PGPORT,
    /// PGDATABASE and PGSSLMODE.
    #[arg(
        long,
        env = "SUPEROFFICE_GATEWAY_STORE",
        hide_env_values = true,
        value_name = "STORE",
        default_value = "memory"
    )]
    store: String,

    /// Time-out of connecting to the store's server, TLS and login included; longer for one far
    /// away [default: 1 for Redis, 3 for PostgreSQL].
    #[arg(long, env = "SUPEROFFICE_GATEWAY_STORE_CONNECT_TIMEOUT", value_name = "SECONDS", value_parser = seconds)]
    store_connect_timeout: Option<Duration>,

    /// Switches pulls from the state API on or off [default: on with --environment, off with
    /// --base-url].
    #[arg(long, env = "SUPEROFFICE_GATEWAY_STATE_API", value_name = "on|off")]
    state_api: Option<Switch>,

    /// Settle time: how long after a notification a pull may still tell of the time before it.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_SETTLE", value_name = "SECONDS", default_value = "60", value_parser = seconds, allow_negative_numbers = true)]
    settle: Duration,

    /// Settle time of an upgrade, whose notification precedes it.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_UPGRADE_SETTLE", value_name = "SECONDS", default_value = "900", value_parser = seconds, allow_negative_numbers = true)]
    upgrade_settle: Duration,

    /// Pulls that are made in a second, at most, for each environment.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_PULLS_PER_SECOND", value_name = "N", default_value = "10", value_parser = clap::value_parser!(u32).range(1..))]
    pulls_per_second: u32,

    /// File with the tenants to pull at the start: an id a line, or environment/id with several
    /// environments; `#` begins a comment. Needs the state API.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_TRACK", value_name = "FILE")]
    track: Option<PathBuf>,

    /// Keeps the tenants of --track closed, as not ready, until something is known of each.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_HOLD_TRACKED", value_parser = BoolishValueParser::new())]
    pub(crate) hold_tracked: bool,

    /// Spreads the ends of waits for a tenant that has opened over this time.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_RESUME_JITTER", value_name = "SECONDS", default_value = "0", value_parser = seconds)]
    resume_jitter: Duration,

    /// Events that a reader of /events may lag behind before some are dropped.
    #[arg(
        long,
        env = "SUPEROFFICE_GATEWAY_EVENT_CAPACITY",
        value_name = "N",
        default_value = "1024"
    )]
    event_capacity: NonZeroUsize,

    /// Prints the SQL that makes a PostgreSQL store's tables, for an owner of the schema to run,
    /// and exits: for a store whose user may not make them.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_PRINT_STORE_SCRIPT", value_parser = BoolishValueParser::new())]
    pub(crate) print_store_script: bool,

    /// Forwards calls to closed tenants too, and counts and logs them, for the first days.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_OBSERVE_ONLY", value_parser = BoolishValueParser::new())]
    pub(crate) observe_only: bool,

    /// Starts even when the store can't be reached: every tenant is open until it can.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_START_WITHOUT_STORE", value_parser = BoolishValueParser::new())]
    start_without_store: bool,

    /// How long a tenant may take from the end of a request to the start of its response, and how
    /// long either body may pause while it flows.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_UPSTREAM_TIMEOUT", value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    pub(crate) upstream_timeout: Duration,

    /// Has the metrics of refused calls name the tenant, for the first N closed tenants that are
    /// called.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_TENANT_LABELS", value_name = "N")]
    tenant_labels: Option<usize>,

    /// Connections that each listener holds at a time [default: as many as the limit of open files
    /// allows, at most 16384].
    #[arg(long, env = "SUPEROFFICE_GATEWAY_MAX_CONNECTIONS", value_name = "N", value_parser = connections)]
    pub(crate) max_connections: Option<usize>,

    /// File with certificates, in PEM, of authorities that are trusted besides the public ones: for
    /// SuperOffice, --upstream and the store.
    #[arg(long, env = "SUPEROFFICE_GATEWAY_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,

    /// How log events are written to stderr.
    #[arg(
        long,
        env = "SUPEROFFICE_GATEWAY_LOG_FORMAT",
        value_enum,
        value_name = "FORMAT",
        default_value = "text"
    )]
    pub(crate) log_format: log::Format,

    /// File with the token that an operator's orders have to show. Without one, orders are taken on
    /// --internal-listen, or on --listen when that is a loopback address. The token can also be in
    /// the variable SUPEROFFICE_GATEWAY_OPERATOR_TOKEN.
    #[arg(
        long,
        env = "SUPEROFFICE_GATEWAY_OPERATOR_TOKEN_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    operator_token_file: Option<PathBuf>,

    /// Each environment with what is its own.
    #[arg(skip)]
    environments: Vec<EnvironmentArgs>,

    #[arg(skip)]
    pub(crate) operator_token: Option<OperatorToken>,

    #[command(subcommand)]
    command: Option<Command>,
}

/// One of SuperOffice's environments.
#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum NamedEnvironment {
    /// Development.
    Sod,
    Stage,
    Production,
}

impl From<NamedEnvironment> for Environment {
    fn from(name: NamedEnvironment) -> Self {
        match name {
            NamedEnvironment::Sod => Self::Sod,
            NamedEnvironment::Stage => Self::Stage,
            NamedEnvironment::Production => Self::Production,
        }
    }
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

fn connections(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("at least one connection is needed".to_owned()),
        Ok(connections) => Ok(connections),
        Err(_) => Err("not a number of connections".to_owned()),
    }
}
