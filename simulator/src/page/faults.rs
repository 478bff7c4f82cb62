//! The faults, each with a switch, and the keys.

use maud::{Markup, html};

use crate::driver::{Chosen, Driver, Place};

pub(super) fn section(driver: &Driver) -> Markup {
    html! {
        section.side #faults {
            h2 { "Faults" }
            @for place in Place::ALL { (card(place, driver.fault(place).as_ref())) }
            (keys(driver))
        }
    }
}

fn card(place: Place, fault: Option<&Chosen>) -> Markup {
    let action = format!("/simulator/faults/{}", place.name());
    html! {
        div.card .faulty[fault.is_some()] {
            div.head {
                h3 { (place.title()) }
                @if fault.is_some() {
                    form method="post" action=(action) {
                        (from_page())
                        input type="hidden" name="kind" value="none";
                        button.quiet { "End" span.unseen { " the fault: " (place.title()) } }
                    }
                }
            }
            @match fault {
                Some(fault) => p.effect {
                    b { (fault.kind.name) }
                    @if let Some(value) = &fault.value { " " code { bdi { (value) } } }
                    ": " (fault.kind.effect)
                },
                None => p.nothing { (well(place)) },
            }
            form.choice method="post" action=(action) {
                (from_page())
                label {
                    span.unseen { (place.title()) ": kind" }
                    select name="kind" {
                        @for kind in place.kinds() {
                            option value=(kind.name) selected[fault.is_some_and(|fault| fault.kind == kind)] {
                                (kind.name)
                                @if let Some((_, default)) = kind.value { " (" (default) ")" }
                            }
                        }
                    }
                }
                label {
                    span.unseen { (place.title()) ": value" }
                    input name="value" placeholder="value" autocomplete="off" spellcheck="false";
                }
                button { "Set" span.unseen { " the fault: " (place.title()) } }
            }
        }
    }
}

fn from_page() -> Markup {
    html! { input type="hidden" name="from" value="page"; }
}

fn well(place: Place) -> &'static str {
    match place {
        Place::StateApi | Place::Keys => "Answers as it should.",
        Place::Tenants => "Answer their calls.",
        Place::Notifications => "Are sent once, at once, in order.",
        Place::Clock => "Agrees with this machine's.",
    }
}

fn keys(driver: &Driver) -> Markup {
    let ids = driver.key_ids();
    html! {
        div.card {
            h3 { "Signing keys" }
            p.effect {
                @if let [signing, old @ ..] = ids.as_slice() {
                    "Signs with " code { (start(signing)) }
                    @if !old.is_empty() { ", and still publishes " (old.len()) " older" }
                    "."
                }
            }
            form.verbs method="post" action="/simulator/keys/rotate" {
                (from_page())
                button.quiet { "Rotate" }
                button.quiet formaction="/simulator/keys/retire" disabled[ids.len() < 2] { "Retire the older" }
            }
        }
    }
}

/// Returns as much of a key's id as tells it from others.
fn start(id: &str) -> &str {
    id.get(..12).unwrap_or(id)
}
