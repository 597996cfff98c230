//! Mutants: deliberate bugs that prove the checks, each a file of text replacements.
//!
//! ```text
//! breaks: what it does wrong
//! caught by: the invariant that should notice
//! --- shared/flows/src/…/mod.rs
//! the text as it stands, once in that file
//! +++ instead
//! the text that takes its place
//! === end
//! ```
//!
//! They are applied to a copy of the three crates that make the simulator; production code knows
//! nothing of them. Replacements instead of diffs, because those need a tool and line numbers.

use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::sync_channel;

/// Where they stand, below the Cargo workspace.
pub const FOLDER: &str = "tests/sim/mutants";
/// The crates that a mutant may change, each above those that it uses.
const CRATES: [&str; 3] = ["shared/domain", "shared/flows", "shared/testkit"];

/// One replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Edit {
    /// The file, below the Cargo workspace.
    pub file: String,
    /// What stands there once.
    pub old: String,
    /// What takes its place.
    pub new: String,
}

impl Edit {
    /// How many of the crates stand below the one that it changes.
    fn depth(&self) -> Option<usize> {
        CRATES.iter().position(|name| self.file.starts_with(name))
    }
}

/// One deliberate bug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mutant {
    /// The file's name.
    pub name: String,
    /// What it does wrong.
    pub breaks: String,
    /// The invariant that should notice.
    pub caught_by: String,
    /// What it changes.
    pub edits: Vec<Edit>,
}

/// Why a mutant cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum MutantError {
    /// The file is not written as it should be.
    #[error("mutant {name}: expected {expected}")]
    Malformed {
        /// Which.
        name: String,
        /// What is missing.
        expected: &'static str,
    },
    /// The code has changed, and the mutant no longer fits it.
    #[error(
        "mutant {name} no longer applies: its text stands {times} times in {file}, expected once; write it anew for the code as it is now"
    )]
    Stale {
        /// Which.
        name: String,
        /// Where.
        file: String,
        /// How often it is there.
        times: usize,
    },
    /// A file cannot be read or written, or a program cannot be run.
    #[error("{what}: {cause}")]
    Io {
        /// What was to be done.
        what: String,
        /// Why it was not.
        cause: io::Error,
    },
    /// It does not compile.
    #[error("mutant {name} does not compile:\n{output}")]
    Broken {
        /// Which.
        name: String,
        /// What the compiler says.
        output: String,
    },
}

fn io_error(what: impl Into<String>) -> impl FnOnce(io::Error) -> MutantError {
    let what = what.into();
    move |cause| MutantError::Io { what, cause }
}

impl Mutant {
    /// Reads a mutant's file.
    ///
    /// # Errors
    /// Where a part is missing.
    pub fn parse(name: &str, text: &str) -> Result<Mutant, MutantError> {
        let malformed = |expected| MutantError::Malformed { name: name.to_owned(), expected };
        let (head, _) = text.split_once("\n--- ").ok_or(malformed("a line `--- <file>`"))?;
        let field = |key: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(key));
            line.map(|value| value.trim().to_owned())
        };
        let mut edits = Vec::new();
        let mut rest = text.get(head.len()..).unwrap_or_default();
        while let Some((_, edit)) = rest.split_once("\n--- ") {
            let (file, edit) = edit.split_once('\n').ok_or(malformed("a text behind `---`"))?;
            let (old, edit) =
                edit.split_once("\n+++ instead\n").ok_or(malformed("a line `+++ instead`"))?;
            let end = if edit.starts_with("=== end") {
                Some(("", edit.get(7..).unwrap_or_default()))
            } else {
                edit.split_once("\n=== end")
            };
            let (new, after) = end.ok_or(malformed("a line `=== end`"))?;
            let (file, old, new) = (file.trim().to_owned(), old.to_owned(), new.to_owned());
            edits.push(Edit { file, old, new });
            rest = after;
        }
        Ok(Mutant {
            name: name.to_owned(),
            breaks: field("breaks:").ok_or(malformed("a line `breaks: …`"))?,
            caught_by: field("caught by:").ok_or(malformed("a line `caught by: …`"))?,
            edits,
        })
    }

    /// Every mutant of the Cargo workspace at `root`, by name.
    ///
    /// # Errors
    /// Where one cannot be read.
    pub fn all(root: &Path) -> Result<Vec<Mutant>, MutantError> {
        let folder = root.join(FOLDER);
        let at = || folder.display().to_string();
        let mut mutants = Vec::new();
        for entry in fs::read_dir(&folder).map_err(io_error(at()))? {
            let path = entry.map_err(io_error(at()))?.path();
            let name = path.file_stem().and_then(|name| name.to_str()).unwrap_or_default();
            if path.extension().is_some_and(|extension| extension == "mutant") {
                let text = fs::read_to_string(&path).map_err(io_error(name))?;
                mutants.push(Mutant::parse(name, &text)?);
            }
        }
        mutants.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(mutants)
    }

    /// The files it changes, as they are then.
    ///
    /// # Errors
    /// Where its text does not stand exactly once in a file.
    pub fn applied(&self, root: &Path) -> Result<BTreeMap<String, String>, MutantError> {
        let mut files: BTreeMap<String, String> = BTreeMap::new();
        for Edit { file, old, new } in &self.edits {
            let text = match files.get(file) {
                Some(text) => text.clone(),
                None => fs::read_to_string(root.join(file)).map_err(io_error(file))?,
            };
            let times = text.matches(old.as_str()).count();
            if times != 1 {
                let (name, file) = (self.name.clone(), file.clone());
                return Err(MutantError::Stale { name, file, times });
            }
            files.insert(file.clone(), text.replacen(old.as_str(), new, 1));
        }
        Ok(files)
    }
}

