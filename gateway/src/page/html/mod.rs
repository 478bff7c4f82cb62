//! The page as HTML.

mod environment;
mod events;
mod orders;
mod summary;
mod tenants;

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::{
    policy::{CSS, SCRIPT},
    view::{Orders, View},
    words::{self, duration, minute},
};

/// Renders the page.
pub(super) fn render(view: &View) -> Markup {
    let mood = Mood::of(view);
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (summary::title(view)) " · superoffice-gateway" }
                link rel="icon" href=(mood.icon());
                style { (PreEscaped(CSS)) }
            }
            body data-orders=(orders_name(view.orders)) {
                a.skip href="#tenants" { "Skip to the tenants" }
                (header(view))
                main {
                    (summary::section(view, mood))
                    (tenants::section(view))
                    div.side {
                        (events::section(view))
                        @for environment in &view.environments {
                            (environment::section(view, environment))
                        }
                    }
                }
                (orders::dialog(view))
                // Its text is in the policy.
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn header(view: &View) -> Markup {
    html! {
        header.bar {
            p.brand { b { "superoffice-gateway" } " " span { (env!("CARGO_PKG_VERSION")) } }
            p.clock {
                span #uptime data-live="" {
                    "up "
                    @let start = view.now.checked_sub(view.uptime).unwrap_or(view.now);
                    time datetime=(words::timestamp(start)) data-lasts="" { (duration(view.uptime)) }
                }
                " · "
                span #as-of data-live="" {
                    "as of "
                    // Without the distance from now, which is none, and without seconds, which
                    // would stand still until the next page.
                    time #now datetime=(words::timestamp(view.now)) data-fixed="" { (minute(view.now)) }
                }
                " "
                span #connection.needs-script role="status" {}
                a.reload href=(view.query.url()) { "Reload" }
            }
        }
    }
}

/// The state of the gateway as a whole.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Mood {
    Well,
    Degraded,
    NotReady,
}

impl Mood {
    fn of(view: &View) -> Self {
        match (view.is_ready(), view.is_degraded()) {
            (false, _) => Self::NotReady,
            (true, true) => Self::Degraded,
            (true, false) => Self::Well,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Degraded => "degraded",
            Self::NotReady => "not-ready",
        }
    }

    /// Returns the page's icon, a drawing of the mood: a disk, a ring or a cross.
    fn icon(self) -> &'static str {
        match self {
            Self::Well => {
                "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='6' fill='%233a8f63'/%3E%3C/svg%3E"
            }
            Self::Degraded => {
                "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Ccircle cx='8' cy='8' r='5' fill='none' stroke='%23c58a1b' stroke-width='3'/%3E%3C/svg%3E"
            }
            Self::NotReady => {
                "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E%3Cpath d='M3 3l10 10M13 3L3 13' stroke='%23c2413a' stroke-width='3'/%3E%3C/svg%3E"
            }
        }
    }
}

fn orders_name(orders: Orders) -> &'static str {
    match orders {
        Orders::Token => "token",
        Orders::Direct => "direct",
        Orders::Off => "off",
    }
}
