//! Converts errors of Redis into those of a store, with advice for the operator.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::store::StoreError;

/// Converts `error`. `name` is the store's name, for the message.
pub(super) fn store_error(name: &str, error: RedisError) -> StoreError {
    let made = match (error.kind(), code(&error)) {
        (ErrorKind::AuthenticationFailed, _) | (_, Some("NOAUTH" | "WRONGPASS")) => {
            StoreError::misconfigured(format!(
                "{name} refuses the login: check the user and password in its URL"
            ))
        }
        (_, Some("NOPERM")) => StoreError::misconfigured(format!(
            "{name} forbids a command or key: allow the user those in the documentation of RedisStore"
        )),
        (ErrorKind::Server(ServerErrorKind::Moved | ServerErrorKind::Ask), _) => {
            let node = error.redirect_node().map_or("another node", |(node, _)| node);
            StoreError::misconfigured(format!(
                "{name} is a node of a cluster that keeps this data on {node}: give the URL of that node, or of a proxy"
            ))
        }
        (_, Some("WRONGTYPE")) => StoreError::corrupt(format!(
            "{name} holds something else under the store's key: move it away, or use another database"
        )),
        (_, Some("READONLY" | "MASTERDOWN")) => replica(name),
        (_, Some("LOADING")) => {
            StoreError::unavailable(format!("{name} is still loading its data: wait"))
        }
        (_, Some("OOM")) => StoreError::unavailable(format!(
            "{name} is out of memory: raise its maxmemory, and set maxmemory-policy to noeviction"
        )),
        (_, Some("MISCONF")) => StoreError::unavailable(format!(
            "{name} can't save its data and refuses writes: check its disk"
        )),
        (_, Some("NOREPLICAS")) => StoreError::unavailable(format!(
            "{name} has too few replicas and refuses writes: check them, and its min-replicas-to-write"
        )),
        _ if error.is_timeout() => late(name),
        (ErrorKind::Io, _) => unreachable_server(name),
        _ => StoreError::unavailable(format!("{name} failed: see its log")),
    };
    made.caused_by(error)
}

/// Returns the error of a server that is a replica.
pub(super) fn replica(name: &str) -> StoreError {
    StoreError::unavailable(format!(
        "{name} is a replica that can't be written: give the URL of the primary, or of its Sentinels"
    ))
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

/// Returns the code of a server's error.
///
/// Before Redis 7 the error of a script has the code `ERR`, and that of its command is in the text:
/// `ERR Error running script (call to f_..): @user_script:9: @user_script: 9: -OOM command ..`.
pub(super) fn code(error: &RedisError) -> Option<&str> {
    match (error.code(), error.detail()) {
        (Some("ERR"), Some(text)) => Some(code_in_script(text).unwrap_or("ERR")),
        (code, _) => code,
    }
}

fn code_in_script(text: &str) -> Option<&str> {
    // The same text in all versions, and a code in none.
    if text.contains("The user executing the script can't") {
        return Some("NOPERM");
    }
    let (_, last) = text.rsplit_once("@user_script:")?;
    let (_line, message) = last.split_once(": ")?;
    let code = message.strip_prefix('-').unwrap_or(message).split(' ').next()?;
    let is_code = code.len() > 2 && code.bytes().all(|byte| byte.is_ascii_uppercase());
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_in_a_script_has_the_code_of_its_command() {
        const CALL: &str =
            "Error running script (call to f_9b5392298490cbd7955ec51802fb5928e415a02d): ";
        for (text, code) in [
            ("@user_script:9: @user_script: 9: -READONLY You can't write", Some("READONLY")),
            ("@user_script:9: @user_script: 9: -OOM command not allowed", Some("OOM")),
            ("@user_script:1: WRONGTYPE Operation against a key", Some("WRONGTYPE")),
            (
                "@user_script:1: @user_script: 1: The user executing the script can't run this command or subcommand",
                Some("NOPERM"),
            ),
            ("@user_script:1: attempt to index a nil value", None),
            ("@user_script:1: A bad argument", None),
            ("@user_script", None),
            ("", None),
        ] {
            assert_eq!(code_in_script(&format!("{CALL}{text}")), code, "{text}");
        }
        // As Redis 7 has it.
        let text = "The user executing the script can't publish to the channel mentioned in the command script: 212, on @user_script:1.";
        assert_eq!(code_in_script(text), Some("NOPERM"));
    }
}
