//! The tenants that are listed, out of all.

use std::{cmp::Ordering, time::SystemTime};

use tower_superoffice::{TenantId, TenantStatus};

use super::{
    group::{Counts, Group},
    query::{Query, Sort},
};

/// Tenants on a page.
pub(super) const PAGE: usize = 100;

/// One page of the tenants that a query chooses.
#[derive(Debug, Default)]
pub(super) struct Selection {
    /// The tenants whose ids begin with the prefix, by group.
    pub(super) counts: Counts,
    /// Those that are listed, on all pages.
    pub(super) listed: usize,
    /// From 0. The last page stands for those behind it.
    pub(super) page: usize,
    pub(super) tenants: Vec<(TenantId, TenantStatus)>,
}

impl Selection {
    /// Returns the number of pages, of which there is at least one.
    pub(super) fn pages(&self) -> usize {
        self.listed.div_ceil(PAGE).max(1)
    }
}

/// Selects from `tenants`, which are ordered by id.
pub(super) fn select(tenants: &[(TenantId, TenantStatus)], query: &Query) -> Selection {
    let mut counts = Counts::default();
    let mut listed = Vec::new();
    for entry in tenants {
        let (tenant, status) = entry;
        if !begins_with(tenant, &query.prefix) {
            continue;
        }
        let group = Group::of(status);
        if let Some(count) = counts.get_mut(group as usize) {
            *count += 1;
        }
        if query.choice.takes(group) {
            listed.push(entry);
        }
    }
    let pages = listed.len().div_ceil(PAGE).max(1);
    let page = query.page.min(pages - 1);
    let number = listed.len();
    let listed = page_of(&mut listed, page, query.sort);
    Selection { counts, listed: number, page, tenants: listed.iter().copied().cloned().collect() }
}

fn begins_with(tenant: &TenantId, prefix: &str) -> bool {
    let start = tenant.as_str().get(..prefix.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// Returns a page of what `sort` makes of `listed`. Of a million tenants, all but those of the page
/// are left unsorted.
fn page_of<'a, 't>(
    listed: &'a mut [&'t (TenantId, TenantStatus)],
    page: usize,
    sort: Sort,
) -> &'a [&'t (TenantId, TenantStatus)] {
    let (start, end) = (page * PAGE, ((page + 1) * PAGE).min(listed.len()));
    if sort != Sort::Id {
        let order = |a: &&(TenantId, TenantStatus), b: &&(TenantId, TenantStatus)| {
            by_age(sort, a.1.since(), b.1.since()).then_with(|| a.0.cmp(&b.0))
        };
        if end < listed.len() {
            listed.select_nth_unstable_by(end, order);
        }
        if let Some(first) = listed.get_mut(..end) {
            first.sort_unstable_by(order);
        }
    }
    listed.get(start..end).unwrap_or_default()
}

/// Orders by the time of the closing; what has none comes last.
fn by_age(sort: Sort, a: Option<SystemTime>, b: Option<SystemTime>) -> Ordering {
    match (a, b) {
        (Some(a), Some(b)) if sort == Sort::Newest => b.cmp(&a),
        (Some(a), Some(b)) => a.cmp(&b),
        _ => a.is_none().cmp(&b.is_none()),
    }
}
