//! Keeps the registry and a store in step: loads at the start, follows what others write, and
//! reads everything again after a gap.

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures_core::stream::BoxStream;
use futures_util::StreamExt;
use tokio::time::Instant;

use super::{WriteBack, unless_it_panics};
use crate::{
    backoff,
    store::{Change, StoreError},
    tenants::{Tenants, Update},
};

/// Joins in all that the store holds, and marks for writing what it lacks.
///
/// A store that lost its data is filled again by this: each tenant is compared by its record, so
/// nothing that others stored meanwhile is overwritten.
pub(crate) async fn load(write_back: &WriteBack, tenants: &Tenants) -> Result<(), StoreError> {
    let registry = tenants.registry();
    let mut complete = HashSet::new();
    let mut pages = write_back.store().load();
    while let Some(page) = pages.next().await {
        for (tenant, record) in page? {
            tenants.apply(&tenant, Update::Loaded(record.clone()));
            registry.adopt_spelling(&tenant);
            let knows_all = registry.read(&tenant, |own| *own == record);
            if knows_all == Some(true) {
                complete.insert(tenant);
            } else {
                complete.remove(&tenant);
            }
        }
    }
    let mut lacking = Vec::new();
    registry.for_each(|tenant, _, record| {
        if !record.is_empty() && !complete.contains(tenant) {
            lacking.push(tenant.clone());
        }
    });
    for tenant in &lacking {
        write_back.mark(tenant);
    }
    Ok(())
}

/// A load that is due, because something may have been missed.
struct Behind {
    due: Instant,
    tries: u32,
}

/// While nothing is heard of what others store, everything is loaded so often.
const DEAF_PAUSE: Duration = Duration::from_secs(30);

impl Behind {
    fn now() -> Self {
        Self { due: Instant::now(), tries: 0 }
    }

    fn deaf() -> Self {
        Self { due: Instant::now() + DEAF_PAUSE.mul_f64(0.5 + fastrand::f64() / 2.0), tries: 0 }
    }

    fn again(&self) -> Self {
        Self::after(self.tries)
    }

    fn after(tries: u32) -> Self {
        let wait = backoff::STORE.jittered(tries, fastrand::f64());
        Self { due: Instant::now() + wait, tries: tries.saturating_add(1) }
    }
}

/// Follows what others write. `loaded` tells whether the start has read the store already.
///
/// A load that fails is tried again while changes go on being followed: one damaged record must not
/// keep the news of all other tenants away. Ends when the store says that nothing else can write to
/// it.
pub(crate) async fn follow(
    write_back: Arc<WriteBack>,
    tenants: Arc<Tenants>,
    changes: BoxStream<'static, Change>,
    loaded: bool,
) {
    let mut changes = Some(changes);
    let mut behind = (!loaded).then(Behind::now);
    let mut hears = true;
    // A stream that panicked can't be read on: it is asked for again with the next load.
    let (mut broken, mut panics) = (false, 0_u32);
    while changes.is_some() || behind.is_some() {
        tokio::select! {
            change = next(&mut changes) => match change {
                Ok(Some(Change::Merged(tenant, record))) => {
                    tenants.apply(&tenant, Update::Stored(record));
                    tenants.registry().adopt_spelling(&tenant);
                }
                Ok(Some(Change::Resync)) => {
                    hears = true;
                    behind = Some(Behind::now());
                }
                Ok(Some(Change::Disconnected)) => {
                    hears = false;
                    behind.get_or_insert_with(Behind::deaf);
                    write_back.deaf();
                }
                Ok(None) => changes = None,
                Err(panicked) => {
                    write_back.unread(&panicked);
                    changes = None;
                    broken = true;
                    behind = Some(Behind::after(panics));
                    panics = panics.saturating_add(1);
                }
            },
            () = due(behind.as_ref()) => {
                let loading = async {
                    if broken {
                        changes = Some(write_back.store().changes());
                        broken = false;
                    }
                    load(&write_back, &tenants).await
                };
                match unless_it_panics(loading).await.flatten() {
                    Ok(()) => {
                        write_back.read(hears);
                        behind = (!hears).then(Behind::deaf);
                    }
                    Err(error) => {
                        write_back.unread(&error);
                        behind = behind.as_ref().map(Behind::again);
                    }
                }
            }
        }
    }
}

/// The next change; never while there is no stream.
async fn next(
    changes: &mut Option<BoxStream<'static, Change>>,
) -> Result<Option<Change>, StoreError> {
    match changes {
        Some(changes) => unless_it_panics(changes.next()).await,
        None => std::future::pending().await,
    }
}

async fn due(behind: Option<&Behind>) {
    match behind {
        Some(behind) => tokio::time::sleep_until(behind.due).await,
        None => std::future::pending().await,
    }
}
