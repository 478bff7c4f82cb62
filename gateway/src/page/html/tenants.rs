//! The list of tenants, and the search in it.

use maud::{Markup, html};
use tower_superoffice::status::Evidence;

use crate::page::{
    group::Group,
    query::{Choice, Query, Sort},
    select::PAGE,
    view::{Environment, List, Orders, Row, View, WaitsFor},
    words::{count, grouped, minute, moment, printable},
};

pub(super) fn section(view: &View) -> Markup {
    html! {
        section #tenants.tenants aria-labelledby="tenants-title" {
            div.head {
                h2 #tenants-title { "Tenants" }
                @if view.orders != Orders::Off {
                    button.quiet.needs-script type="button" data-order="" { "Give an order…" }
                }
            }
            (search(view))
            (groups(view))
            @for environment in &view.environments {
                @if let Some(list) = &environment.list { (self::list(view, environment, list)) }
            }
            @if view.query.environment.is_some() {
                p #all-environments data-live="" {
                    a data-go="" href=(view.query.with_page(None, 0).url()) { "All environments" }
                }
            }
        }
    }
}

fn search(view: &View) -> Markup {
    let Query { environment, prefix, choice, sort, .. } = &view.query;
    html! {
        form.search method="get" action="/" role="search" {
            label { "Id begins with "
                input #prefix type="search" name="prefix" value=(printable(prefix)) maxlength="64"
                    autocomplete="off" autocapitalize="off" spellcheck="false";
            }
            label { "Sort by "
                select name="sort" {
                    @for (own, name, label) in Sort::ALL {
                        option value=(name) selected[own == *sort] { (label) }
                    }
                }
            }
            // The others stay as they are.
            @if let Some(name) = environment { input type="hidden" name="environment" value=(name); }
            @if let Some(name) = choice.name() { input type="hidden" name="reason" value=(name); }
            button type="submit" { "Search" }
            @if !prefix.is_empty() {
                a data-go="" href=(Query { prefix: String::new(), page: 0, ..view.query.clone() }.url()) {
                    "Clear"
                }
            }
        }
    }
}

/// Links to each group, with its number.
fn groups(view: &View) -> Markup {
    let counts = view.counts();
    let all: usize = counts.iter().sum();
    let is_held_open = counts.get(Group::HeldOpen as usize).is_some_and(|count| *count > 0);
    let notable_label = if is_held_open { "closed or open by order" } else { "closed" };
    let notable: usize = (Group::ALL.into_iter().zip(counts))
        .filter_map(|(group, count)| Choice::Notable.takes(group).then_some(count))
        .sum();
    let chip = |choice: Choice, label: &str, class: &str, count: usize| {
        html! {
            li {
                a.chip.(class) data-go="" href=(view.query.with_choice(choice).url())
                    aria-current=[(view.query.choice == choice).then_some("true")]
                {
                    (label) " " b { (grouped(count as u64)) }
                }
            }
        }
    };
    html! {
        nav #groups.groups data-live="" aria-label="Tenants by reason" {
            ul {
                (chip(Choice::Notable, notable_label, "g-none", notable))
                @for (group, count) in Group::ALL.into_iter().zip(counts) {
                    @if count > 0 || view.query.choice == Choice::One(group) {
                        (chip(Choice::One(group), group.label(), &format!("g-{}", group.name()), count))
                    }
                }
                (chip(Choice::All, "all known", "g-none", all))
            }
        }
    }
}

fn list(view: &View, environment: &Environment, list: &List) -> Markup {
    html! {
        div.list id={ "list-" (environment.name) } data-live="" {
            @if view.several {
                h3 { (environment.name) " " span.count { (count(list.listed, "tenant")) } }
            }
            @if list.rows.is_empty() {
                (nothing(view, environment))
            } @else {
                table {
                    thead {
                        tr {
                            th scope="col" { "Tenant" }
                            th scope="col" { "State" }
                            th scope="col" { "Since" }
                            th scope="col" { "Evidence" }
                            th scope="col" { "Waits for" }
                            @if view.orders != Orders::Off {
                                th.needs-script scope="col" { span.unseen { "Orders" } }
                            }
                        }
                    }
                    tbody { @for row in &list.rows { (self::row(view, environment, row)) } }
                }
                (pager(view, environment, list))
            }
        }
    }
}

