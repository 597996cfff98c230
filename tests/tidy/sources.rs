//! Over the files themselves: lengths and names.

use std::path::{Path, PathBuf};

/// Past this a file holds two ideas.
const LINES_MAX: usize = 600;
/// A function's `main` wires; what it does is elsewhere.
const MAIN_LINES_MAX: usize = 40;
/// Names that say nothing of what is inside.
const EMPTY_NAMES: [&str; 8] =
    ["utils", "util", "helpers", "helper", "manager", "common", "misc", "shared"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// All Rust files of the project, by their path within it.
fn rust_files() -> Vec<PathBuf> {
    let (root, mut found) = (root(), Vec::new());
    let mut folders: Vec<PathBuf> =
        ["shared", "functions", "infra", "cli", "tests"].map(|f| root.join(f)).into();
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() && !["target", "node_modules", ".venv", ".aws-sam"].contains(&&*name) {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path.strip_prefix(&root).unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(found.len() > 40, "found only {} Rust files", found.len());
    found
}

fn lines(file: &Path) -> usize {
    std::fs::read_to_string(root().join(file)).unwrap().lines().count()
}

#[test]
fn no_file_holds_two_ideas() {
    let long: Vec<String> = rust_files()
        .iter()
        .map(|file| (lines(file), file))
        .filter(|(lines, _)| *lines > LINES_MAX)
        .map(|(lines, file)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "at most {LINES_MAX} lines: {long:#?}");
}

#[test]
fn mains_are_thin() {
    for file in rust_files() {
        if file.starts_with("functions") && file.ends_with("main.rs") {
            let lines = lines(&file);
            let place = file.display();
            assert!(lines <= MAIN_LINES_MAX, "{place}: {lines} lines, at most {MAIN_LINES_MAX}");
        }
    }
}

#[test]
fn names_say_what_is_inside() {
    for file in rust_files() {
        // `shared/` is the folder of the design; what is in it has names of its own.
        for part in file.iter().skip(1) {
            let part = part.to_string_lossy();
            let name = part.trim_end_matches(".rs");
            let empty = EMPTY_NAMES.contains(&name);
            assert!(!empty, "{}: {name} does not say what is inside", file.display());
        }
    }
}
