//! Building the functions' binaries with Cargo, and finding out where they are.

use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

/// Whose dependencies' features the functions are built with. A dependency built with other features
/// is compiled again; what has already been built beside is not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// Their own alone, as a deployable build has them.
    Nothing,
    /// Those of this package as well, such as `odyssey` itself, which was built to call this.
    Package(String),
    /// Those of the whole Cargo workspace, as `cargo test --workspace` builds it.
    Workspace,
}

impl Beside {
    /// Whatever Cargo built to get here: it tells the package to what it runs. The command line is
    /// built by itself, tests with the whole workspace.
    fn caller() -> Self {
        match std::env::var("CARGO_PKG_NAME").as_deref() {
            Err(_) | Ok("odyssey") => Beside::Package("odyssey".to_owned()),
            Ok(_) => Beside::Workspace,
        }
    }
}

/// What to build.
#[derive(Debug, Clone)]
pub struct Build {
    /// The Cargo workspace's folder.
    pub root: PathBuf,
    /// Packages that are binaries of the same name.
    pub packages: Vec<String>,
    /// Cargo's `--profile`; `dev` where none is given.
    pub profile: Option<String>,
    /// With the clock that can run faster; deployable builds lack it.
    pub local_clock: bool,
    /// Whose features the dependencies have.
    pub beside: Beside,
}

/// How far a build is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// A crate is compiled, or was already: its name, and how many there are by now.
    Crate {
        /// Its name.
        name: String,
        /// Crates so far, this one included.
        done: usize,
        /// Whether nothing had to be done.
        fresh: bool,
    },
    /// A line of Cargo's own, such as a warning or an error.
    Line(String),
}

/// A build that made no binaries.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Cargo could not be run.
    #[error("cargo could not be run: {0}")]
    Cargo(#[from] std::io::Error),
    /// Cargo failed; what it said.
    #[error("cargo build failed:\n{0}")]
    Failed(String),
    /// Cargo made no binary of that name.
    #[error("cargo build made no binary {0}")]
    Missing(String),
}

impl Build {
    /// All functions of the workspace at `root`: the packages in `functions/`.
    ///
    /// # Errors
    /// Where that folder cannot be read.
    pub fn functions(root: &Path) -> Result<Self, BuildError> {
        let mut packages = BTreeSet::new();
        for entry in std::fs::read_dir(root.join("functions"))? {
            let entry = entry?;
            if entry.path().join("Cargo.toml").is_file() {
                packages.insert(entry.file_name().to_string_lossy().into_owned());
            }
        }
        let packages = packages.into_iter().collect();
        Ok(Self {
            root: root.to_owned(),
            packages,
            profile: None,
            local_clock: true,
            beside: Beside::caller(),
        })
    }

    /// Builds; returns the path of each binary by its name.
    ///
    /// # Errors
    /// Where Cargo cannot be run or fails.
    pub async fn run(
        &self,
        mut progress: impl FnMut(Progress) + Send,
    ) -> Result<BTreeMap<String, PathBuf>, BuildError> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut command = Command::new(cargo);
        command.current_dir(&self.root).args(["build", "--message-format=json"]);
        match &self.beside {
            Beside::Nothing => {}
            Beside::Package(package) => {
                command.args(["-p", package]);
            }
            Beside::Workspace => {
                command.arg("--workspace");
            }
        }
        if let Some(profile) = &self.profile {
            command.args(["--profile", profile]);
        }
        for package in &self.packages {
            if self.beside != Beside::Workspace {
                command.args(["-p", package]);
            }
            command.args(["--bin", package]);
            if self.local_clock {
                command.args(["--features", &format!("{package}/local-clock")]);
            }
        }
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let (output, errors) = (child.stdout.take(), child.stderr.take());
        let said = tokio::spawn(async move {
            let mut said = Vec::new();
            let Some(errors) = errors else { return said };
            let mut lines = BufReader::new(errors).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                said.push(line);
            }
            said
        });
        let mut found = BTreeMap::new();
        let mut rendered = Vec::new();
        let mut done = 0;
        if let Some(output) = output {
            let mut lines = BufReader::new(output).lines();
            while let Some(line) = lines.next_line().await? {
                let message: Value = serde_json::from_str(&line).unwrap_or(Value::Null);
                match message["reason"].as_str() {
                    Some("compiler-artifact") => {
                        done += 1;
                        let name = message["target"]["name"].as_str().unwrap_or_default();
                        let fresh = message["fresh"].as_bool().unwrap_or(false);
                        progress(Progress::Crate { name: name.to_owned(), done, fresh });
                        if let Some(path) = message["executable"].as_str() {
                            found.insert(name.to_owned(), PathBuf::from(path));
                        }
                    }
                    Some("compiler-message") if message["message"]["level"] == "error" => {
                        let text = message["message"]["rendered"].as_str().unwrap_or_default();
                        rendered.push(text.to_owned());
                        progress(Progress::Line(text.to_owned()));
                    }
                    _ => {}
                }
            }
        }
        let status = child.wait().await?;
        let said = said.await.unwrap_or_default();
        if !status.success() {
            rendered.extend(said.into_iter().rev().take(20).rev());
            return Err(BuildError::Failed(rendered.join("\n")));
        }
        match self.packages.iter().find(|package| !found.contains_key(*package)) {
            Some(missing) => Err(BuildError::Missing(missing.clone())),
            None => Ok(found),
        }
    }
}
