//! The URL of a PostgreSQL server, completed from the variables that PostgreSQL's own programs
//! read.

use std::fs;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::BoxError;

/// Names the file that the password is in, where `PGPASSWORD` is not set.
const PASSWORD_FILE: &str = "PGPASSWORD_FILE";

/// Completes `url` with what it leaves out: user, password, host, port, database and `sslmode`,
/// from `PGUSER`, `PGPASSWORD` or the file that `PGPASSWORD_FILE` names, `PGHOST`, `PGPORT`,
/// `PGDATABASE` and `PGSSLMODE`.
///
/// # Errors
///
/// When the file can't be read. No error quotes the URL.
pub(super) fn complete(
    url: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<String, BoxError> {
    let set = |name| variable(name).filter(|value| !value.is_empty());
    let (scheme, rest) = url.split_once("://").unwrap_or(("postgres", url));
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let or = |given: &str, name| match given {
        "" => set(name).map(|value| encode(&value)).unwrap_or_default(),
        given => given.to_owned(),
    };
    let password = match or(password, "PGPASSWORD") {
        none if none.is_empty() => match set(PASSWORD_FILE) {
            None => none,
            Some(file) => {
                let read = fs::read_to_string(&file);
                let read = read.map_err(|error| format!("{PASSWORD_FILE}: {file}: {error}"))?;
                encode(read.trim_end_matches(['\r', '\n']))
            }
        },
        given => given,
    };
    let user = or(user, "PGUSER");
    let hosts = match hosts {
        "" => with_port(or("", "PGHOST"), set("PGPORT")),
        hosts => with_port(hosts.to_owned(), set("PGPORT")),
    };
    let database = or(database, "PGDATABASE");
    let mut complete = format!("{scheme}://");
    if !user.is_empty() || !password.is_empty() {
        complete.push_str(&user);
        if !password.is_empty() {
            complete.push(':');
            complete.push_str(&password);
        }
        complete.push('@');
    }
    complete.push_str(&hosts);
    if !database.is_empty() {
        complete.push('/');
        complete.push_str(&database);
    }
    let mode = set("PGSSLMODE").filter(|_| !query.contains("sslmode="));
    let mode = mode.map(|mode| format!("sslmode={}", encode(&mode)));
    let query: Vec<_> =
        [query.to_owned()].into_iter().filter(|q| !q.is_empty()).chain(mode).collect();
    if !query.is_empty() {
        complete.push('?');
        complete.push_str(&query.join("&"));
    }
    Ok(complete)
}

fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// Adds the port to one host without one.
fn with_port(host: String, port: Option<String>) -> String {
    let after_brackets = host.rsplit(']').next().unwrap_or_default();
    match port {
        Some(port) if !host.is_empty() && !host.contains(',') && !after_brackets.contains(':') => {
            format!("{host}:{port}")
        }
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_url_leaves_out_comes_from_the_variables() {
        let variables = |name: &str| {
            let value = match name {
                "PGUSER" => "gate",
                "PGPASSWORD" => "se/cret",
                "PGHOST" => "/run/postgresql",
                "PGPORT" => "6000",
                "PGDATABASE" => "app",
                "PGSSLMODE" => "require",
                _ => return None,
            };
            Some(value.to_owned())
        };
        for (url, expected) in [
            (
                "postgres://",
                "postgres://gate:se%2Fcret@%2Frun%2Fpostgresql:6000/app?sslmode=require",
            ),
            ("postgres://u:p@h:1/d?sslmode=disable", "postgres://u:p@h:1/d?sslmode=disable"),
            ("postgresql://u@h", "postgresql://u:se%2Fcret@h:6000/app?sslmode=require"),
            (
                "postgres://u:p@a,b:1/d?options=x",
                "postgres://u:p@a,b:1/d?options=x&sslmode=require",
            ),
            ("postgres://u:p@[::1]/d", "postgres://u:p@[::1]:6000/d?sslmode=require"),
        ] {
            assert_eq!(complete(url, variables).unwrap(), expected);
            let alone = complete(url, |_| None).unwrap();
            assert_eq!(alone, url, "nothing is added of itself");
        }
    }

    #[test]
    fn password_comes_from_a_file() {
        let file = std::env::temp_dir().join(format!("pgpassword-{}", std::process::id()));
        fs::write(&file, "se@cret\n").unwrap();
        let variable = |name: &str| (name == PASSWORD_FILE).then(|| file.display().to_string());
        let complete = complete("postgres://u@h/d", variable).unwrap();
        fs::remove_file(&file).unwrap();
        assert_eq!(complete, "postgres://u:se%40cret@h/d");
        let missing = super::complete("postgres://u@h/d", variable).unwrap_err();
        assert!(missing.to_string().starts_with(PASSWORD_FILE), "{missing}");
    }
}
