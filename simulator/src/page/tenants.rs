//! The tenants, with a button for each thing that SuperOffice can do to one.

use maud::{Markup, html};
use tower_superoffice::{TenantId, simulator::TenantSummary};

use crate::driver::{Driver, Verb};

/// Tenants on the page; the search finds the others.
const SHOWN: usize = 100;

pub(super) fn section(driver: &Driver, prefix: &str) -> Markup {
    let tenants = driver.simulator().tenants();
    let found: Vec<_> = tenants.iter().filter(|tenant| super::matches(tenant, prefix)).collect();
    html! {
        section #tenants {
            div.head {
                h2 { "Tenants" }
                @if tenants.len() > 10 || !prefix.is_empty() { (search(prefix)) }
            }
            @if found.is_empty() {
                p.nothing {
                    @if tenants.is_empty() {
                        "None was called, pulled or changed yet. Every tenant exists, and runs."
                    } @else {
                        "No id begins with " code { (prefix) } "."
                    }
                }
            } @else {
                (table(&found, prefix))
            }
            @if found.len() > SHOWN {
                p.nothing { "And " (found.len() - SHOWN) " more: search for them." }
            }
            (new_tenant(prefix))
        }
    }
}

fn search(prefix: &str) -> Markup {
    html! {
        form.inline role="search" action="/" {
            label { "Begins with " input type="search" name="prefix" value=(prefix) maxlength="64"; }
            button.quiet { "Search" }
        }
    }
}

fn table(tenants: &[&TenantSummary], prefix: &str) -> Markup {
    html! {
        div.list {
            table {
                thead {
                    tr { th { "Tenant" } th { "State" } th { "Host" } th { "Calls" } th { "SuperOffice's part" } }
                }
                tbody {
                    @for tenant in tenants.iter().take(SHOWN) { (row(tenant, prefix)) }
                }
            }
        }
    }
}

fn row(tenant: &TenantSummary, prefix: &str) -> Markup {
    let closed = tenant.calls_while_closed();
    html! {
        tr {
            th scope="row" { span.id { (tenant.id()) } }
            td data-label="State" {
                span.state.(if tenant.is_running() { "running" } else { group(tenant.state()) }) {
                    (tenant.state())
                }
            }
            td data-label="Host" { code { (tenant.host()) } }
            td data-label="Calls" {
                span { (tenant.calls()) }
                @if closed > 0 { small.wrong { (closed) " while closed" } }
            }
            td { (verbs(tenant.id(), prefix)) }
        }
    }
}

/// Returns the group that a closed state's colour stands for.
fn group(state: &str) -> &'static str {
    match state {
        "OfflineMaintenance" => "upgrading",
        "Suspended" => "suspended",
        "Deleted" | "Deleting" | "DeleteFailed" => "deleted",
        _ => "not-ready",
    }
}

fn verbs(tenant: &TenantId, prefix: &str) -> Markup {
    let action = |verb: Verb| format!("/simulator/tenants/{tenant}/{}", verb.name());
    html! {
        form.verbs method="post" action=(action(Verb::Resume)) {
            input type="hidden" name="from" value="page";
            input type="hidden" name="prefix" value=(prefix);
            @for verb in Verb::ALL {
                button.quiet formaction=(action(verb)) aria-label={ (title(verb)) " " (tenant) } {
                    (title(verb))
                }
            }
            label.check { input type="checkbox" name="silently" value="on"; " silently" }
        }
    }
}

fn title(verb: Verb) -> &'static str {
    match verb {
        Verb::Upgrade => "Upgrade",
        Verb::Suspend => "Suspend",
        Verb::Resume => "Resume",
        Verb::Move => "Move",
        Verb::Delete => "Delete",
        Verb::Restore => "Restore",
    }
}

fn new_tenant(prefix: &str) -> Markup {
    html! {
        form.inline method="post" action="/simulator/tenants" {
            input type="hidden" name="from" value="page";
            input type="hidden" name="prefix" value=(prefix);
            label {
                "Another tenant "
                input name="tenant" required placeholder="Cust12345" maxlength="64"
                    pattern="[A-Za-z0-9_\\-]+" autocomplete="off" spellcheck="false";
            }
            button.quiet { "Add" }
        }
    }
}
