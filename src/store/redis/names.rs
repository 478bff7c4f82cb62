//! Names of the keys in Redis.

use std::fmt::Write;

use crate::environment::Environment;

/// The names of one environment's keys.
///
/// They share a hash tag, so that a cluster keeps them on one node and one script may use them.
#[derive(Debug)]
pub(super) struct Names {
    /// A hash: a tenant's id in lower case to its value.
    pub(super) tenants: String,
    /// A hash: a tenant's id in lower case to the last malformed value that was replaced.
    pub(super) unreadable: String,
    /// A stream: the change log.
    pub(super) changes: String,
    /// The prefix of the keys of leases.
    lease: String,
}

impl Names {
    pub(super) fn new(environment: &Environment) -> Self {
        let mut tag = String::from("{tower-superoffice:");
        for character in environment.name().chars() {
            match character {
                // A brace inside would end the hash tag early.
                '{' | '}' | '%' => {
                    // Writing to a string can't fail.
                    let _ = write!(tag, "%{:02x}", u32::from(character));
                }
                other => tag.push(other),
            }
        }
        Self {
            tenants: format!("{tag}}}:tenants"),
            unreadable: format!("{tag}}}:unreadable"),
            changes: format!("{tag}}}:changes"),
            lease: format!("{tag}}}:lease:"),
        }
    }

    pub(super) fn lease(&self, tenant: &str, term: u64) -> String {
        format!("{}{tenant}:{term:x}", self.lease)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_share_one_hash_tag() {
        for (base, tag) in [
            ("http://127.0.0.1:9000/so", "{tower-superoffice:127.0.0.1:9000/so}"),
            ("http://[::1]:9000", "{tower-superoffice:[::1]:9000}"),
        ] {
            let names = Names::new(&Environment::custom(base.parse().unwrap()));
            assert_eq!(names.tenants, format!("{tag}:tenants"));
            assert_eq!(names.unreadable, format!("{tag}:unreadable"));
            assert_eq!(names.changes, format!("{tag}:changes"));
            assert_eq!(names.lease("cust1", 31), format!("{tag}:lease:cust1:1f"));
        }
        let names = Names::new(&Environment::Production);
        assert_eq!(names.tenants, "{tower-superoffice:production}:tenants");
    }
}
