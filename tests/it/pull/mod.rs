//! The pull side: lost, untrue and late notifications heal, at a cost within the limits.
//!
//! Gate and simulator share tokio's paused clock and talk without sockets, so days pass in a
//! moment.

mod healing;
mod limits;
mod night;
mod open_tenants;
mod priority;
mod refresh;
mod replicas;
mod tracked;
mod triggers;
mod turns;

use tokio::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3600);
