//! Over `cargo metadata` and `cargo tree`: the dependency lists are the architecture.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

const FUNCTIONS: [&str; 7] =
    ["ingest", "profile", "journey", "tick", "sender", "feedback", "consent"];

/// Runs cargo in the Cargo workspace and returns what it prints.
fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "cargo {}: {errors}", arguments.join(" "));
    String::from_utf8(output.stdout).unwrap()
}

/// The names of all packages in a package's tree of normal dependencies, itself included.
fn tree(package: &str) -> BTreeSet<String> {
    let text = cargo(&["tree", "-p", package, "-e", "normal", "--prefix", "none", "--locked"]);
    let first_word = |line: &str| line.split(' ').next().map(str::to_owned);
    text.lines().filter(|line| !line.is_empty()).filter_map(first_word).collect()
}

/// The packages of this Cargo workspace, each with what `cargo metadata` says of it.
fn members() -> BTreeMap<String, Value> {
    let text = cargo(&["metadata", "--format-version", "1", "--no-deps", "--locked"]);
    let metadata: Value = serde_json::from_str(&text).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().map(|p| (p["name"].as_str().unwrap().to_owned(), p.clone())).collect()
}

/// A package's direct dependencies that are not for its tests alone.
fn direct(package: &Value) -> BTreeSet<&str> {
    let all = package["dependencies"].as_array().unwrap();
    all.iter().filter(|d| d["kind"] != "dev").map(|d| d["name"].as_str().unwrap()).collect()
}

#[test]
fn the_domain_knows_no_runtime_no_cloud_and_no_dice() {
    let banned = ["tokio", "rand", "getrandom", "fastrand", "hyper", "http", "lambda_runtime"];
    for name in tree("odyssey-domain") {
        let cloud =
            name.starts_with("aws-") || name.starts_with("rand_") || name.contains("lambda");
        assert!(!cloud && !banned.contains(&name.as_str()), "odyssey-domain depends on {name}");
    }
}

#[test]
fn flows_know_no_cloud() {
    for name in tree("odyssey-flows") {
        let cloud = name.starts_with("aws-") || name == "tokio" || name.contains("lambda");
        assert!(!cloud, "odyssey-flows depends on {name}");
    }
}

#[test]
fn only_the_aws_crate_names_the_sdk() {
    for (name, package) in members() {
        let sdk: Vec<&str> = direct(&package)
            .into_iter()
            .filter(|d| d.starts_with("aws-sdk-") || d.starts_with("aws-smithy-"))
            .collect();
        let may = name == "odyssey-aws" || name == "odyssey-tests";
        assert!(may || sdk.is_empty(), "{name} depends on {sdk:?}; only odyssey-aws may");
    }
}

#[test]
fn functions_depend_on_no_function() {
    let members = members();
    for function in FUNCTIONS {
        let package = members.get(function).unwrap_or_else(|| panic!("no package {function}"));
        for dependency in direct(package) {
            let its = FUNCTIONS.contains(&dependency) || dependency == "odyssey-local";
            assert!(!its, "{function} depends on {dependency}");
        }
    }
}

#[test]
fn what_is_deployed_has_neither_twins_nor_a_clock_of_its_own() {
    for function in FUNCTIONS {
        let text = cargo(&["tree", "-p", function, "-e", "normal,features", "--locked"]);
        assert!(!text.contains("local-clock"), "{function} has local-clock by default");
        for twin in ["odyssey-testkit", "odyssey-local", "dynoxide-rs"] {
            assert!(!tree(function).contains(twin), "{function} ships {twin}");
        }
    }
    for (name, package) in members() {
        let default = package["features"]["default"].to_string();
        assert!(!default.contains("local-clock"), "{name} has local-clock by default");
    }
}

/// A time zone database of the host's would make decisions depend on the host.
#[test]
fn time_zones_come_with_the_binary() {
    for function in FUNCTIONS {
        let text = cargo(&["tree", "-p", function, "-e", "normal,features", "--locked"]);
        assert!(!text.contains("tzdb-zoneinfo"), "{function} reads the host's time zones");
        assert!(!text.contains("tz-system"), "{function} asks for the host's time zone");
    }
}

#[test]
fn deployed_functions_unwind_and_use_one_tls() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"));
    let release = text.unwrap().split("[profile.release]").nth(1).unwrap().to_owned();
    assert!(release.contains("panic = \"unwind\""), "cargo-lambda would abort on a panic");
    for function in FUNCTIONS {
        let tree = tree(function);
        for banned in ["aws-lc-sys", "aws-lc-rs", "openssl-sys", "native-tls", "aws-config"] {
            assert!(!tree.contains(banned), "{function} depends on {banned}");
        }
    }
}
