//! Whether all is well, in a sentence, and what to do when it is not.

use maud::{Markup, html};
use tower_superoffice::health::StoreHealth;

use super::{Mood, environment::offset};
use crate::page::{
    advice,
    group::Group,
    view::{Environment, View},
    words::{count, duration, grouped, last_notification, moment},
};

/// Returns the shortest form, for the title of the window.
pub(super) fn title(view: &View) -> String {
    let closed = grouped(view.closed() as u64);
    match Mood::of(view) {
        Mood::Well => format!("{closed} closed"),
        Mood::Degraded => format!("degraded, {closed} closed"),
        Mood::NotReady => format!("not ready, {closed} closed"),
    }
}

pub(super) fn section(view: &View, mood: Mood) -> Markup {
    let problems: Vec<_> = view.environments.iter().flat_map(problems).collect();
    html! {
        section #summary.summary.(mood.name()) data-live="" aria-label="Summary" {
            h1 { (headline(view, mood)) }
            p.lead { (sentence(view)) }
            @if view.observe_only {
                p.notice { "Calls to closed tenants are forwarded, and only counted: --observe-only." }
            }
            @if !problems.is_empty() {
                ul.problems {
                    @for (environment, name) in problems { (problem(view, environment, name)) }
                }
            }
            (bar(view))
            nav.ways aria-label="Further down" {
                a href="#events-title" { "What happened" }
                @for environment in &view.environments {
                    a href={ "#environment-" (environment.name) } { "Keys, store, pulls: " (environment.name) }
                }
            }
        }
    }
}

fn headline(view: &View, mood: Mood) -> &'static str {
    match mood {
        Mood::Well if view.closed() == 0 => "All is well, and every tenant is open.",
        Mood::Well => "All is well.",
        Mood::Degraded => "Calls are served, but something needs care.",
        Mood::NotReady => "Not ready: requests should go elsewhere.",
    }
}

fn sentence(view: &View) -> Markup {
    let (closed, known) = (view.closed(), view.known());
    let notified = view.environments.iter().filter_map(|own| own.notified).max();
    let refused: u64 = view.environments.iter().map(|own| own.health.refused_calls()).sum();
    html! {
        @if known == 0 {
            "Nothing is known of any tenant yet, so each counts as open."
        } @else {
            "Closed tenants: " strong { (grouped(closed as u64)) } " of "
            (grouped(known as u64)) " known."
        }
        @if refused > 0 {
            " " strong { (grouped(refused)) }
            (if refused == 1 { " call was" } else { " calls were" })
            " kept from closed tenants since the start."
        }
        " Last notification: " (last_notification(notified, view.now)) "."
    }
}

/// Returns what is wrong in an environment, the worst first.
fn problems(environment: &Environment) -> impl Iterator<Item = (&Environment, &'static str)> {
    let report = &environment.report;
    report.reasons.iter().chain(&report.degraded).map(move |name| (environment, *name))
}

fn problem(view: &View, environment: &Environment, name: &str) -> Markup {
    let advice = advice::of(name);
    html! {
        li.problem data-problem=(name) {
            details open {
                summary {
                    @if view.several { span.environment { (environment.name) } " " }
                    strong { (advice.what) }
                    (detail(view, environment, name)) "."
                }
                p { (advice.effect) }
                p { b { "What to do: " } (advice.response) }
                p.source { "docs/operations.md, “" (advice.section) "”" }
            }
        }
    }
}

/// Returns the numbers that belong to a problem.
fn detail(view: &View, environment: &Environment, name: &str) -> Markup {
    let Environment { report, health, keys, .. } = environment;
    html! {
        @match name {
            "store_stale" => @if let StoreHealth::Stale { since } = health.store() {
                ", since " (moment(since, view.now)) @if health.dirty() > 0 { ", with " (count(health.dirty(), "unwritten tenant")) }
            },
            "task_down" => { ": " (report.tasks_down.join(", ")) },
            "tracked_awaited" => { ": " (grouped(report.tracked_awaited as u64)) },
            "keys_old" => @if let Some(age) = keys.age() {
                " for " (duration(age))
            },
            "records_unreadable" => { ": " (count(health.unreadable(), "tenant")) },
            "pulls_failing" => @if let Some(pulls) = health.pulls() {
                " for " (duration(pulls.failing()))
            },
            "clock_wrong" => @if let Some(seconds) = health.clock_offset() {
                ": " (offset(seconds))
            },
            _ => {}
        }
    }
}

/// Draws the share that the closed tenants, and those open by order, have in all, by group.
fn bar(view: &View) -> Markup {
    let counts = view.counts();
    let shown: Vec<(Group, usize)> = (Group::ALL.into_iter().zip(counts))
        .filter(|(group, count)| *group != Group::Open && *count > 0)
        .collect();
    let total: usize = counts.iter().sum();
    let numbers: Vec<_> = (shown.iter())
        .map(|(group, count)| format!("{} {}", grouped(*count as u64), group.label()))
        .collect();
    let label = format!("Of {}: {}", count(total, "tenant"), numbers.join(", "));
    let mut parts = Vec::new();
    let mut start = 0;
    for (group, count) in shown {
        // In thousandths, and never too thin to be seen.
        let width = (count * 1000 / total.max(1)).max(6);
        parts.push((group, start, width));
        start += width;
    }
    html! {
        @if !parts.is_empty() {
            svg.bar-chart viewBox={ "0 0 " (start.max(1000)) " 10" } preserveAspectRatio="none"
                role="img" aria-label=(label)
            {
                // Shown where the pointer rests.
                title { (label) }
                @for (group, start, width) in parts {
                    rect.{ "g-" (group.name()) } x=(start) y="0" width=(width) height="10" {}
                }
            }
        }
    }
}
