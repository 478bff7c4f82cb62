//! The latest notifications, and what the receiver answered.

use std::time::SystemTime;

use maud::{Markup, html};

use crate::driver::{Driver, Outcome, Sent};

/// Notifications on the page.
const SHOWN: usize = 30;

pub(super) fn section(driver: &Driver) -> Markup {
    let sent = driver.history();
    html! {
        section #notifications {
            div.head { h2 { "Notifications" } }
            @if sent.is_empty() {
                p.nothing { "None yet. Do something to a tenant." }
            } @else {
                div.list {
                    table {
                        thead { tr { th { "Tenant" } th { "Change" } th { "Receiver" } th { "Time" } } }
                        tbody { @for sent in sent.iter().take(SHOWN) { (row(sent)) } }
                    }
                }
            }
        }
    }
}

fn row(sent: &Sent) -> Markup {
    html! {
        tr {
            th scope="row" { span.id { (sent.tenant) } }
            td data-label="Change" { span { (sent.verb.name()) } }
            td data-label="Receiver" {
                span.outcome.(class(&sent.outcome)) { bdi { (sent.outcome) } }
            }
            td data-label="Time" { time { (clock_time(sent.at)) } }
        }
    }
}

fn class(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Answered(status) if status.is_success() => "well",
        Outcome::Answered(_) | Outcome::Failed(_) => "wrong",
        Outcome::Sending | Outcome::Silent | Outcome::Lost => "lost",
        Outcome::Late(_) | Outcome::Held => "later",
    }
}

/// Formats the time of a day, in UTC.
pub(super) fn clock_time(at: SystemTime) -> String {
    let stamp = humantime::format_rfc3339_seconds(at).to_string();
    let time = stamp.split_once('T').map_or(stamp.as_str(), |(_, time)| time);
    format!("{} UTC", time.trim_end_matches('Z'))
}
