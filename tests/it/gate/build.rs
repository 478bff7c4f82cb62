//! Configuration that is refused.

use std::time::Duration;

use futures::FutureExt;
use tower_superoffice::{BuildError, Environment, TenantGate};

use super::{builder, keys};

#[tokio::test]
async fn invalid_configuration_is_an_error_with_advice() {
    let custom = |base: &str| TenantGate::builder(Environment::custom(base.parse().unwrap()));
    for (builder, said) in [
        (builder(), "no audience"),
        (builder().audience("a").any_audience(), "keep one of them"),
        (builder().audience(" "), "an audience is empty"),
        (builder().any_audience().leeway(Duration::from_secs(301)), "longer than 300 s"),
        (builder().any_audience().notification_path("no/slash"), "absolute path"),
        (builder().any_audience().notification_path("/a?b"), "absolute path"),
        (builder().any_audience().key_url("http://keys.example/".parse().unwrap()), "https URL"),
        (custom("http://so.example").any_audience().signing_keys(keys()), "loopback"),
        (custom("/path").any_audience().signing_keys(keys()), "absolute URL"),
        (custom("https://production").any_audience().signing_keys(keys()), "host name with a dot"),
        (custom("https://sod.superoffice.com").any_audience().signing_keys(keys()), "::Sod"),
    ] {
        let error: BuildError = builder.build().await.expect_err(said);
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn build_outside_a_runtime_is_an_error() {
    let built = builder().any_audience().build().now_or_never().unwrap();
    assert!(matches!(built, Err(BuildError::NoRuntime)));
}
