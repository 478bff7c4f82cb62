//! The URL of the store, parsed.

use redis::{ConnectionAddr, ConnectionInfo, RedisConnectionInfo};

use super::{
    endpoint::{Host, Place},
    sentinel::Sentinels,
};
use crate::store::StoreError;

/// The parts of a store's URL.
pub(super) struct StoreUrl {
    /// The URL without user and password, for logs and errors.
    pub(super) name: String,
    pub(super) login: RedisConnectionInfo,
    pub(super) place: Place,
    pub(super) tls: bool,
}

/// The port of a Sentinel whose URL gives none.
const SENTINEL_PORT: u16 = 26379;

impl StoreUrl {
    /// Parses a URL. No error quotes it: it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self, StoreError> {
        let (scheme, rest) = url.split_once("://").ok_or_else(invalid)?;
        match scheme {
            "redis" => server(scheme, rest, false),
            "rediss" => server(scheme, rest, true),
            "redis+sentinel" => sentinels(scheme, rest, false),
            "rediss+sentinel" => sentinels(scheme, rest, true),
            #[cfg(unix)]
            "redis+unix" => unix(rest),
            _ => None,
        }
        .ok_or_else(invalid)
    }
}

fn invalid() -> StoreError {
    StoreError::misconfigured(
        "invalid URL of the Redis store: write redis://[USER:PASSWORD@]HOST[:PORT][/DATABASE], \
         redis+sentinel://[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/SERVICE[/DATABASE], or \
         redis+unix:///PATH[?db=DATABASE]; rediss:// and rediss+sentinel:// for TLS",
    )
}

fn server(scheme: &str, rest: &str, tls: bool) -> Option<StoreUrl> {
    let (host, login) = parse_server(rest)?;
    let name = format!("{scheme}://{host}/{}", login.db());
    Some(StoreUrl { name, login, place: Place::Server(host), tls })
}

#[cfg(unix)]
fn unix(rest: &str) -> Option<StoreUrl> {
    // A host or a login in the place of one would be taken for the beginning of the path.
    let info: ConnectionInfo =
        rest.starts_with('/').then(|| format!("redis+unix://{rest}"))?.parse().ok()?;
    let ConnectionAddr::Unix(path) = info.addr().clone() else { return None };
    let login = login(&info);
    let name = format!("redis+unix://{}?db={}", path.display(), login.db());
    Some(StoreUrl { name, login, place: Place::Unix(path), tls: false })
}

/// Parses `[USER:PASSWORD@]HOST[:PORT][,HOST[:PORT]...]/SERVICE[/DATABASE]`, and a query with the
/// login at the Sentinels.
fn sentinels(scheme: &str, rest: &str, tls: bool) -> Option<StoreUrl> {
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/')?;
    let (user, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (service, database) = path.split_once('/').unwrap_or((path, ""));
    // The characters that Redis allows in its name.
    let valid = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if user.contains('@') || service.is_empty() || !service.bytes().all(valid) {
        return None;
    }
    let hosts: Vec<Host> = hosts.split(',').map(parse_sentinel).collect::<Option<_>>()?;
    let (_, login) = parse_server(&format!("{user}@sentinel/{database}"))?;
    let (mut sentinel_user, mut sentinel_password) = ("", "");
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        match pair.split_once('=')? {
            ("sentinel_username", value) => sentinel_user = value,
            ("sentinel_password", value) => sentinel_password = value,
            _ => return None,
        }
    }
    let login_of_sentinels = format!("{sentinel_user}:{sentinel_password}@sentinel");
    let (_, sentinel_login) = parse_server(&login_of_sentinels)?;
    let shown: Vec<_> = hosts.iter().map(ToString::to_string).collect();
    let name = format!("{scheme}://{}/{service}/{}", shown.join(","), login.db());
    let sentinels = Sentinels { hosts, service: service.to_owned(), login: sentinel_login };
    Some(StoreUrl { name, login, place: Place::Sentinels(sentinels), tls })
}

