//! The statements of one environment.

use aws_lc_rs::digest::{SHA256, digest};

use crate::{environment::Environment, hex};

/// The longest prefix of a table's name, in bytes. PostgreSQL cuts identifiers after 63 bytes, and
/// the longest suffix is `tenants_position`.
const PREFIX: usize = 46;

/// The statements, with the names of the environment's tables in them.
pub(super) struct Statements {
    pub(super) tables: String,
    pub(super) rows: String,
    pub(super) merge: String,
    pub(super) remove: String,
    pub(super) read: String,
    pub(super) page: String,
    pub(super) position: String,
    pub(super) changes: String,
    pub(super) trim: String,
    pub(super) lease: String,
    pub(super) sweep: String,
    /// Subscribes to the channel that is notified of changes.
    pub(super) listen: String,
    pub(super) notify: String,
}

impl Statements {
    pub(super) fn new(environment: &Environment) -> Self {
        let prefix = prefix(&environment.name());
        // The names are in quotes everywhere, and no character of a prefix needs an escape.
        let named = |sql: &str| sql.replace('@', &prefix);
        Self {
            tables: named(include_str!("sql/tables.sql")),
            rows: named(include_str!("sql/rows.sql")),
            merge: named(include_str!("sql/merge.sql")),
            remove: named(include_str!("sql/remove.sql")),
            read: named(include_str!("sql/read.sql")),
            page: named(include_str!("sql/page.sql")),
            position: named(include_str!("sql/position.sql")),
            changes: named(include_str!("sql/changes.sql")),
            trim: named(include_str!("sql/trim.sql")),
            lease: named(include_str!("sql/lease.sql")),
            sweep: named(include_str!("sql/sweep.sql")),
            listen: named("LISTEN \"@changes\""),
            notify: named("SELECT pg_notify('@changes', '')::text"),
        }
    }

    /// Returns the script that creates the tables and their first rows, in one transaction.
    pub(super) fn script(&self) -> String {
        format!("BEGIN;\n\n{}\n{}\nCOMMIT;\n", self.tables, self.rows)
    }
}

/// Returns the prefix of the names of the environment's tables: its name in letters, digits and
/// underscores, and a part of its digest if that is not the name itself.
fn prefix(name: &str) -> String {
    let plain = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let mut prefix = String::from("tower_superoffice_");
    if name.chars().all(plain) && prefix.len() + name.len() < PREFIX {
        prefix.push_str(name);
    } else {
        let sum = hex::lower(digest(&SHA256, name.as_bytes()).as_ref());
        let room = PREFIX - prefix.len() - 10;
        prefix.extend(name.chars().map(|c| if plain(c) { c } else { '_' }).take(room));
        prefix.push('_');
        prefix.extend(sum.chars().take(8));
    }
    prefix.push('_');
    prefix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_environments_differ_and_fit() {
        let custom = |base: &str| prefix(&Environment::custom(base.parse().unwrap()).name());
        assert_eq!(prefix("production"), "tower_superoffice_production_");
        let names = [
            custom("http://127.0.0.1:9000/so"),
            custom("http://127.0.0.1:9000.so"),
            custom("https://a-very-long-name-of-a-host.superoffice.example:8443/and/a/path"),
            custom("https://a-very-long-name-of-a-host.superoffice.example:8443/and/b/path"),
        ];
        for (n, name) in names.iter().enumerate() {
            assert!(name.len() <= PREFIX, "{name}");
            assert!(
                name.chars().all(|c| c == '_' || c.is_ascii_lowercase() || c.is_ascii_digit()),
                "{name}"
            );
            assert!(!names[..n].contains(name), "{name}");
        }
    }

    #[test]
    fn statements_name_the_tables_of_their_environment() {
        let statements = Statements::new(&Environment::Sod);
        let script = statements.script();
        assert!(script.contains(r#""tower_superoffice_sod_tenants""#), "{script}");
        for statement in [&script, &statements.merge, &statements.changes, &statements.lease] {
            assert!(!statement.contains('@'), "{statement}");
        }
    }
}
