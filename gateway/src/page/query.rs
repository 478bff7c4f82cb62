//! The parameters of the page.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::group::Group;

/// The longest prefix that is searched for: no tenant id is longer.
const MAX_PREFIX: usize = 64;

/// The parameters of the page. People type them and keep them as bookmarks, so what makes no sense
/// counts as left out, and the last counts of those that come twice.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "Vec<(String, String)>")]
pub(super) struct Parameters {
    environment: Option<String>,
    prefix: Option<String>,
    reason: Option<String>,
    sort: Option<String>,
    page: Option<String>,
}

impl From<Vec<(String, String)>> for Parameters {
    fn from(pairs: Vec<(String, String)>) -> Self {
        let mut parameters = Self::default();
        for (name, value) in pairs {
            let parameter = match name.as_str() {
                "environment" => &mut parameters.environment,
                "prefix" => &mut parameters.prefix,
                "reason" => &mut parameters.reason,
                "sort" => &mut parameters.sort,
                "page" => &mut parameters.page,
                _ => continue,
            };
            *parameter = Some(value);
        }
        parameters
    }
}

/// The tenants that are listed, and their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Query {
    /// The one environment whose tenants are listed.
    pub(super) environment: Option<String>,
    pub(super) prefix: String,
    pub(super) choice: Choice,
    pub(super) sort: Sort,
    /// From 0.
    pub(super) page: usize,
}

/// The groups that are listed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Choice {
    /// All but those that are open without an order.
    #[default]
    Notable,
    One(Group),
    All,
}

impl Choice {
    pub(super) fn takes(self, group: Group) -> bool {
        match self {
            Self::Notable => group != Group::Open,
            Self::One(one) => group == one,
            Self::All => true,
        }
    }

    /// Returns its value in URLs; `None` for the one that needs none.
    pub(super) fn name(self) -> Option<&'static str> {
        match self {
            Self::Notable => None,
            Self::One(group) => Some(group.name()),
            Self::All => Some("all"),
        }
    }
}

/// The order of the list.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) enum Sort {
    /// Those that closed last come first.
    #[default]
    Newest,
    Oldest,
    Id,
}

impl Sort {
    pub(super) const ALL: [(Self, &'static str, &'static str); 3] = [
        (Self::Newest, "newest", "latest closing"),
        (Self::Oldest, "oldest", "longest closed"),
        (Self::Id, "id", "id"),
    ];

    fn name(self) -> &'static str {
        let mut all = Self::ALL.into_iter();
        all.find(|(sort, ..)| *sort == self).map_or("", |(_, name, _)| name)
    }
}

impl Query {
    pub(super) fn new(parameters: Parameters) -> Self {
        let Parameters { environment, prefix, reason, sort, page } = parameters;
        let choice = match reason.as_deref() {
            Some("all") => Choice::All,
            Some(name) => (Group::ALL.into_iter().find(|group| group.name() == name))
                .map_or(Choice::Notable, Choice::One),
            None => Choice::Notable,
        };
        let sort = sort.and_then(|name| Sort::ALL.into_iter().find(|(_, own, _)| *own == name));
        let page = page.and_then(|page| page.parse::<usize>().ok());
        Self {
            environment: environment.filter(|name| !name.is_empty()),
            prefix: prefix.unwrap_or_default().trim().chars().take(MAX_PREFIX).collect(),
            choice,
            sort: sort.map_or(Sort::default(), |(sort, ..)| sort),
            page: page.unwrap_or(1).saturating_sub(1),
        }
    }

    /// Returns the query for another choice, on its first page.
    pub(super) fn with_choice(&self, choice: Choice) -> Self {
        Self { choice, page: 0, ..self.clone() }
    }

    /// Returns the query for a page of the list of `environment`.
    pub(super) fn with_page(&self, environment: Option<&str>, page: usize) -> Self {
        Self { environment: environment.map(str::to_owned), page, ..self.clone() }
    }

    /// Returns the URL of the page with this query.
    pub(super) fn url(&self) -> String {
        let page = (self.page > 0).then(|| (self.page + 1).to_string());
        let sort = (self.sort != Sort::default()).then(|| self.sort.name());
        let prefix = Some(&*self.prefix).filter(|prefix| !prefix.is_empty());
        let parameters = [
            ("environment", self.environment.as_deref()),
            ("prefix", prefix),
            ("reason", self.choice.name()),
            ("sort", sort),
            ("page", page.as_deref()),
        ];
        let parameters: Vec<String> = parameters
            .into_iter()
            .filter_map(|(name, value)| {
                Some(format!("{name}={}", utf8_percent_encode(value?, NON_ALPHANUMERIC)))
            })
            .collect();
        if parameters.is_empty() { "/".to_owned() } else { format!("/?{}", parameters.join("&")) }
    }
}

#[cfg(test)]
mod tests {
    use axum::{extract, http::Uri};

    use super::*;

    fn query(url: &str) -> Query {
        let uri: Uri = url.parse().unwrap();
        Query::new(extract::Query::try_from_uri(&uri).unwrap().0)
    }

    #[test]
    fn url_leads_back_to_its_query() {
        for url in [
            "/",
            "/?prefix=Cust1",
            "/?environment=stage&prefix=a%26b%22%C3%A9&reason=suspended&sort=oldest&page=3",
            "/?reason=all&sort=id",
            "/?reason=held%5Fopen",
        ] {
            assert_eq!(query(url).url(), url);
        }
    }

    #[test]
    fn parameter_that_makes_no_sense_counts_as_left_out() {
        let url = "/?environment=&reason=tired&sort=up&page=-1&prefix=%20&other=1";
        assert_eq!(query(url), Query::default());
        assert_eq!(query("/?page=0"), Query::default());
        assert_eq!(query("/?page=2&page=3&prefix=a&prefix=b"), query("/?page=3&prefix=b"));
        assert_eq!(query(&format!("/?prefix={}", "é".repeat(99))).prefix.chars().count(), 64);
    }
}
