//! Converts errors of PostgreSQL into those of a store, with advice for the operator.

use std::io;

use tokio_postgres::{Error, error::SqlState};

use crate::store::StoreError;

/// The consequence of a failed statement for its connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// The connection is of use, and another would get the same error.
    Kept,
    /// The statement may be repeated on this connection: another transaction was in the way.
    Repeatable,
    /// The connection has failed, or the server is not the right one any more.
    Lost,
}

pub(super) fn fate(error: &Error) -> Fate {
    let Some(code) = error.code() else { return Fate::Lost };
    match code {
        &SqlState::T_R_SERIALIZATION_FAILURE | &SqlState::T_R_DEADLOCK_DETECTED => Fate::Repeatable,
        // Connecting creates the tables.
        &SqlState::UNDEFINED_TABLE | &SqlState::READ_ONLY_SQL_TRANSACTION => Fate::Lost,
        // The classes of connection failures and of an operator's intervention. A time-out of the
        // server is none.
        code if code == &SqlState::QUERY_CANCELED => Fate::Kept,
        code if code.code().starts_with("08") || code.code().starts_with("57") => Fate::Lost,
        _ => Fate::Kept,
    }
}

/// Converts `error`. `name` is the store's name, for the message.
pub(super) fn store_error(name: &str, error: Error) -> StoreError {
    let made = match error.code() {
        None if is_read_only(&error) => read_only(name),
        None if lacks_password(&error) => {
            StoreError::misconfigured(format!("{name} asks for a password: write it in its URL"))
        }
        None => unreachable_server(name),
        Some(code) => match code {
            &SqlState::INVALID_PASSWORD | &SqlState::INVALID_AUTHORIZATION_SPECIFICATION => {
                StoreError::misconfigured(format!(
                    "{name} refuses the login: check user and password in its URL, and the server's pg_hba.conf; create a missing user with CREATE ROLE .. LOGIN PASSWORD .."
                ))
            }
            &SqlState::INVALID_CATALOG_NAME => StoreError::misconfigured(format!(
                "{name} has no such database: create it with CREATE DATABASE"
            )),
            &SqlState::INVALID_SCHEMA_NAME => StoreError::misconfigured(format!(
                "{name} has no schema that the user may create tables in: create the one that the user's search_path names with CREATE SCHEMA, and GRANT USAGE, CREATE on it to the user"
            )),
            &SqlState::INSUFFICIENT_PRIVILEGE => StoreError::misconfigured(format!(
                "{name} forbids the user its database or a table: GRANT CONNECT on the database to the user, run the script of PostgresStore::script as the owner of the schema, and GRANT SELECT, INSERT, UPDATE, DELETE on its tables to the user"
            )),
            &SqlState::UNDEFINED_COLUMN
            | &SqlState::WRONG_OBJECT_TYPE
            | &SqlState::DATATYPE_MISMATCH => StoreError::foreign(format!(
                "{name} holds something else under the name of a table of the store: move it away, or use another schema"
            )),
            &SqlState::READ_ONLY_SQL_TRANSACTION => read_only(name),
            &SqlState::TOO_MANY_CONNECTIONS => StoreError::unavailable(format!(
                "{name} has too many connections: raise its max_connections, each replica takes two"
            )),
            &SqlState::DISK_FULL => {
                StoreError::unavailable(format!("{name} has no space left: free some"))
            }
            &SqlState::QUERY_CANCELED | &SqlState::LOCK_NOT_AVAILABLE => {
                StoreError::unavailable(format!(
                    "{name} cancelled a statement: look for locks on its tables, and at its statement_timeout"
                ))
            }
            &SqlState::CANNOT_CONNECT_NOW => {
                StoreError::unavailable(format!("{name} is starting or shutting down: wait"))
            }
            code if code.code().starts_with("57") => {
                StoreError::unavailable(format!("{name} was stopped: wait until it is back"))
            }
            _ => StoreError::unavailable(format!("{name} failed: see its log")),
        },
    };
    made.caused_by(error)
}

/// Returns whether connecting failed because the server takes no writes.
fn is_read_only(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    let io = source.and_then(|source| source.downcast_ref::<io::Error>());
    io.is_some_and(|error| error.kind() == io::ErrorKind::PermissionDenied)
}

/// Returns whether the server requires a password and none is configured, which the library
/// detects.
fn lacks_password(error: &Error) -> bool {
    let source = std::error::Error::source(error);
    source.is_some_and(|source| source.to_string() == "password missing")
}

/// Returns the error of a server that takes no writes.
pub(super) fn read_only(name: &str) -> StoreError {
    StoreError::unavailable(format!(
        "{name} takes no writes: name the primary in the URL, or all servers of which one is it"
    ))
}

pub(super) fn late(name: &str) -> StoreError {
    StoreError::unavailable(format!(
        "{name} gave no answer in time: check the server, locks on its tables, and the network"
    ))
}

fn unreachable_server(name: &str) -> StoreError {
    StoreError::unavailable(format!(
        "{name} can't be reached: check the server, the network and the URL"
    ))
}

pub(super) fn newer_version(name: &str, version: i32) -> StoreError {
    StoreError::newer_schema(format!(
        "{name} has tables of version {version}, which a newer version of this program made: upgrade this one"
    ))
}

pub(super) fn incomplete(name: &str) -> StoreError {
    StoreError::unavailable(format!("{name} lacks rows of the store, which are created again"))
}
