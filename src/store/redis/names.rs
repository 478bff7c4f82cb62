//! What the data is called in Redis.

use std::fmt::Write;

use crate::Environment;

/// The names of one environment's keys and channel.
///
/// They share a hash tag, so that a cluster keeps them on one node and the script may use them
/// together.
#[derive(Debug)]
pub(super) struct Names {
    /// A hash: a tenant's id in lower case to its value.
    pub(super) tenants: String,
    /// A channel: every stored value, with its writer.
    pub(super) changes: String,
    /// Keys that start so hold claims.
    claim: String,
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
        tag.push('}');
        Self {
            tenants: format!("{tag}:tenants"),
            changes: format!("{tag}:changes"),
            claim: format!("{tag}:claim:"),
        }
    }

    pub(super) fn claim(&self, tenant: &str) -> String {
        format!("{}{tenant}", self.claim)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_names_share_one_hash_tag() {
        for (base, tag) in [
            ("http://127.0.0.1:9000/so", "{tower-superoffice:127.0.0.1:9000}"),
            ("http://[::1]:9000", "{tower-superoffice:[::1]:9000}"),
        ] {
            let names = Names::new(&Environment::custom(base.parse().unwrap()));
            assert_eq!(names.tenants, format!("{tag}:tenants"));
            assert_eq!(names.changes, format!("{tag}:changes"));
            assert_eq!(names.claim("cust1"), format!("{tag}:claim:cust1"));
        }
        assert_eq!(
            Names::new(&Environment::Production).tenants,
            "{tower-superoffice:production}:tenants"
        );
    }
}
