//! The store in a PostgreSQL database keeps the contract, whatever happens to the server.

mod conformance;

use tower_superoffice::{Environment, store::PostgresStore};

fn open(url: &str) -> PostgresStore {
    PostgresStore::connect(url, &Environment::Production).unwrap()
}
