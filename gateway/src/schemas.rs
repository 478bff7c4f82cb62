//! The JSON of the library's types, for the description of the gateway.
//!
//! The library does not depend on OpenAPI, so its types are mirrored here. The tests compare real
//! answers with them and fail at a member that is missing on either side.

#![expect(dead_code, reason = "described, never made")]

use utoipa::{
    PartialSchema, ToSchema,
    openapi::{ObjectBuilder, RefOr, Schema, schema::Type},
};

/// A tenant's ContextIdentifier.
pub(crate) struct TenantId;

impl PartialSchema for TenantId {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .schema_type(Type::String)
            .description(Some("A tenant's ContextIdentifier. Case makes no difference."))
            .min_length(Some(1))
            .max_length(Some(64))
            .pattern(Some("^[A-Za-z0-9_-]+$"))
            .examples(["Cust12345"])
            .into()
    }
}

impl ToSchema for TenantId {}

/// Why a tenant is closed. Later versions may have more.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Reason {
    Upgrading,
    Suspended,
    Deleted,
    NotReady,
    Operator,
    Unreadable,
}

/// What a tenant's status was learnt from.
#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
pub(crate) enum Evidence {
    Notification,
    StateApi,
    Operator,
}

/// The health of a gate. Counters count since the process started.
#[derive(ToSchema)]
pub(crate) struct Health {
    /// Known tenants.
    tenants: u64,
    closed: u64,
    /// Tenants that are closed because their stored record is malformed.
    unreadable: u64,
    store: Store,
    store_warnings: Vec<String>,
    /// Tenants whose present record may not be in the store yet.
    dirty: u64,
    notifications: Notifications,
    /// Null while the state API is off.
    pulls: Option<Pulls>,
    /// Seconds by which the clock is ahead of SuperOffice's; null before its first answer.
    clock_offset: Option<i64>,
    refused_calls: u64,
    /// Calls to closed tenants that passed because the gateway only observes.
    observed_calls: u64,
    tasks: Vec<Task>,
}

#[derive(ToSchema)]
struct Store {
    #[schema(inline)]
    state: StoreState,
    /// Since when it is stale.
    #[schema(format = DateTime)]
    since: Option<String>,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum StoreState {
    Fresh,
    Stale,
    Failed,
}

/// Notifications by their outcome.
#[derive(ToSchema)]
pub(crate) struct Notifications {
    applied: u64,
    recorded: u64,
    duplicate: u64,
    stale: u64,
    rejected: u64,
    unlogged: u64,
    /// When the last verified one was received since the start.
    #[schema(format = DateTime)]
    last: Option<String>,
}

/// Requests to the state API.
#[derive(ToSchema)]
struct Pulls {
    waiting: u64,
    oldest_seconds: u64,
    in_flight: u64,
    answered: u64,
    unknown: u64,
    failed: u64,
    /// For how long each pull has failed.
    failing_seconds: u64,
    /// Of the last pull that failed, until another is answered.
    last_error: Option<String>,
    delegated: u64,
    corrections: Vec<CorrectionSummary>,
}

/// Corrections for want of one kind of notification.
#[derive(ToSchema)]
struct CorrectionSummary {
    missed: Option<String>,
    count: u64,
    last_seconds: Option<u64>,
    median_seconds: Option<u64>,
}

#[derive(ToSchema)]
struct Task {
    name: String,
    down: bool,
    restarts: u64,
}

/// The keys that verify tokens.
#[derive(ToSchema)]
pub(crate) struct Keys {
    keys: Vec<Key>,
    /// Where keys are fetched; null when they are not.
    url: Option<String>,
    /// Time since the last successful fetch.
    age_seconds: Option<u64>,
    last_error: Option<String>,
}

#[derive(ToSchema)]
struct Key {
    id: Option<String>,
    bits: u64,
    #[schema(inline)]
    source: KeySource,
}

#[derive(ToSchema)]
#[schema(rename_all = "snake_case")]
enum KeySource {
    Given,
    Url,
}

/// What an order without an end says.
#[derive(ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct OrderWithoutEnd {
    /// For the log.
    #[schema(max_length = 200)]
    note: Option<String>,
}

/// A change of a tenant's state, as SuperOffice posts it.
#[derive(ToSchema)]
#[schema(rename_all = "PascalCase")]
pub(crate) struct Notification {
    change_type: ChangeType,
    context_identifier: TenantId,
    /// A signed JWT.
    #[schema(max_length = 8192)]
    token: String,
    version_name: Option<String>,
    file_version: Option<String>,
    public_endpoint: Option<String>,
}

/// Its number, as a number or as text, or its name.
#[derive(ToSchema)]
#[serde(untagged)]
enum ChangeType {
    Number(u32),
    Text(String),
}
