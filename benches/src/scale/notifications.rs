//! The notifications, signed before anything is measured.

use std::{
    thread,
    time::{Duration, Instant, SystemTime},
};

use tower_superoffice::{ChangeType, TenantId, simulator::Simulator};

use crate::{BoxError, arguments::Arguments, post::Requests};

/// An Upgrade and a Resume for each tenant, as whole HTTP requests.
pub struct Notifications {
    pub closing: Requests,
    pub opening: Requests,
}

/// SuperOffice's tokens live for six minutes. Signing a million of them takes longer, and those
/// that live for more than an hour are refused. All rounds of a run have to end within it.
const LIFE: Duration = Duration::from_secs(55 * 60);

impl Notifications {
    /// Signs for the largest number of tenants, on all cores.
    pub fn sign(simulator: &Simulator, arguments: &Arguments) -> Result<Self, BoxError> {
        let tenants = arguments.tenants.iter().copied().max().unwrap_or_default();
        let began = Instant::now();
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH)?.as_secs() as i64;
        let closing = sign(simulator, tenants, ChangeType::Upgrade, now)?;
        let reopened = if arguments.close_only { 0 } else { tenants };
        let opening = sign(simulator, reopened, ChangeType::Resume, now + 1)?;
        eprintln!("signed {} notifications in {:.1?}", tenants + reopened, began.elapsed());
        Ok(Self { closing: closing.into(), opening: opening.into() })
    }
}

fn sign(
    simulator: &Simulator,
    tenants: usize,
    change: ChangeType,
    issued: i64,
) -> Result<Vec<Box<[u8]>>, BoxError> {
    let part = tenants.div_ceil(thread::available_parallelism()?.get()).max(1);
    thread::scope(|scope| {
        let parts: Vec<_> = (0..tenants)
            .step_by(part)
            .map(|from| {
                let numbers = from..tenants.min(from + part);
                scope.spawn(move || -> Result<Vec<_>, BoxError> {
                    numbers.map(|number| request(simulator, number, change, issued)).collect()
                })
            })
            .collect();
        let mut all = Vec::with_capacity(tenants);
        for part in parts {
            all.extend(part.join().map_err(|_| "signing failed")??);
        }
        Ok(all)
    })
}

fn request(
    simulator: &Simulator,
    number: usize,
    change: ChangeType,
    issued: i64,
) -> Result<Box<[u8]>, BoxError> {
    let tenant = TenantId::new(format!("Cust{}", 2_000_000 + number))?;
    let body = simulator
        .notification(change, &tenant)
        .issued_at(issued)
        .claim("exp", issued + LIFE.as_secs() as i64)
        .body();
    let mut request = format!(
        "POST /NotifyCustomerStateChange HTTP/1.1\r\nHost: 127.0.0.1\r\n\
         Content-Type: application/json; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    request.extend_from_slice(&body);
    Ok(request.into())
}
