//! The last events.

use maud::{Markup, html};
use tower_superoffice::{ChangeType, TenantEvent, TenantId, TenantStatus};

use crate::page::{
    group::Group,
    history::{EVENTS, Recorded},
    query::{Choice, Query},
    view::View,
    words::{count, moment, printable},
};

pub(super) fn section(view: &View) -> Markup {
    html! {
        section.events aria-labelledby="events-title" {
            h2 #events-title { "What happened" }
            p.nothing #no-events data-live="" {
                @if view.events.is_empty() { "Nothing since the start." }
            }
            // The script adds the newest and removes the oldest.
            ol #events data-most=(EVENTS) aria-live="polite" aria-relevant="additions" {
                @for recorded in &view.events { (item(view, recorded)) }
            }
        }
    }
}

fn item(view: &View, recorded: &Recorded) -> Markup {
    let Recorded { number, at, gate, event } = recorded;
    let environment = view.environments.get(*gate).filter(|_| view.several);
    html! {
        li data-number=(number) {
            (moment(*at, view.now)) " "
            @if let Some(environment) = environment { span.environment { (environment.name) } " " }
            @if let Some(tenant) = event.tenant() { (link(tenant)) " " }
            (what(event))
        }
    }
}

fn link(tenant: &TenantId) -> Markup {
    let query = Query { prefix: tenant.to_string(), choice: Choice::All, ..Query::default() };
    html! { a.id data-go="" href=(query.url()) { (tenant.as_str()) } }
}

fn what(event: &TenantEvent) -> Markup {
    html! {
        @match event {
            TenantEvent::Changed { status, .. } => (became(status)),
            TenantEvent::Notified { change, version_name, file_version, .. } => {
                "notified: " (change_name(*change))
                @for version in [version_name, file_version].into_iter().flatten() {
                    ", " bdi { (printable(version)) }
                }
            },
            TenantEvent::Restored { .. } => { "went back in time: a backup was restored" },
            TenantEvent::Moved { .. } => { "moved to another host" },
            TenantEvent::Unknown { number, .. } => { "notified: a change of the unknown type " (number) },
            TenantEvent::Confirmed { .. } => { "is deleted, confirmed by a pull" },
            TenantEvent::Corrected { status, correction, .. } => {
                (became(status)) ", corrected by a pull"
                @if let Some(missed) = correction.missed() {
                    ": " (change_name(missed)) " was lost, late or untrue"
                }
            },
            TenantEvent::Missed(events) => { (count(usize::try_from(*events).unwrap_or(usize::MAX), "event")) " came too fast to be kept" },
            _ => { "had an event of an unknown kind" },
        }
    }
}

fn became(status: &TenantStatus) -> Markup {
    let group = Group::of(status);
    html! { span.state.{ "g-" (group.name()) } { (group.label()) } }
}

fn change_name(change: ChangeType) -> String {
    printable(&change.to_string())
}
