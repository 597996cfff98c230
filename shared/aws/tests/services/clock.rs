//! `ODYSSEY_CLOCK` is followed only by builds with the Cargo feature `local-clock`, and only
//! towards an endpoint on this machine.

use std::process::Command;

/// What `clock::now` says, in ms since 1970, in a process with this endpoint.
fn shown(endpoint: &str) -> i64 {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "clock::the_child", "--ignored", "--nocapture"])
        // It shows one second past 1970 until the real time given.
        .env("ODYSSEY_CLOCK", format!("{FUTURE},1000,1,{FUTURE}"))
        .env("AWS_ENDPOINT_URL", endpoint)
        .output()
        .unwrap();
    let output = String::from_utf8(child.stdout).unwrap();
    let line = output.lines().find_map(|line| line.split_once("now=")).unwrap();
    line.1.trim().parse().unwrap()
}

/// 2100-01-01: before it, the scaled clock stands at its start.
const FUTURE: i64 = 4_102_444_800_000;

#[test]
#[ignore = "run by the other tests, in a process of its own"]
fn the_child() {
    println!("now={}", odyssey_aws::clock::now().ms());
}

#[test]
fn a_deployable_build_ignores_the_variable() {
    let now = shown("http://127.0.0.1:4566");
    if cfg!(feature = "local-clock") {
        assert_eq!(now, 1_000);
    } else {
        assert!(now > 1_700_000_000_000, "{now}");
    }
}

#[test]
fn a_remote_endpoint_is_never_scaled() {
    let now = shown("http://192.0.2.1:4566");
    assert!(now > 1_700_000_000_000, "{now}");
}
