//! Drives the simulator for people: on standard input, over HTTP and on the page.

mod clock;
mod delivery;
mod fault;
mod history;
mod verb;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http::Uri;
use tower_superoffice::{
    TenantId,
    simulator::{Fault, Notification, Simulator, StartError},
    status::State,
};

pub(crate) use self::{
    clock::SkewedClock,
    fault::{Chosen, Place},
    history::{Outcome, Sent},
    verb::Verb,
};
use self::{
    fault::{Delivery, Setting},
    history::History,
};

/// A simulator, with the faults that are in force and the history of its notifications.
#[derive(Debug, Clone)]
pub(crate) struct Driver {
    simulator: Simulator,
    clock: SkewedClock,
    /// The State Change URL.
    notify: Option<Uri>,
    live: Arc<Mutex<Live>>,
}

#[derive(Debug, Default)]
struct Live {
    faults: BTreeMap<Place, Chosen>,
    history: History,
    /// A notification that waits for the next one, with its number.
    held: Option<(u64, Notification)>,
}

impl Driver {
    pub(crate) fn new(simulator: Simulator, clock: SkewedClock, notify: Option<Uri>) -> Self {
        Self { simulator, clock, notify, live: Arc::default() }
    }

    pub(crate) fn simulator(&self) -> &Simulator {
        &self.simulator
    }

    pub(crate) fn notify(&self) -> Option<&Uri> {
        self.notify.as_ref()
    }

    /// Puts the tenant in a state, and notifies nothing.
    pub(crate) fn set_state(&self, tenant: &TenantId, state: State) {
        self.simulator.set_state(tenant, state);
    }

    /// Adds the tenant to the list, in the state that it has.
    pub(crate) fn create(&self, tenant: &TenantId) {
        let known = self.simulator.tenants();
        if !known.iter().any(|one| one.id() == tenant) {
            self.simulator.set_state(tenant, State::Running);
        }
    }

    /// Returns the notifications so far, the latest first.
    pub(crate) fn history(&self) -> Vec<Sent> {
        self.live().history.latest_first().cloned().collect()
    }

    pub(crate) fn fault(&self, place: Place) -> Option<Chosen> {
        self.live().faults.get(&place).cloned()
    }

    /// Sets a fault in place of the one that is in force there.
    pub(crate) fn set_fault(&self, place: Place, fault: Chosen) {
        self.apply(place, Some(&fault.setting));
        self.live().faults.insert(place, fault);
        self.send_held();
    }

    /// Ends the fault, if there is one.
    pub(crate) fn end_fault(&self, place: Place) {
        self.apply(place, None);
        self.live().faults.remove(&place);
        self.send_held();
    }

    fn apply(&self, place: Place, setting: Option<&Setting>) {
        let server = match setting {
            Some(Setting::Server(fault)) => fault.clone(),
            _ => Fault::None,
        };
        match place {
            Place::StateApi => {
                let lag = match setting {
                    Some(Setting::Lag(lag)) => *lag,
                    _ => Duration::ZERO,
                };
                self.simulator.state_api(server);
                self.simulator.state_api_lag(lag);
            }
            Place::Keys => self.simulator.key_server(server),
            Place::Tenants => self.simulator.tenant_hosts(server),
            Place::Notifications => {}
            Place::Clock => self.clock.set_offset(match setting {
                Some(Setting::ClockOffset(seconds)) => *seconds,
                _ => 0,
            }),
        }
    }

    /// Returns the ids of the published keys, the present one first.
    pub(crate) fn key_ids(&self) -> Vec<String> {
        let set: serde_json::Value =
            serde_json::from_str(&self.simulator.key_set()).unwrap_or_default();
        let keys = set.get("keys").and_then(|keys| keys.as_array()).into_iter().flatten();
        let ids = keys.filter_map(|key| Some(key.get("kid")?.as_str()?.to_owned()));
        ids.collect()
    }

    /// Signs with a new key; the old ones stay published.
    pub(crate) async fn rotate_key(&self) -> Result<(), StartError> {
        self.simulator.rotate_key().await
    }

    /// Publishes the present key alone.
    pub(crate) fn retire_keys(&self) {
        self.simulator.retire_old_keys();
    }

    /// Locks what changes. A poisoned lock is used all the same: every field is valid at any time.
    fn live(&self) -> MutexGuard<'_, Live> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
