//! The start of a gate: its parts are put together, the store is loaded, the tasks begin.

use std::sync::Arc;

use super::{
    BuildError, Parts, TenantGate,
    config::{Config, PullConfig, StoreConfig},
    tasks::Tasks,
    watch::Statuses,
};
use crate::{
    endpoint::Locator,
    guard::GuardState,
    keep_alive::KeepAlive,
    notification::{HandlerConfig, NotificationHandler},
    persist::{
        WriteBack,
        resync::{self, Resync},
    },
    pull::{Pulls, StateApi},
    tenants::{Observer, Tenants, awaited::Awaited},
    token::Verifier,
};

/// Puts a gate together and starts it.
pub(super) async fn start(config: Config) -> Result<TenantGate, BuildError> {
    let (environment, clock) = (&config.environment, &config.clock);
    let tenants = Arc::new(Tenants::new(config.settle, config.event_capacity, clock.clone()));
    let registry = tenants.registry();
    let (store, optional) = match config.store {
        Some(StoreConfig { store, timeout, optional }) => (Some((store, timeout)), optional),
        None => (None, false),
    };
    let pulls = config.pulls.map(|PullConfig { fetch, schedule }| {
        let api = StateApi::new(environment.clone(), fetch, clock.clone());
        let leases = store.as_ref().map(|(store, _)| Arc::downgrade(store));
        Arc::new(Pulls::new(Arc::clone(registry), clock.clone(), schedule, api, leases))
    });
    let write_back =
        store.map(|(store, timeout)| Arc::new(WriteBack::new(store, clock.clone(), timeout)));
    let awaited = Arc::<Awaited>::default();
    let mut observers: Vec<Arc<dyn Observer>> = vec![Arc::clone(&awaited) as _];
    observers.extend(write_back.clone().map(|write_back| write_back as Arc<dyn Observer>));
    observers.extend(pulls.clone().map(|pulls| pulls as Arc<dyn Observer>));
    tenants.observe(observers);

    let mut tasks = Tasks::default();
    let (verifier, fetcher) = Verifier::new(config.verifier);
    if let Some(fetcher) = fetcher {
        // First, so that keys are fetched while the store is loaded.
        tasks.supervise("keys", move || fetcher.clone().run());
    }
    if let Some(write_back) = &write_back {
        tasks.free_at_end(Arc::clone(write_back));
        start_store(&mut tasks, write_back, &tenants, optional).await?;
    }
    start_tenants(&mut tasks, &tenants, pulls.as_ref());
    let tasks = Arc::new(tasks);
    let keep_alive = KeepAlive::new(Arc::clone(&tasks) as _);
    let handler = NotificationHandler::new(HandlerConfig {
        environment: Arc::new(environment.clone()),
        verifier,
        tenants: Arc::clone(&tenants),
        write_back: write_back.clone(),
        pulls: pulls.clone(),
        clock: clock.clone(),
        limits: config.limits,
        _keep_alive: keep_alive.clone(),
    });
    let guard_state =
        GuardState::new(Arc::clone(registry), clock, environment.clone(), keep_alive.clone());
    #[cfg(feature = "metrics")]
    let guard_state = guard_state.with_tenants(config.tenant_labels);
    let locator =
        Locator::new(environment.clone(), Arc::clone(registry), pulls.clone(), keep_alive);
    let statuses = Statuses::new(tenants.watched(), environment.clone(), pulls.is_some());
    let parts = Parts {
        statuses: Arc::new(statuses),
        guard_state: Arc::new(guard_state),
        locator: Arc::new(locator),
        tenants,
        write_back,
        pulls,
        handler,
        notification_path: config.notification_path,
        awaited,
        close_tracked_until_known: config.close_tracked_until_known,
        resume_jitter: config.resume_jitter,
        tasks,
        environment: config.environment,
        clock: config.clock,
    };
    Ok(TenantGate { parts: Arc::new(parts) })
}

/// Loads the store and keeps it in step from then on. `optional` says whether to go on while it is
/// unavailable.
async fn start_store(
    tasks: &mut Tasks,
    write_back: &Arc<WriteBack>,
    tenants: &Arc<Tenants>,
    optional: bool,
) -> Result<(), BuildError> {
    let (changes, loaded) = resync::start(write_back, tenants).await.map_err(BuildError::Store)?;
    match &loaded {
        Ok(()) => write_back.loaded(true),
        Err(error) if optional && error.is_unavailable() => write_back.load_failed(error),
        Err(error) => return Err(BuildError::Store(error.clone())),
    }
    let mut first = Some((changes, loaded.is_ok()));
    let shared = (Arc::clone(write_back), Arc::clone(tenants));
    tasks.supervise("resync", move || {
        let (write_back, tenants) = shared.clone();
        match first.take() {
            Some((changes, loaded)) => Resync::new(write_back, tenants, changes, loaded),
            None => Resync::restarted(write_back, tenants),
        }
        .run()
    });
    let shared = (Arc::clone(write_back), Arc::clone(tenants));
    tasks.supervise("write_back", move || {
        let (write_back, tenants) = shared.clone();
        write_back.run(tenants)
    });
    Ok(())
}

/// Starts the tasks that change tenants as time passes: the expiry of overrides, and pulls.
fn start_tenants(tasks: &mut Tasks, tenants: &Arc<Tenants>, pulls: Option<&Arc<Pulls>>) {
    let expiring = Arc::clone(tenants);
    tasks.supervise("override_expiry", move || {
        let tenants = Arc::clone(&expiring);
        async move { tenants.expire_overrides().await }
    });
    if let Some(pulls) = pulls {
        let shared = (Arc::clone(pulls), Arc::clone(tenants));
        tasks.supervise("pulls", move || {
            let (pulls, tenants) = shared.clone();
            pulls.run(tenants)
        });
    }
}
