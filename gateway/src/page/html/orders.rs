//! The operator's orders.
//!
//! They are JSON with a token in a header, which a form without a script can't send: what needs the
//! script is hidden until it runs.

use maud::{Markup, html};

use crate::page::view::{Orders, View};

/// Each order with what it does.
const ORDERS: [(&str, &str); 5] = [
    ("close", "refuse calls, whatever SuperOffice reports"),
    ("open", "let calls through, whatever SuperOffice reports"),
    ("release", "follow SuperOffice again"),
    ("refresh", "pull its state now"),
    ("forget", "remove what is known of it, once its deletion is confirmed"),
];

pub(super) fn dialog(view: &View) -> Markup {
    html! {
        @if view.orders == Orders::Off {
            p.footnote {
                "Orders are not taken at this address: start the gateway with --operator-token-file or \
                 --internal-listen."
            }
        } @else {
            noscript {
                p.footnote {
                    "Without JavaScript, orders are given by the command line: "
                    code { "superoffice-gateway close TENANT --note 'why'" }
                    ", and open, release, refresh, forget likewise."
                }
            }
            dialog #order aria-labelledby="order-title" { (form(view)) }
            p #done.done role="status" {}
        }
    }
}

fn form(view: &View) -> Markup {
    html! {
        form #order-form method="dialog" {
            h2 #order-title { "Give an order" }
            @if view.several {
                label { "Environment"
                    select name="prefix" {
                        @for environment in &view.environments {
                            option value=(environment.prefix) { (environment.name) }
                        }
                    }
                }
            } @else {
                input type="hidden" name="prefix" value="";
            }
            label { "Tenant"
                input name="tenant" required pattern="[A-Za-z0-9_\\-]{1,64}" autocomplete="off"
                    autocapitalize="off" spellcheck="false" title="Letters, digits, _ and -";
            }
            fieldset {
                legend { "Order" }
                @for (order, effect) in ORDERS {
                    label.choice {
                        input type="radio" name="order" value=(order) required;
                        span { b { (order) } " " small { (effect) } }
                    }
                }
            }
            label data-for="open close release" { "Note, for colleagues"
                input name="note" maxlength="200" autocomplete="off";
            }
            label data-for="open close" {
                span { "Until, or without an end" span #zone {} }
                input name="until" type="datetime-local";
            }
            label.choice data-for="forget" {
                input name="sure" type="checkbox";
                span { "My data of this tenant is erased: forget it." }
            }
            @if view.orders == Orders::Token {
                label { "Operator’s token"
                    input name="token" type="password" required autocomplete="off";
                    small { "Kept in this window until it is closed or reloaded." }
                }
            }
            p #order-error.error role="alert" {}
            div.buttons {
                button type="submit" value="send" { "Give the order" }
                button.quiet type="button" data-cancel="" { "Cancel" }
            }
        }
    }
}
