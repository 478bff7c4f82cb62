//! The faults of the state API, the key URL and the tenants' hosts.

use std::time::Duration;

use http::StatusCode;

/// A fault of the simulator's state API, key URL or tenant hosts.
///
/// ```
/// # async fn doc() -> Result<(), Box<dyn std::error::Error>> {
/// use tower_superoffice::simulator::{Fault, Simulator};
///
/// let simulator = Simulator::start().await?;
/// simulator.key_server(Fault::Hang);
/// simulator.state_api(Fault::Status(http::StatusCode::INTERNAL_SERVER_ERROR));
/// simulator.key_server(Fault::None); // and it is well again
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Fault {
    /// It works.
    #[default]
    None,
    /// It takes the request and never answers.
    Hang,
    /// It answers this much later than it could.
    Slow(Duration),
    /// It answers with this status and no body.
    Status(StatusCode),
    /// It answers 429 with a `Retry-After` of this many seconds.
    TooManyRequests(u64),
    /// It sends the caller elsewhere: 302 with this `Location`.
    Redirect(String),
    /// It answers 200 with an HTML page, as a proxy or a login page in between would.
    Html,
    /// It answers 200 with valid JSON of 5 MB.
    Oversized,
    /// It answers 200 with nothing to use: a key set without keys, or an object without members.
    Empty,
    /// An incident of the environment: it answers the state `Unknown` for every tenant, though the
    /// tenants are as they are. At the key URL and at tenant hosts the same as
    /// [`Empty`](Fault::Empty).
    Unknown,
    /// It answers 200 with this JSON text, whatever the request.
    Json(String),
}