/// What became of a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caught {
    /// The mutant.
    pub mutant: Mutant,
    /// The invariant that noticed, after so many seeds; none where none did.
    pub by: Option<(String, u64)>,
}

/// A copy of the crates that make the simulator, in which mutants are built.
#[derive(Debug)]
pub struct Nursery {
    root: PathBuf,
    copy: PathBuf,
}

impl Nursery {
    /// Copies the crates of the Cargo workspace at `root`, below its target folder.
    ///
    /// # Errors
    /// Where they cannot be copied.
    pub fn new(root: &Path) -> Result<Nursery, MutantError> {
        // Cargo runs in the copy, where another path than from the root leads elsewhere.
        let root = fs::canonicalize(root).map_err(io_error(root.display().to_string()))?;
        let copy = root.join("target").join("mutants");
        let nursery = Nursery { root: root.clone(), copy };
        let manifest = root.join("Cargo.toml");
        let text = fs::read_to_string(&manifest).map_err(io_error("Cargo.toml"))?;
        let members = CRATES.map(|name| format!("\"{name}\"")).join(", ");
        let text: String = text
            .lines()
            .map(|line| match line.split_once(" = [") {
                Some((key @ ("members" | "default-members"), _)) => {
                    format!("{key} = [{members}]\n")
                }
                _ => format!("{line}\n"),
            })
            .collect();
        nursery.put("Cargo.toml", &text)?;
        let lock = fs::read_to_string(root.join("Cargo.lock")).map_err(io_error("Cargo.lock"))?;
        nursery.put("Cargo.lock", &lock)?;
        for name in CRATES {
            nursery.copy(Path::new(name))?;
        }
        Ok(nursery)
    }

    fn copy(&self, folder: &Path) -> Result<(), MutantError> {
        let at = || folder.display().to_string();
        fs::create_dir_all(self.copy.join(folder)).map_err(io_error(at()))?;
        for entry in fs::read_dir(self.root.join(folder)).map_err(io_error(at()))? {
            let entry = entry.map_err(io_error(at()))?;
            let path = folder.join(entry.file_name());
            if entry.path().is_dir() {
                self.copy(&path)?;
            } else {
                let text = fs::read(entry.path()).map_err(io_error(at()))?;
                self.put_bytes(&path, &text)?;
            }
        }
        // What is gone there goes here, too.
        for entry in fs::read_dir(self.copy.join(folder)).map_err(io_error(at()))? {
            let entry = entry.map_err(io_error(at()))?;
            let (path, original) = (entry.path(), self.root.join(folder).join(entry.file_name()));
            if original.exists() {
                continue;
            }
            let removed =
                if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(io_error(at()))?;
        }
        Ok(())
    }

