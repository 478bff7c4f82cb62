//! A call finds a route as it was remembered, or none.

use std::sync::Arc;

use loom::thread;

use super::cache::{Route, Routes};

/// All tenants share one place.
type One = Routes<1>;

/// A route of the tenant with this number: all its parts are that number.
fn route(number: u8) -> Route {
    Route { origin: number, version: number.into(), until: number.into() }
}

fn put(routes: &One, number: u8) {
    routes.put(0, id(number), route(number));
}

/// Asserts that whatever is found of a tenant is its own.
fn find(routes: &One, number: u8) {
    let found = routes.get(0, id(number));
    assert!(found.is_none_or(|found| found == route(number)), "{number}: {found:?}");
}

/// Ids that differ at both ends.
fn id(number: u8) -> &'static str {
    match number {
        0 => "0ustomer___0",
        1 => "1ustomer___1",
        _ => "2ustomer___2",
    }
}

fn model(test: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(harness::amount("MODEL_PREEMPTIONS", 2, 3));
    builder.check(test);
}

#[test]
fn route_is_whole_while_another_takes_its_place() {
    model(|| {
        let routes = Arc::new(One::new());
        put(&routes, 0);
        let writer = Arc::clone(&routes);
        let writer = thread::spawn(move || put(&writer, 1));
        find(&routes, 0);
        find(&routes, 1);
        writer.join().unwrap();
        assert_eq!(routes.get(0, id(1)), Some(route(1)));
    });
}

#[test]
fn route_is_whole_while_two_take_its_place() {
    model(|| {
        let routes = Arc::new(One::new());
        put(&routes, 0);
        let writer = Arc::clone(&routes);
        let writer = thread::spawn(move || put(&writer, 1));
        put(&routes, 2);
        find(&routes, 1);
        writer.join().unwrap();
        (0..3).for_each(|number| find(&routes, number));
        // The later one may have left its place to the other.
        assert!((1..3).any(|number| routes.get(0, id(number)).is_some()));
    });
}
