//! The guard's decision for hostile requests, against the exact reading and the gate's own word.

use std::{cell::Cell, convert::Infallible};

use harness::amount;
use http::{Request, Uri};
use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use tower::{Layer, Service, service_fn};
use tower_superoffice::{Environment, TenantGate, TenantId, fuzzing};

/// Tenants that may be closed, of every length that the guard reads differently.
const TENANTS: [&str; 10] = [
    "Cust1",
    "Cust12345",
    "Cust-12_",
    "a",
    "api",
    "state",
    "Cust1234567",
    "Cust12345678901",
    "Cust123456789012",
    "Cust123456789012345678901234567890",
];
const HOSTS: [&str; 5] = [
    "online3.superoffice.com",
    "ONLINE3.superoffice.com.:443",
    "user@online.superoffice.com",
    "sod3.superoffice.com",
    "example.com",
];

/// A tenant of the list, or a neighbour, spelled in one of many ways.
fn segment() -> impl Strategy<Value = String> {
    let escaped = |byte: char, how: u8| match how {
        0 => format!("%{:02x}", byte as u32),
        1 => format!("%u{:04X}", byte as u32),
        2 => byte.to_ascii_uppercase().to_string(),
        _ => byte.to_string(),
    };
    let spelled = (prop::sample::select(&TENANTS[..]), prop::collection::vec(0_u8..24, 40))
        .prop_map(move |(id, how)| {
            id.chars().zip(how).map(|(byte, how)| escaped(byte, how)).collect()
        });
    let odd = prop::sample::select(
        &["", ".", "..", "%2e%2E", "login", "api", "x.svc", "%5c", "Cust1.", "Cust1%20", "!", "~"]
            [..],
    );
    prop_oneof![6 => spelled, 3 => "[A-Za-z0-9_-]{1,20}", 3 => odd.prop_map(str::to_owned)]
}

fn path() -> impl Strategy<Value = String> {
    let separator = prop::sample::select(&["/", "/", "/", "//", "%2f", "\\", "%5C", "%u002f"][..]);
    let rest = prop::collection::vec((separator.clone(), segment()), 0..6);
    let tail =
        prop::sample::select(&["", "/api/v1/Contact/12345/Persons", "/", "?a=/../Cust1"][..]);
    (segment(), rest, tail).prop_map(|(first, rest, tail)| {
        let rest: String =
            rest.into_iter().flat_map(|(separator, text)| [separator.to_owned(), text]).collect();
        format!("/{first}{rest}{tail}")
    })
}

/// Whether a caller of the gate would refuse the request, one step after the other.
fn is_due(gate: &TenantGate, request: &Request<()>, hosts: &Environment) -> bool {
    let uri = request.uri();
    let host = uri.host().unwrap_or_default();
    let of_url = fuzzing::exact_tenant(uri.path()).filter(|_| hosts.is_tenant_host(host));
    let of_extensions = request.extensions().get::<TenantId>().cloned();
    [of_url, of_extensions].into_iter().flatten().any(|tenant| gate.check(&tenant).is_err())
}

#[tokio::test]
async fn guard_decides_hostile_requests_as_the_exact_reading() {
    let environment = Environment::Production;
    let gate = TenantGate::builder(environment.clone()).any_audience().build().await.unwrap();
    let guard =
        gate.guard_layer().layer(service_fn(async |_: Request<()>| Ok::<_, Infallible>(())));
    let (refused, passed) = (Cell::new(0), Cell::new(0));
    // Each set of closed tenants in turn, so that the index is read in every state.
    for round in 0..8_usize {
        for (place, id) in TENANTS.iter().enumerate() {
            let tenant = TenantId::new(id).unwrap();
            match (place + round) % 3 {
                0 => gate.close(&tenant, "").await.unwrap(),
                _ => gate.release(&tenant, "").await.unwrap(),
            }
        }
        let cases = u32::try_from(amount("CASES", 16_000, 100_000) / 8).unwrap();
        let mut runner =
            TestRunner::new(Config { cases, failure_persistence: None, ..Config::default() });
        let extension = prop::option::weighted(0.2, prop::sample::select(&TENANTS[..]));
        let request = (prop::sample::select(&HOSTS[..]), path(), extension);
        runner
            .run(&request, |(host, path, extension)| {
                let Ok(uri) = Uri::try_from(format!("https://{host}{path}")) else { return Ok(()) };
                let mut request = Request::get(uri).body(()).unwrap();
                if let Some(id) = extension {
                    request.extensions_mut().insert(TenantId::new(id).unwrap());
                }
                request.extensions_mut().insert("of another layer");
                let due = is_due(&gate, &request, &environment);
                let uri = request.uri().clone();
                let decided = futures::executor::block_on(guard.clone().call(request)).is_err();
                prop_assert_eq!(decided, due, "{}", uri);
                let counted = if due { &refused } else { &passed };
                counted.set(counted.get() + 1);
                Ok(())
            })
            .unwrap();
    }
    let (refused, passed) = (refused.get(), passed.get());
    assert!(refused > 500 && passed > 500, "{refused} refused, {passed} passed");
}