    fn put(&self, file: &str, text: &str) -> Result<(), MutantError> {
        self.put_bytes(Path::new(file), text.as_bytes())
    }

    /// Writes a file where it is another, so that only what a mutant changes is built anew.
    fn put_bytes(&self, file: &Path, bytes: &[u8]) -> Result<(), MutantError> {
        let path = self.copy.join(file);
        if fs::read(&path).is_ok_and(|held| held == bytes) {
            return Ok(());
        }
        let at = || path.display().to_string();
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(io_error(at()))?;
        }
        fs::write(&path, bytes).map_err(io_error(at()))
    }

    /// Builds mutants, each while up to `seeds` seeds of the one before run, and tells of each what
    /// became of it. Those that change the same crate stand beside each other, so that little is
    /// built anew.
    ///
    /// # Errors
    /// Where one does not apply, does not compile, or cannot be run.
    pub fn raise(
        &self,
        mut mutants: Vec<Mutant>,
        seeds: u64,
        mut tell: impl FnMut(&Caught),
    ) -> Result<Vec<Caught>, MutantError> {
        let deepest = |mutant: &Mutant| mutant.edits.iter().filter_map(Edit::depth).min();
        mutants.sort_by_key(|mutant| (deepest(mutant), mutant.name.clone()));
        let (built, ready) = sync_channel(1);
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for mutant in mutants {
                    let program = self.build(&mutant);
                    let broken = program.is_err();
                    if built.send((mutant, program)).is_err() || broken {
                        break;
                    }
                }
            });
            let mut raised = Vec::new();
            for (mutant, program) in ready {
                let program = program?;
                let by = run(&program, seeds)?;
                fs::remove_file(&program).map_err(io_error(mutant.name.clone()))?;
                let caught = Caught { mutant, by };
                tell(&caught);
                raised.push(caught);
            }
            raised.sort_by(|a, b| a.mutant.name.cmp(&b.mutant.name));
            Ok(raised)
        })
    }

    /// The mutant as a program of its own.
    fn build(&self, mutant: &Mutant) -> Result<PathBuf, MutantError> {
        let files = mutant.applied(&self.root)?;
        for (file, text) in &files {
            self.put(file, text)?;
        }
        let built = self.compile(&mutant.name);
        for file in files.keys() {
            let text = fs::read_to_string(self.root.join(file)).map_err(io_error(file))?;
            self.put(file, &text)?;
        }
        let program = self.copy.join(&mutant.name);
        fs::copy(built?, &program).map_err(io_error(mutant.name.clone()))?;
        Ok(program)
    }

    /// Builds it among what `cargo odyssey sim` has built: its dependencies are there. Most mutants
    /// fall to a few seeds, so that the three crates themselves are not optimised.
    fn compile(&self, name: &str) -> Result<PathBuf, MutantError> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| self.root.join("target"), |folder| self.root.join(folder));
        let built = Command::new(cargo)
            .current_dir(&self.copy)
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_PROFILE_SIM_OPT_LEVEL", "0")
            .env("CARGO_INCREMENTAL", "1")
            .args(["build", "--quiet", "--offline", "--profile", "sim"])
            .args(["--package", "odyssey-testkit", "--bin", "simulate"])
            .output()
            .map_err(io_error("cargo"))?;
        if !built.status.success() {
            let output = String::from_utf8_lossy(&built.stderr).into_owned();
            return Err(MutantError::Broken { name: name.to_owned(), output });
        }
        Ok(target.join("sim").join("simulate"))
    }
}

/// Runs seeds of a program; the invariant that was broken and after how many seeds.
fn run(program: &Path, seeds: u64) -> Result<Option<(String, u64)>, MutantError> {
    let told = Command::new(program)
        .args(["--json", "--seeds", &seeds.to_string()])
        .output()
        .map_err(io_error(program.display().to_string()))?;
    let told: Value = serde_json::from_slice(&told.stdout).unwrap_or_default();
    let found = &told["violations"][0];
    let name = found["invariant"].as_str().map(str::to_owned);
    Ok(name.zip(found["seed"].as_u64().map(|seed| seed + 1)))
}
