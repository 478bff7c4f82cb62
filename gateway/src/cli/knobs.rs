//! The builder's methods, and the flag that each has, or why it has none.

use std::fs;

use clap::CommandFactory;

use super::Args;

enum Knob {
    Flag(&'static str),
    /// No flag, for this reason.
    None(&'static str),
}

use Knob::Flag;

const KNOBS: &[(&str, Knob)] = &[
    ("any_audience", Flag("any-audience")),
    ("audience", Flag("audience")),
    ("body_deadline", Knob::None("the time that draining takes counts on the default")),
    ("body_limit", Knob::None("SuperOffice's notifications have a tenth of the default")),
    ("build", Knob::None("ends the chain")),
    ("client", Knob::None("is Rust code")),
    ("clock", Knob::None("is Rust code")),
    ("close_tracked_until_known", Flag("hold-tracked")),
    ("event_capacity", Flag("event-capacity")),
    ("extra_roots", Flag("ca-file")),
    ("issuer", Flag("issuer")),
    ("key_file", Knob::None("--certificate and --jwks read their files through signing_keys")),
    ("key_max_age", Flag("key-max-age")),
    ("key_url", Flag("key-url")),
    ("leeway", Flag("leeway")),
    ("login_tokens", Flag("login-tokens")),
    ("native_roots", Knob::None("--ca-file names any authority")),
    ("notification_path", Flag("notification-path")),
    ("proxy_from_env", Knob::None("calls to tenants would not pass the proxy")),
    ("resume_jitter", Flag("resume-jitter")),
    ("schedule", Flag("pulls-per-second")),
    ("settle", Flag("settle")),
    ("signing_keys", Flag("jwks")),
    ("start_without_store", Flag("start-without-store")),
    ("state_api", Flag("state-api")),
    ("store", Flag("store")),
    ("store_timeout", Knob::None("the time that draining takes counts on the default")),
    ("tenant_labels", Flag("tenant-labels")),
    ("upgrade_settle", Flag("upgrade-settle")),
];

fn read(file: &str) -> String {
    fs::read_to_string(format!("{}/{file}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn every_method_of_the_builder_has_a_flag_or_a_reason() {
    let api = read("../public-api.txt");
    let methods: Vec<_> = (api.lines())
        .filter_map(|line| line.split_once("fn tower_superoffice::TenantGateBuilder::"))
        .filter_map(|(_, method)| method.split(['(', '<']).next())
        .filter(|method| *method != "fmt")
        .collect();
    assert!(methods.len() > 20, "{methods:?}");
    for method in &methods {
        assert!(KNOBS.iter().any(|(name, _)| name == method), "{method} is in no row");
    }
    let command = Args::command();
    for (name, knob) in KNOBS {
        assert!(methods.contains(name), "the builder has no {name}");
        match knob {
            Flag(flag) => {
                let known = command.get_arguments().any(|known| known.get_long() == Some(flag));
                assert!(known, "{name}: there is no --{flag}");
            }
            Knob::None(reason) => assert!(!reason.is_empty(), "{name}"),
        }
    }
}

#[test]
fn every_flag_is_in_the_readme() {
    let readme = read("README.md");
    for argument in Args::command().get_arguments() {
        let flag = argument.get_long().unwrap();
        let is_named = readme.split(&format!("--{flag}")).skip(1).any(|rest| {
            !rest.starts_with(|next: char| next == '-' || next.is_ascii_alphanumeric())
        });
        assert!(is_named, "--{flag}");
    }
}
