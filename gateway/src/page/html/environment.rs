//! Keys, store, pulls and clock of an environment.

use std::time::Duration;

use maud::{Markup, html};
use tower_superoffice::{
    health::StoreHealth,
    token::{KeyReport, KeySource},
};

use crate::page::{
    view::{Environment, View},
    words::{count, duration, grouped, last_notification, moment, printable},
};

pub(super) fn section(view: &View, environment: &Environment) -> Markup {
    html! {
        section.environment-card id={ "environment-" (environment.name) } data-live=""
            aria-label={ "Environment " (environment.name) }
        {
            h2 { (environment.name) }
            (closed(environment))
            dl {
                (tenants(environment))
                (notifications(view, environment))
                (store(view, environment))
                (keys(environment))
                (pulls(environment))
                (clock(environment))
                (tasks(environment))
            }
        }
    }
}

fn number(counter: u64) -> usize {
    usize::try_from(counter).unwrap_or(usize::MAX)
}

fn entry(term: &str, is_wrong: bool, description: Markup) -> Markup {
    html! { div.wrong[is_wrong] { dt { (term) } dd { (description) } } }
}

/// Draws how many tenants were closed over the last hours.
fn closed(environment: &Environment) -> Markup {
    let (points, span) = &environment.closed;
    let most = points.iter().copied().max().unwrap_or_default();
    let right = points.len().saturating_sub(1).max(1);
    let line: String = (points.iter().enumerate())
        .map(|(place, closed)| format!("{},{} ", place, 30 - closed * 28 / most.max(1)))
        .collect();
    html! {
        @if points.len() > 1 && *span >= Duration::from_secs(60) {
            figure {
                svg.line viewBox={ "0 0 " (right) " 31" } preserveAspectRatio="none" role="img"
                    aria-label={ "Closed tenants over " (duration(*span)) ", at most " (most) }
                {
                    polygon points={ "0,31 " (line) (right) ",31" } {}
                    polyline points=(line) {}
                }
                figcaption {
                    "closed over the last " (duration(*span)) ", at most " (grouped(most as u64))
                }
            }
        }
    }
}

fn tenants(environment: &Environment) -> Markup {
    let health = &environment.health;
    entry(
        "Tenants",
        health.unreadable() > 0,
        html! {
            (grouped(health.tenants() as u64)) " known, " (grouped(health.closed() as u64)) " closed"
            @if health.unreadable() > 0 { ", " (grouped(health.unreadable() as u64)) " unreadable" }
            @if health.observed_calls() > 0 {
                br; (count(number(health.observed_calls()), "call")) " to closed ones forwarded"
            }
        },
    )
}

fn notifications(view: &View, environment: &Environment) -> Markup {
    let counts = environment.health.notifications();
    let repeated = counts.duplicate() + counts.stale();
    entry(
        "Notifications",
        false,
        html! {
            (grouped(counts.applied() + counts.recorded())) " taken"
            @if repeated > 0 { ", " (grouped(repeated)) " repeated or late" }
            @if counts.rejected() > 0 { ", " (grouped(counts.rejected())) " refused" }
            br; "the last one taken: " (last_notification(environment.notified, view.now))
        },
    )
}

fn store(view: &View, environment: &Environment) -> Markup {
    let health = &environment.health;
    let warnings = health.store_warnings();
    let is_wrong = health.store() != StoreHealth::Fresh || !warnings.is_empty();
    entry(
        "Store",
        is_wrong,
        html! {
            @match health.store() {
                StoreHealth::Fresh => { "up to date" },
                StoreHealth::Stale { since } => { "behind since " (moment(since, view.now)) },
                StoreHealth::Failed => { "failed: the log has the reason" },
                _ => { "in an unknown state" },
            }
            @if health.dirty() > 0 { ", " (count(health.dirty(), "unwritten tenant")) }
            @for warning in warnings { br; (printable(&warning.to_string())) }
        },
    )
}

fn keys(environment: &Environment) -> Markup {
    let keys = &environment.keys;
    let is_wrong = keys.keys().is_empty() || keys.last_error().is_some();
    entry(
        "Keys",
        is_wrong,
        html! {
            (count(keys.keys().len(), "key"))
            @if let Some(age) = keys.age() { ", fetched " (duration(age)) " ago" }
            @for key in keys.keys() { br; small { (key_text(key)) } }
            @if let Some(url) = keys.url() { br; small { "from " (printable(url)) } }
            @if let Some(error) = keys.last_error() { br; "last error: " (printable(error)) }
        },
    )
}

fn key_text(key: &KeyReport) -> String {
    let id = key.id().map_or_else(|| "without a name".to_owned(), printable);
    let source = if key.source() == KeySource::Given { ", given" } else { "" };
    format!("{id}, {} bits{source}", key.bits())
}

fn pulls(environment: &Environment) -> Markup {
    let Some(pulls) = environment.health.pulls() else {
        return entry("Pulls", false, html! { "off: --state-api on makes them" });
    };
    let lately = environment.pulls;
    let corrections: u64 = pulls.corrections().iter().map(|(_, summary)| summary.count()).sum();
    entry(
        "Pulls",
        lately.failed > 0,
        html! {
            (grouped(pulls.waiting() as u64)) " waiting"
            @if pulls.waiting() > 0 { ", the oldest for " (duration(pulls.oldest())) }
            ", " (grouped(pulls.in_flight() as u64)) " in flight"
            br; "last minute: " (grouped(lately.answered)) " answered"
            @if lately.unknown > 0 { ", " (grouped(lately.unknown)) " without a state" }
            @if lately.failed > 0 { ", " (grouped(lately.failed)) " failed" }
            @if let Some(error) = pulls.last_error() { br; "last error: " (printable(error)) }
            br; small {
                "since the start: " (grouped(pulls.answered())) " answered, "
                (grouped(pulls.failed())) " failed, "
                (grouped(pulls.delegated())) " left to replicas, "
                (count(number(corrections), "correction"))
            }
        },
    )
}

fn clock(environment: &Environment) -> Markup {
    let is_wrong = environment.report.degraded.contains(&"clock_wrong");
    entry(
        "Clock",
        is_wrong,
        match environment.health.clock_offset() {
            Some(seconds) => html! { (offset(seconds)) },
            None => html! { "not compared yet with SuperOffice’s" },
        },
    )
}

/// Returns by how many seconds this machine's clock is off.
pub(super) fn offset(seconds: i64) -> String {
    match seconds {
        0 => "as SuperOffice’s".to_owned(),
        1.. => format!("{} s ahead of SuperOffice’s", grouped(seconds.unsigned_abs())),
        _ => format!("{} s behind SuperOffice’s", grouped(seconds.unsigned_abs())),
    }
}

fn tasks(environment: &Environment) -> Markup {
    let tasks = environment.health.tasks();
    let restarts: u64 = tasks.iter().map(|task| task.restarts()).sum();
    let down: Vec<_> = tasks.iter().filter(|task| task.is_down()).map(|task| task.name()).collect();
    entry(
        "Tasks",
        !down.is_empty(),
        html! {
            @if down.is_empty() { (count(tasks.len(), "task")) " running" }
            @else { "down: " (down.join(", ")) }
            @if restarts > 0 { ", restarted " (count(number(restarts), "time")) }
        },
    )
}