fn nothing(view: &View, environment: &Environment) -> Markup {
    let matching: usize = environment.counts.iter().sum();
    html! {
        p.nothing {
            @if !view.query.prefix.is_empty() && matching == 0 {
                "No known tenant begins with " b { bdi { (printable(&view.query.prefix)) } }
                ". One that is not known counts as open."
            } @else if matching > 0 {
                "None of these. " a data-go="" href=(view.query.with_choice(Choice::All).url()) {
                    (count(matching, "known tenant"))
                    @if !view.query.prefix.is_empty() { " with this beginning" }
                }
            } @else {
                "No tenant is known yet."
            }
        }
    }
}

fn row(view: &View, environment: &Environment, row: &Row) -> Markup {
    let Row { tenant, status, group, waits_for } = row;
    let (id, versions) = (tenant.as_str(), [status.version_name(), status.file_version()]);
    let versions: Vec<_> = versions.into_iter().flatten().map(printable).collect();
    html! {
        tr id={ "t-" (environment.name) "-" (id) } {
            th scope="row" data-label="Tenant" {
                span.id { (id) }
                @if let Some(host) = status.endpoint() { small { (printable(host)) } }
                @if !versions.is_empty() { small { bdi { (versions.join(", ")) } } }
            }
            td data-label="State" { span.state.{ "g-" (group.name()) } { (group.label()) } }
            td data-label="Since" {
                @match status.since() {
                    Some(since) => (moment(since, view.now)),
                    None => span.none { "–" },
                }
            }
            td data-label="Evidence" {
                (evidence(row))
                @if let Some(note) = status.note() { q.note { bdi { (printable(note)) } } }
            }
            td data-label="Waits for" { (waits(*waits_for, view, environment)) }
            @if view.orders != Orders::Off {
                td.needs-script {
                    button.quiet type="button" id={ "o-" (environment.name) "-" (id) }
                        data-order=(id) data-prefix=(environment.prefix)
                        aria-label={ "Give an order for " (id) } { "Order…" }
                }
            }
        }
    }
}

fn evidence(row: &Row) -> Markup {
    let status = &row.status;
    let (who, confirmed) = match status.evidence() {
        Evidence::Operator => ("An operator", None),
        _ if row.group == Group::Unreadable => ("None: its stored record can’t be read", None),
        _ if row.group != Group::Open && !status.is_known() => ("None: nothing is known yet", None),
        Evidence::StateApi => ("SuperOffice’s state API", Some(status.is_confirmed())),
        _ if row.group == Group::Open => ("Nothing closed it", None),
        _ => ("SuperOffice’s notification", Some(status.is_confirmed())),
    };
    html! {
        (who)
        @match confirmed {
            Some(true) => small { "confirmed by a pull" },
            Some(false) => small { "not confirmed yet" },
            None => {}
        }
    }
}

fn waits(waits_for: WaitsFor, view: &View, environment: &Environment) -> Markup {
    let is_pulled =
        matches!(waits_for, WaitsFor::Pull(_) | WaitsFor::DuePull | WaitsFor::Confirmation);
    let is_failing = environment.report.degraded.contains(&"pulls_failing");
    html! {
        @match waits_for {
            WaitsFor::Nothing => span.none { "–" },
            WaitsFor::Pull(at) => { "the next pull, " (moment(at, view.now)) },
            WaitsFor::DuePull => { "a pull that is due" },
            WaitsFor::Notification => { "a notification" },
            WaitsFor::End(at) => { "the order’s end, " (moment(at, view.now)) small { (minute(at)) } },
            WaitsFor::Release => { "its release" },
            WaitsFor::Forget => { "being forgotten, once your data of it is erased" },
            WaitsFor::Confirmation => { "a pull that confirms it" },
        }
        @if is_pulled && is_failing { small { "the last ones failed" } }
    }
}

fn pager(view: &View, environment: &Environment, list: &List) -> Markup {
    let only = view.several.then_some(&*environment.name);
    let to = |page: usize| view.query.with_page(only, page).url();
    let first = list.page * PAGE + 1;
    let last = first + list.rows.len() - 1;
    html! {
        @if list.pages > 1 {
            nav.pager aria-label="Pages" {
                @if list.page > 0 { a rel="prev" data-go="" href=(to(list.page - 1)) { "← Previous" } }
                span {
                    (grouped(first as u64)) " to " (grouped(last as u64)) " of "
                    (grouped(list.listed as u64))
                }
                @if list.page + 1 < list.pages {
                    a rel="next" data-go="" href=(to(list.page + 1)) { "Next →" }
                }
            }
        }
    }
}
