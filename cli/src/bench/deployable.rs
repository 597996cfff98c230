//! The functions as they are deployed: optimised as cargo-lambda does it, without the clock of the
//! local stack, with no features but their own.

use crate::Failure;
use crate::publish::build::build;
use crate::publish::command::publish_to;
use crate::publish::directory;
use crate::screen::Screen;
use crate::standing::build_functions;
use odyssey_domain::time::Stamp;
use odyssey_local::{Beside, Build, BuildError, Functions, LocalStack, Options};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The seven functions and what is made of the same dependencies, by name.
pub(super) async fn functions(
    screen: &Screen,
    root: &Path,
    beside: &[&str],
) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut build = Build::functions(root).map_err(|error| unbuilt(&error))?;
    build.packages.extend(beside.iter().map(|&name| name.to_owned()));
    build_functions(screen, &deployed(build)).await
}

/// The binary of a package, built by itself.
pub(super) async fn alone(screen: &Screen, root: &Path, package: &str) -> Result<PathBuf, Failure> {
    let mut build = Build::functions(root).map_err(|error| unbuilt(&error))?;
    build.packages = vec![package.to_owned()];
    let mut binaries = build_functions(screen, &deployed(build)).await?;
    take(&mut binaries, package)
}

/// One binary of those that were built.
pub(super) fn take(built: &mut BTreeMap<String, PathBuf>, name: &str) -> Result<PathBuf, Failure> {
    built.remove(name).ok_or_else(|| unbuilt(&BuildError::Missing(name.to_owned())))
}

fn deployed(build: Build) -> Build {
    Build {
        profile: Some("deployed".to_owned()),
        local_clock: false,
        beside: Beside::Nothing,
        ..build
    }
}

fn unbuilt(error: &BuildError) -> Failure {
    Failure::Stack(error.to_string())
}

/// A local stack for processes of the bench's own: nobody takes from its queues and its schedule
/// does not start. `examples/storefront` is published to it.
pub(super) async fn stack_for(root: &Path) -> Result<LocalStack, Failure> {
    let failed = |error: &dyn std::fmt::Display| Failure::Stack(error.to_string());
    let files = directory::read(&root.join("examples").join("storefront"))?;
    let built = build(&files, Stamp::MIN).map_err(|faults| {
        Failure::Asked(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })?;
    let options = Options::of_workspace(root, Functions::Nobody)
        .map_err(|error| Failure::Asked(error.to_string()))?;
    let stack = LocalStack::start(options).await.map_err(|error| failed(&error))?;
    publish_to(&stack.tables(), &built.publication, stack.now()).await?;
    Ok(stack)
}

/// The function's logical id in the template.
pub(super) fn logical_id(name: &str) -> String {
    let mut letters = name.chars();
    let first = letters.next().map(|letter| letter.to_ascii_uppercase());
    format!("{}{}Function", first.map(String::from).unwrap_or_default(), letters.as_str())
}
