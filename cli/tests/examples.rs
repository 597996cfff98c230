//! Every workspace in `examples` is right, by the reader and by the schemas that editors check it
//! with.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use odyssey::publish::build::{Built, build};
use odyssey::publish::directory;
use odyssey_domain::journey::Trigger;
use odyssey_domain::signal::SignalKind;
use odyssey_domain::time::Stamp;
use odyssey_domain::workspace::Files;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

/// The workspaces by name, with their files.
fn all() -> Vec<(String, Files)> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.join("workspace.yaml").is_file() {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            all.push((name, directory::read(&path).unwrap()));
        }
    }
    assert!(all.len() >= 3);
    all
}

fn built(files: &Files) -> Built {
    build(files, Stamp::MIN).unwrap()
}

#[test]
fn they_compile_without_a_word() {
    for (name, files) in all() {
        let built = built(&files);
        assert_eq!(built.warnings, [], "{name}");
        assert_eq!(built.samples.len(), built.workspace.mails.len(), "{name}");
        let address = &built.workspace.settings.brand.postal_address;
        for (mail, rendered) in &built.samples {
            assert!(rendered.html.len() < 100 * 1024, "{name} {mail}: Gmail cuts it off");
            assert!(!rendered.html.contains("jinjax") && !rendered.text.contains("jinjax"));
            assert!(!rendered.html.contains("fonts.googleapis"), "{name} {mail}: fetches a font");
            assert!(rendered.text.contains(address), "{name} {mail}:\n{}", rendered.text);
            assert!(!rendered.subject.contains('&'), "{name} {mail}: {}", rendered.subject);
        }
    }
}

#[test]
fn the_schemas_accept_them_and_refuse_mistakes() {
    let schema = |text: &str| -> Value { serde_json::from_str(text).unwrap() };
    let workspace = jsonschema::validator_for(&schema(odyssey::WORKSPACE_SCHEMA)).unwrap();
    let journey = jsonschema::validator_for(&schema(odyssey::JOURNEY_SCHEMA)).unwrap();
    let segment = jsonschema::validator_for(&schema(odyssey::SEGMENT_SCHEMA)).unwrap();
    let plan = jsonschema::validator_for(&schema(odyssey::PLAN_SCHEMA)).unwrap();
    for (name, files) in all() {
        for (file, text) in files {
            let validator = match file.as_str() {
                "workspace.yaml" => &workspace,
                "plan.yaml" => &plan,
                path if path.starts_with("journeys/") => &journey,
                path if path.starts_with("segments/") => &segment,
                _ => continue,
            };
            let line = text.lines().next().unwrap_or_default();
            assert!(line.contains("yaml-language-server: $schema="), "{name}/{file}");
            let value: Value = serde_saphyr::from_str(&text).unwrap();
            let errors: Vec<String> =
                validator.iter_errors(&value).map(|e| e.to_string()).collect();
            assert!(errors.is_empty(), "{name}/{file}: {}", errors.join("\n"));
            let mut strange = value;
            strange["stat"] = "live".into();
            assert!(!validator.is_valid(&strange), "{name}/{file}");
        }
    }
}

/// Each signal begins a journey somewhere, so that there is one to start from.
#[test]
fn every_signal_is_used() {
    let mut used = BTreeSet::new();
    for (_, files) in all() {
        let journeys = built(&files).workspace.journeys;
        used.extend(journeys.into_values().filter_map(|file| match file.journey.trigger {
            Trigger::Signal { name, .. } => Some(name),
            Trigger::Event(_) => None,
        }));
    }
    let all = SignalKind::ALL.map(SignalKind::name);
    let missing: Vec<_> = all.into_iter().filter(|name| !used.contains(*name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
