//! Converts errors of Redis into those of a store, with advice for the operator.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

/// Converts `error`. `name` is the store's name, for the message.
pub(super) fn store_error(name: &str, error: RedisError) -> StoreError {
    let made = match (error.kind(), error.code()) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => {
            StoreError::misconfigured(format!(
                "{name} refuses the login: check the user and password in its URL"
            ))
        }
        (_, Some("NOPERM")) => forbidden(name),
        // The error of a script whose user may not run one of its commands.
        (ErrorKind::Server(_) | ErrorKind::Extension, _) if says_forbidden(&error) => {
            forbidden(name)
        }
        (ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask), _) => {
            let node = error.redirect_node().map_or("another node", |(node, _)| node);
            StoreError::misconfigured(format!(
                "{name} is a node of a cluster that keeps this data on {node}: give the URL of that node, or of a proxy"
            ))
        }
        (_, Some("WRONGTYPE")) => StoreError::corrupt(format!(
            "{name} holds something else under the store's key: move it away, or use another database"
        )),
        (ErrorKind::Server(ServerErrorKind::ReadOnly), _) => StoreError::unavailable(format!(
            "{name} is a replica that can't be written: give the URL of the primary"
        )),
        (ErrorKind::Server(ServerErrorKind::BusyLoading), _) => {
            StoreError::unavailable(format!("{name} is still loading its data: wait"))
        }
        (_, Some("OOM")) => StoreError::unavailable(format!(
            "{name} is out of memory: raise its maxmemory, and set maxmemory-policy to noeviction"
        )),
        (_, Some("MISCONF")) => StoreError::unavailable(format!(
            "{name} can't save its data and refuses writes: check its disk"
        )),
        _ if error.is_timeout() => late(name),
        (ErrorKind::Io, _) => unreachable_server(name),
        _ => StoreError::unavailable(format!("{name} failed: see its log")),
    };
    made.caused_by(error)
}

fn forbidden(name: &str) -> StoreError {
    StoreError::misconfigured(format!(
        "{name} forbids a command or key: allow the user those in the documentation of RedisStore"
    ))
}

fn says_forbidden(error: &RedisError) -> bool {
    error.to_string().contains("The user executing the script")
}

pub(super) fn late(name: &str) -> StoreError {
    StoreError::unavailable(format!(
        "{name} gave no answer in time: check the server and the network"
    ))
}

pub(super) fn unreachable_server(name: &str) -> StoreError {
    StoreError::unavailable(format!(
        "{name} can't be reached: check the server, the network and the URL"
    ))
}
