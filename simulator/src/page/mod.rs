//! The page on which people do what SuperOffice does. It works without a script: every button is
//! one of a form, and its answer is the page again.

mod faults;
mod notifications;
mod policy;
mod tenants;

use maud::{DOCTYPE, Markup, PreEscaped, html};
use tower_superoffice::simulator::TenantSummary;

pub(crate) use self::policy::headers;
use crate::driver::Driver;

const ICON: &str = "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M2 8h4l2-5 2 10 2-5h2' fill='none' stroke='%232a5d8f' stroke-width='2'/%3E%3C/svg%3E";

/// Leaves of a search what an id can begin with.
pub(crate) fn clean_prefix(prefix: &str) -> String {
    let is_of_id = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    prefix.trim().chars().filter(is_of_id).take(64).collect()
}

/// Whether the tenant's id begins with `prefix`, in any case.
pub(crate) fn matches(tenant: &TenantSummary, prefix: &str) -> bool {
    let start = tenant.id().as_str().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Renders the page, with the tenants that match the search, and what was wrong with a form.
pub(crate) fn render(driver: &Driver, prefix: &str, problem: Option<&str>) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { "SuperOffice, simulated" }
                link rel="icon" href=(ICON);
                // Its text is in the policy.
                style { (PreEscaped(policy::CSS)) }
            }
            body {
                a.skip href="#tenants" { "Skip to the tenants" }
                (header())
                main {
                    (summary(driver, problem))
                    div.first {
                        (tenants::section(driver, prefix))
                        (notifications::section(driver))
                    }
                    (faults::section(driver))
                }
                (footer(driver))
            }
        }
    };
    page.into_string()
}

fn header() -> Markup {
    html! {
        header.bar {
            p.brand { b { "superoffice-simulator" } " " span { (env!("CARGO_PKG_VERSION")) } }
            p { a href="/" { "Reload" } }
        }
    }
}

fn summary(driver: &Driver, problem: Option<&str>) -> Markup {
    let simulator = driver.simulator();
    let (calls, while_closed) = (simulator.all_calls(), simulator.calls_while_closed());
    html! {
        section.summary {
            @if let Some(problem) = problem {
                p.notice role="alert" { b { "Nothing was changed. " } (problem) }
            }
            h1 .wrong[while_closed > 0] {
                @if while_closed > 0 {
                    (while_closed) @if while_closed == 1 { " call" } @else { " calls" }
                    " reached a closed tenant"
                } @else if calls > 0 {
                    "No call reached a closed tenant"
                } @else {
                    "No call yet"
                }
            }
            p.lead {
                (calls) @if calls == 1 { " call" } @else { " calls" } " in all. "
                @if let Some(url) = driver.notify() {
                    "Notifications go to " code { (url) } "."
                } @else {
                    "No State Change URL is registered: start the simulator with " code { "--notify URL" } "."
                }
            }
            @if while_closed > 0 { (closed_calls(driver)) }
        }
    }
}

/// Calls to closed tenants that are shown.
const CLOSED_CALLS: usize = 5;

fn closed_calls(driver: &Driver) -> Markup {
    let calls = driver.simulator().closed_calls();
    html! {
        ul.closed-calls {
            @for call in calls.iter().rev().take(CLOSED_CALLS) {
                li {
                    time { (notifications::clock_time(call.at())) } " "
                    code { (call.method()) " " bdi { (call.path()) } }
                    " while " (call.state())
                }
            }
        }
    }
}

fn footer(driver: &Driver) -> Markup {
    let origin = driver.simulator().environment().origin().to_string();
    let origin = origin.trim_end_matches('/');
    html! {
        footer.footnote {
            p {
                "Environment " code { (origin) } ", application id "
                code { (driver.simulator().application_id()) } "."
            }
            p {
                "The same from a program: "
                code { "curl -X POST " (origin) "/simulator/tenants/Cust12345/suspend" }
                ". Lists: "
                @for name in ["tenants", "notifications", "faults", "keys", "calls"] {
                    a href={ "/simulator/" (name) } { (name) } " "
                }
            }
        }
    }
}
