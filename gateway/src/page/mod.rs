//! `/`: a page for people about the gateway, its tenants, and the pulls and notifications that they
//! wait for.
//!
//! The server renders all of it, so that it works without a script. The script replaces parts of
//! the page by those of a newer one, and sends the operator's orders.

mod advice;
mod group;
mod history;
mod html;
mod policy;
mod query;
mod select;
#[cfg(test)]
mod tests;
mod view;
mod words;

use std::{
    sync::Arc,
    time::{Instant, SystemTime},
};

use axum::{
    extract::State,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, get},
};
use tower_superoffice::TenantGate;

use self::{
    history::History,
    query::{Parameters, Query},
    view::{Environment, List, Orders, View},
};
use crate::{
    forward::problem,
    routes::{self, Access, Probe, Snapshots, Unavailable},
    served::Served,
};

/// Points of the line that shows how many tenants were closed.
const POINTS: usize = 120;

/// The sources of the page.
#[derive(Clone)]
pub(crate) struct Page(Arc<Parts>);

struct Parts {
    sources: Vec<Source>,
    probe: Probe,
    history: History,
    orders: Orders,
    observe_only: bool,
    started: Instant,
}

/// An environment that the page shows.
struct Source {
    gate: TenantGate,
    snapshots: Snapshots,
    prefix: String,
}

impl Page {
    /// Begins to record what the page shows of the past.
    pub(crate) fn new(
        served: &Served,
        snapshots: &[Snapshots],
        probe: Probe,
        orders: Option<&Access>,
        observe_only: bool,
    ) -> Self {
        let sources = served.gates().iter().zip(snapshots).map(|(gate, snapshots)| Source {
            gate: gate.clone(),
            snapshots: snapshots.clone(),
            prefix: served.prefix(gate),
        });
        Self(Arc::new(Parts {
            sources: sources.collect(),
            probe,
            history: History::record(served),
            orders: match orders {
                Some(Access::Token(_)) => Orders::Token,
                Some(Access::Address) => Orders::Direct,
                None => Orders::Off,
            },
            observe_only,
            started: Instant::now(),
        }))
    }

    /// Returns the methods of its route.
    pub(crate) fn into_route(self) -> MethodRouter {
        get(page).with_state(self)
    }

    async fn view(&self, query: Query) -> Result<View, Unavailable> {
        let Parts { sources, probe, history, orders, observe_only, started } = &*self.0;
        let now = SystemTime::now();
        // A name that is none of them would show nothing.
        let is_named =
            |source: &Source| Some(source.gate.environment().name()) == query.environment;
        let query = match sources.iter().any(is_named) {
            true => query,
            false => Query { environment: None, ..query },
        };
        let mut environments = Vec::new();
        for (number, Source { gate, snapshots, prefix }) in sources.iter().enumerate() {
            let name = gate.environment().name();
            let (reader, wanted) = (snapshots.all().await?, query.clone());
            let selection = reader.read(move |tenants| select::select(tenants, &wanted)).await?;
            let counts = selection.counts;
            let (mut closed, span) = history.closed(number, POINTS);
            let health = gate.health();
            // The last sample may be seconds old.
            closed.push(health.closed());
            let is_listed = query.environment.as_ref().is_none_or(|only| *only == name);
            environments.push(Environment {
                list: is_listed.then(|| List::new(selection, gate, now)),
                counts,
                prefix: prefix.clone(),
                report: probe.report(gate).await,
                notified: health.notifications().last(),
                health,
                keys: gate.keys(),
                pulls: history.pulls(number, gate),
                closed: (closed, span),
                name,
            });
        }
        Ok(View {
            now,
            uptime: started.elapsed(),
            several: environments.len() > 1,
            query,
            environments,
            events: history.events(),
            orders: *orders,
            observe_only: *observe_only,
        })
    }
}

/// Answers with the page.
async fn page(State(page): State<Page>, parameters: routes::Query<Parameters>) -> Response {
    match page.view(Query::new(parameters.0)).await {
        Ok(view) => (policy::headers(), html::render(&view).into_string()).into_response(),
        Err(Unavailable::TooManyReaders) => {
            let detail = "As many read the tenants as may. Reload the page in a few seconds.";
            let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, detail);
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("5"));
            response
        }
        Err(Unavailable::Failed) => {
            problem(StatusCode::INTERNAL_SERVER_ERROR, "The tenants could not be listed.")
        }
    }
}
