//! Tenant hosts, and what a custom environment is made of.

use super::*;

fn custom(base: &str) -> Environment {
    Environment::custom(base.parse().unwrap())
}

#[test]
fn tenant_hosts_are_below_superoffice_com() {
    for host in [
        "SOD2.SuperOffice.com",
        "app-stage.superoffice.com",
        "online.superoffice.com",
        "a.b.superoffice.com.",
        "sods.superoffice.com",
        "x.sod.superoffice.com",
    ] {
        assert!(Environment::Production.is_tenant_host(host), "{host}");
    }
    for host in [
        "superoffice.com",
        "SuperOffice.com.",
        ".superoffice.com",
        "evilsuperoffice.com",
        "superoffice.com.evil.org",
        "superoffice.co",
        "",
        ".",
        "superoffice.com..",
        "\u{e9}uperoffice.com",
    ] {
        assert!(!Environment::Production.is_tenant_host(host), "{host}");
    }
}

#[test]
fn own_host_is_a_tenant_host_of_no_other_environment() {
    for own in BUILT_IN {
        for host in [own.origin_host().to_owned(), own.origin_host().to_uppercase() + "."] {
            for environment in BUILT_IN {
                assert_eq!(environment.is_tenant_host(&host), environment == own, "{host}");
            }
        }
    }
}

#[test]
fn custom_base_is_normalised() {
    for (base, origin, name) in [
        ("http://localhost:9000/so/", "http://localhost:9000/so", "localhost:9000/so"),
        ("HTTP://LOCALHOST:80", "http://localhost", "localhost"),
        ("https://So.Example.:443/", "https://so.example", "so.example"),
        ("https://so.example:80", "https://so.example:80", "so.example:80"),
        ("https://[0:0::1]/", "https://[::1]", "[::1]"),
        ("https://sod.example/Sod", "https://sod.example/Sod", "sod.example/Sod"),
    ] {
        let environment = custom(base);
        assert_eq!(environment.fault(), None, "{base}");
        assert_eq!(environment.origin(), origin);
        assert_eq!(environment.name(), name);
        assert_eq!(environment.issuers()[0], origin);
        assert_eq!(environment.key_url().to_string(), format!("{origin}/login/.well-known/jwks"));
    }
    assert_eq!(custom("https://SO.example.:443"), custom("https://so.example"));
}

#[test]
fn unusable_custom_base_is_refused_and_serves_nothing() {
    for (base, ok) in [
        ("http://127.0.0.1:1", true),
        ("http://127.9.9.9", true),
        ("http://[::1]:8", true),
        ("http://LOCALHOST", true),
        ("http://10.0.0.1", false),
        ("http://127.0.0.1.evil.org", false),
        ("https://10.0.0.1", true),
        ("https://me@so.example", false),
        ("https://so.example?x", false),
        ("https://so.example:0", false),
        ("https://so..example", false),
        ("ftp://localhost", false),
        ("/only/a/path", false),
        // The names of built-in environments, and their hosts.
        ("https://sod", false),
        ("https://STAGE.:443/", false),
        ("https://production", false),
        ("https://production/so", true),
        ("https://sod.superoffice.com", false),
        ("https://Online.SuperOffice.com.:443/x", false),
        ("https://superoffice.com", false),
        ("https://online3.superoffice.com", true),
    ] {
        let environment = custom(base);
        assert_eq!(environment.fault().is_none(), ok, "{base}");
        let host = base.parse::<Uri>().unwrap().host().unwrap_or_default().to_owned();
        assert_eq!(environment.is_tenant_host(&host), ok, "{base}");
    }
}

#[test]
fn unusable_tenant_host_is_refused() {
    let fault = |hosts: &[&str]| {
        let base = Uri::from_static("https://so.example");
        Environment::custom_with_hosts(base, hosts.iter().copied()).fault()
    };
    assert_eq!(fault(&["a.example", "A.example.:8443", "[::1]:9", "127.0.0.1"]), None);
    assert!(fault(&[]).unwrap().contains("no tenant host"));
    assert!(fault(&["*.example"]).unwrap().contains("wildcard"));
    for host in ["", "a:", "a:0", "a:x", "a:1:2", "::1", "https://a", "a/b", "me@a", "a b", "a.."] {
        assert!(fault(&["a", host]).unwrap().contains("HOST:PORT"), "{host}");
    }
    for host in ["superoffice.com", "Online.superoffice.com", "sod.superoffice.com:8443"] {
        assert!(fault(&["a", host]).unwrap().contains("Environment::Sod"), "{host}");
    }
}

#[test]
fn named_host_is_matched_in_any_spelling() {
    let base = Uri::from_static("https://so.example");
    let environment = Environment::custom_with_hosts(base, ["A.example.", "[0::1]:9"]);
    for (host, expected) in [
        ("a.EXAMPLE", true),
        ("a.example.", true),
        ("[::1]", true),
        ("[0:0:0:0::1]", true),
        ("so.example", false),
        ("b.a.example", false),
        ("::1", false),
    ] {
        assert_eq!(environment.is_tenant_host(host), expected, "{host}");
    }
}
