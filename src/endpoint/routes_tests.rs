//! Tests of putting and finding routes on one thread; `tests/model` has the orders of several.

use super::routes::{Route, Routes};

const fn route(origin: u8) -> Route {
    Route { origin, version: 1_000 + origin as u32, until: 2_000 + origin as u32 }
}

#[test]
fn route_is_found_by_hash_and_exact_spelling() {
    let routes = Routes::<16>::new();
    assert_eq!(routes.get(3, "Cust12345"), None);
    routes.put(3, "Cust12345", route(7));
    assert_eq!(routes.get(3, "Cust12345"), Some(route(7)));
    assert_eq!(routes.get(3 + 16, "Cust12345"), Some(route(7)));
    for other in ["cust12345", "Cust12346", "Cust1234", "Cust123455", "Cust12345\0", "x"] {
        assert_eq!(routes.get(3, other), None, "{other:?}");
    }
    assert_eq!(routes.get(4, "Cust12345"), None);
}

#[test]
fn later_route_takes_the_place() {
    let routes = Routes::<2>::new();
    routes.put(0, "Cust12345", route(1));
    routes.put(0, "Cust12345", route(2));
    routes.put(2, "ATenantId16Chars", route(u8::MAX));
    assert_eq!(routes.get(0, "Cust12345"), Some(route(2)));
    assert_eq!(routes.get(2, "ATenantId16Chars"), Some(route(u8::MAX)));
    routes.put(4, "Cust98765", route(3));
    assert_eq!(routes.get(0, "Cust12345"), None);
    assert_eq!(routes.get(2, "ATenantId16Chars"), Some(route(u8::MAX)));
    assert_eq!(routes.get(4, "Cust98765"), Some(route(3)));
}

#[test]
fn short_and_long_ids_are_left_out() {
    let routes = Routes::<1>::new();
    for id in ["", "api", "login", "Cust123", "ATenantIdOf17Char", &"a".repeat(300)] {
        routes.put(0, id, route(1));
        assert_eq!(routes.get(0, id), None, "{id}");
    }
}
