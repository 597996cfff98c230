//! Installing and running the client suites of other languages.

use crate::world::root;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where this variable is set, a suite that cannot run is a failure.
const REQUIRED: &str = "ODYSSEY_REQUIRE_CLIENTS";

/// A client suite, ready to run.
pub(crate) struct Suite {
    program: PathBuf,
    script: PathBuf,
    environment: Vec<(&'static str, PathBuf)>,
}

/// What a suite is told.
pub(crate) struct Scenario<'a> {
    pub(crate) name: &'a str,
    pub(crate) url: &'a str,
    pub(crate) write_key: &'a str,
    pub(crate) user: &'a str,
    pub(crate) gzip: bool,
}

/// Says that a suite is skipped and why; past the capture of the test's output, so that it is seen.
pub(crate) fn skip(what: &str, why: &str) {
    assert!(std::env::var_os(REQUIRED).is_none(), "{what} cannot run: {why}");
    let _ = writeln!(std::io::stderr(), "SKIPPED {what}: {why}");
}

/// Runs a command; what it printed, or what went wrong.
pub(crate) fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}: {said}", output.status))
}

/// Makes a folder of installed packages, once for each state of its lock file.
pub(crate) fn installed(
    language: &str,
    lock: &str,
    install: impl FnOnce(&Path, &Path) -> Result<(), String>,
) -> Result<PathBuf, String> {
    let source = root().join("tests/clients").join(language);
    let folder = root().join("target/clients").join(language);
    let (wanted, done) = (fs::read_to_string(source.join(lock)).unwrap(), folder.join("installed"));
    if fs::read_to_string(&done).is_ok_and(|found| found == wanted) {
        return Ok(folder);
    }
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).unwrap();
    install(&source, &folder)?;
    fs::write(done, wanted).unwrap();
    Ok(folder)
}

impl Suite {
    /// The suite of the Node SDK.
    pub(crate) fn node() -> Result<Suite, String> {
        run(Command::new("node").arg("--version"))?;
        let folder = installed("node", "package-lock.json", |source, folder| {
            for file in ["package.json", "package-lock.json"] {
                fs::copy(source.join(file), folder.join(file)).unwrap();
            }
            let npm = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
            run(Command::new("npm").args(npm).current_dir(folder)).map(drop)
        })?;
        Ok(Suite {
            program: "node".into(),
            script: root().join("tests/clients/node/suite.js"),
            environment: vec![("NODE_PATH", folder.join("node_modules"))],
        })
    }

    /// The suite of the Python SDK.
    pub(crate) fn python() -> Result<Suite, String> {
        run(Command::new("python3").arg("--version"))?;
        let folder = installed("python", "requirements.txt", |source, folder| {
            run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
            run(Command::new(folder.join("bin/pip"))
                .args(["install", "--quiet", "--require-hashes", "--no-deps", "--requirement"])
                .arg(source.join("requirements.txt")))
            .map(drop)
        })?;
        Ok(Suite {
            program: folder.join("bin/python"),
            script: root().join("tests/clients/python/suite.py"),
            environment: Vec::new(),
        })
    }

    /// Runs one scenario; returns the message id of each call.
    pub(crate) async fn run(&self, scenario: &Scenario<'_>) -> BTreeMap<String, String> {
        let mut command = Command::new(&self.program);
        command
            .arg(&self.script)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env("ODYSSEY_URL", scenario.url)
            .env("ODYSSEY_WRITE_KEY", scenario.write_key)
            .env("ODYSSEY_USER", scenario.user)
            .env("ODYSSEY_SCENARIO", scenario.name)
            .env("ODYSSEY_GZIP", if scenario.gzip { "1" } else { "" });
        let printed = tokio::task::spawn_blocking(move || run(&mut command)).await.unwrap();
        let printed = printed.unwrap_or_else(|error| panic!("{error}"));
        let sent: Value = serde_json::from_str(printed.trim()).unwrap();
        let ids = sent.as_object().unwrap().iter();
        ids.map(|(call, id)| (call.clone(), id.as_str().unwrap().to_owned())).collect()
    }
}
