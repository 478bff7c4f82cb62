//! The public API is what `tower-superoffice.txt` says. After a change that is meant, write it anew:
//!
//! ```sh
//! UPDATE_PUBLIC_API=1 cargo test --manifest-path tests/public-api/Cargo.toml
//! ```
//!
//! Features are all on. Implementations of auto traits are left out, which `tests/it/auto_traits.rs` is
//! about, and so are blanket ones and those that are derived.

use std::{collections::BTreeSet, env, fs, path::Path, process::Command};

use public_api::Builder;

#[test]
fn the_public_api_is_the_one_in_git() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let snapshot = here.join("tower-superoffice.txt");
    let target =
        env::var_os("CARGO_TARGET_DIR").map_or_else(|| here.join("../../target"), Into::into);
    let target = target.join("nightly");

    // Started by rustup, cargo would go on with the toolchain that runs this test.
    let mut rustdoc = Command::new("rustup");
    rustdoc.args(["run", "nightly", "cargo", "rustdoc", "--quiet", "--lib", "--all-features"]);
    rustdoc.arg("--manifest-path").arg(here.join("../../Cargo.toml"));
    rustdoc.arg("--target-dir").arg(&target);
    rustdoc.args([
        "--",
        "-Z",
        "unstable-options",
        "--output-format",
        "json",
        "--cap-lints",
        "allow",
    ]);
    rustdoc.env_remove("RUSTUP_TOOLCHAIN").env_remove("CARGO").env_remove("RUSTC");
    let status = rustdoc.status().expect("rustup is needed, and its toolchain nightly");
    assert!(status.success(), "rustdoc failed");

    let api = Builder::from_rustdoc_json(target.join("doc/tower_superoffice.json"))
        .omit_auto_trait_impls(true)
        .omit_auto_derived_impls(true)
        .omit_blanket_impls(true)
        .build()
        .expect("rustdoc's JSON can be read: else update the dependency public-api");
    let mut now: Vec<String> = api.items().map(ToString::to_string).collect();
    now.dedup();
    if env::var_os("UPDATE_PUBLIC_API").is_some() {
        fs::write(&snapshot, now.join("\n") + "\n").unwrap();
        return;
    }

    let before = fs::read_to_string(&snapshot).unwrap();
    let (before, now): (BTreeSet<&str>, BTreeSet<&str>) =
        (before.lines().collect(), now.iter().map(String::as_str).collect());
    let gone = before.difference(&now).map(|item| format!("- {item}\n"));
    let new = now.difference(&before).map(|item| format!("+ {item}\n"));
    let changes: String = gone.chain(new).collect();
    assert!(
        changes.is_empty(),
        "the public API has changed; if that is meant, set UPDATE_PUBLIC_API:\n{changes}"
    );
}