fn parse_sentinel(host: &str) -> Option<Host> {
    let after_brackets = host.rsplit(']').next()?;
    let with_port = after_brackets.contains(':');
    let (host, _) = parse_server(host).filter(|_| !host.contains(['@', '/', '?', '#']))?;
    Some(if with_port { host } else { Host { port: SENTINEL_PORT, ..host } })
}

/// Parses `[USER:PASSWORD@]HOST[:PORT][/DATABASE]`.
fn parse_server(rest: &str) -> Option<(Host, RedisConnectionInfo)> {
    let info: ConnectionInfo = format!("redis://{rest}").parse().ok()?;
    let ConnectionAddr::Tcp(name, port) = info.addr().clone() else { return None };
    Some((Host { name, port }, login(&info)))
}

fn login(info: &ConnectionInfo) -> RedisConnectionInfo {
    // The library would send its own name, with a command of Redis 7.2.
    info.redis_settings().clone().set_skip_set_lib_name()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_has_no_credentials() {
        for (url, name) in [
            ("redis://127.0.0.1", "redis://127.0.0.1:6379/0"),
            ("redis://user:secret@[::1]:7000/3", "redis://[::1]:7000/3"),
            ("rediss://:se%2fcret@redis.example:7000", "rediss://redis.example:7000/0"),
            (
                "redis+sentinel://user:secret@a.example,[::1]:7000,10.0.0.1/primary/2?sentinel_password=secret",
                "redis+sentinel://a.example:26379,[::1]:7000,10.0.0.1:26379/primary/2",
            ),
            (
                "rediss+sentinel://a.example/my.pri-m_1",
                "rediss+sentinel://a.example:26379/my.pri-m_1/0",
            ),
            #[cfg(unix)]
            (
                "redis+unix:///run/redis.sock?db=3&user=gate&pass=secret",
                "redis+unix:///run/redis.sock?db=3",
            ),
        ] {
            let parsed = StoreUrl::parse(url).unwrap();
            assert_eq!(parsed.name, name);
            assert_eq!(parsed.tls, url.starts_with("rediss"));
        }
    }

    #[test]
    fn logins_of_server_and_sentinels_are_kept_apart() {
        let both =
            "redis+sentinel://user:se%2Fcret@h/s?sentinel_username=su&sentinel_password=p%40";
        for url in ["redis://user:se%2Fcret@h", both] {
            let login = StoreUrl::parse(url).unwrap().login;
            assert_eq!((login.username(), login.password()), (Some("user"), Some("se/cret")));
        }
        let Place::Sentinels(sentinels) = StoreUrl::parse(both).unwrap().place else { panic!() };
        let login = sentinels.login;
        assert_eq!((login.username(), login.password()), (Some("su"), Some("p@")));
        let without = StoreUrl::parse("redis+sentinel://:secret@h/s").unwrap();
        let Place::Sentinels(sentinels) = without.place else { panic!() };
        assert_eq!((sentinels.login.username(), sentinels.login.password()), (None, None));
    }

    #[test]
    fn invalid_url_is_refused_without_quoting_it() {
        for url in [
            "",
            "localhost",
            "http://secret@host",
            "redis://",
            "redis://user:secret@host/database",
            "redis://user:secret@host:port",
            "redis://user:secret@0.0.0.0",
            "redis+unix://user:secret@/path",
            "redis+unix://secret",
            "redis+unix:///path?db=secret",
            "redis+sentinel://user:secret@host",
            "redis+sentinel://user:secret@host/",
            "redis+sentinel://user:secret@/service",
            "redis+sentinel://user:secret@host,/service",
            "redis+sentinel://secret@a,secret@b/service",
            "redis+sentinel://user:secret@host/service/database",
            "redis+sentinel://user:secret@host/ser vice",
            "redis+sentinel://user:secret@host/service?password=secret",
            "redis+sentinel://user:secret@host/service?sentinel_password",
        ] {
            let error = StoreUrl::parse(url).err().expect(url);
            assert!(error.is_misconfigured(), "{error:?}");
            assert!(!format!("{error:?} {error}").contains("secret"), "{error:?}");
        }
    }
}
