//! What a user of `es-runtime` and `es-sqlite` takes into their tree.

use std::collections::BTreeSet;
use std::process::Command;

use serde_json::Value;

const MOST_CRATES: usize = 55;

#[test]
fn the_default_tree_is_small_and_has_one_syn() {
    let args = [
        "tree",
        "--locked",
        "-p",
        "es-runtime",
        "-p",
        "es-sqlite",
        "-e",
        "normal,build",
        "--prefix",
        "none",
    ];
    let tree = cargo(&args);
    // `name vX.Y.Z (path or *)`
    let crates: BTreeSet<_> = tree
        .lines()
        .filter_map(|line| line.split(" (").next())
        .filter(|name| !name.is_empty())
        .collect();
    println!("{} crates", crates.len());
    assert!(
        crates.len() <= MOST_CRATES,
        "{} crates, at most {MOST_CRATES} are allowed: {crates:#?}",
        crates.len()
    );
    assert_eq!(
        crates.iter().filter(|name| name.starts_with("syn v")).count(),
        1,
        "{crates:#?}"
    );
    let is_told = |name: &&str| name.starts_with("metrics");
    assert_eq!(crates.iter().find(|name| is_told(name)), None, "is behind a feature");
}

#[test]
fn no_dependency_needs_a_newer_rust_than_the_workspace_states() {
    let metadata: Value = serde_json::from_str(&cargo(&["metadata", "--locked", "--format-version", "1"])).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours = packages.iter().find(|package| package["name"] == "es-runtime").unwrap();
    let stated = minor(&ours["rust_version"]).expect("the workspace states a rust-version");
    let newer: Vec<_> = packages
        .iter()
        .filter(|package| minor(&package["rust_version"]).is_some_and(|needed| needed > stated))
        .map(|package| {
            format!(
                "{} {} needs Rust {}",
                package["name"], package["version"], package["rust_version"]
            )
        })
        .collect();
    assert!(newer.is_empty(), "the workspace states Rust 1.{stated}, but {newer:#?}");
}

/// The `x` of Rust `1.x`.
fn minor(version: &Value) -> Option<u32> {
    version.as_str()?.split('.').nth(1)?.parse().ok()
}

fn cargo(args: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(args)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "cargo {args:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}
