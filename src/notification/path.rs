//! The path of the notification route.

use std::sync::Arc;

/// A path that a request can have: absolute, and without a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NotificationPath(Arc<str>);

impl NotificationPath {
    /// Returns `None` for a path that no request has.
    pub(crate) fn parse(path: &str) -> Option<Self> {
        let possible = path.starts_with('/') && !path.contains(['?', '#']);
        possible.then(|| Self(path.into()))
    }

    /// Returns whether a request's path, which has no query, is this one to the letter.
    pub(super) fn matches(&self, path: &str) -> bool {
        *self.0 == *path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn path_is_absolute_without_query_and_compared_exactly() {
        for wrong in ["", "no/slash", "/a?b", "/a#b"] {
            assert_eq!(NotificationPath::parse(wrong), None, "{wrong}");
        }
        let path = NotificationPath::parse("/Notify").unwrap();
        let matching = ["/Notify", "/notify", "/Notify/", "//Notify", "/%4eotify", "/"];
        assert_eq!(
            matching.map(|other| path.matches(other)),
            [true, false, false, false, false, false]
        );
    }
}
