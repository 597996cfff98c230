//! A local stack of this command's own: built, started, published to.

use crate::Failure;
use crate::publish::build::{Built, build};
use crate::publish::command::publish_to;
use crate::publish::directory;
use crate::screen::{Screen, Style};
use crate::stack::{LOCAL_FILE, LocalFile};
use indicatif::{ProgressBar, ProgressStyle};
use odyssey_domain::time::Stamp;
use odyssey_local::{
    Beside, Build, BuildError, Functions, LocalStack, Options, Pace, Progress, StartError, Storage,
};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// What a stack is started with.
#[derive(Debug)]
pub struct Plan {
    /// The repository's folder: `infra/template.yaml` and `functions/` are below it.
    pub root: PathBuf,
    /// The workspace to publish.
    pub workspace: PathBuf,
    /// Customer seconds in a second.
    pub speed: u32,
    /// What the clock shows at the start; the real time where none is given.
    pub start: Option<Stamp>,
    /// How its time passes.
    pub pace: Pace,
    /// The API's port; 0 for any.
    pub port: u16,
    /// A `SQLite` file; memory where none is given.
    pub data: Option<PathBuf>,
    /// `cargo lambda watch`; the functions are built and run where none is given.
    pub functions: Option<String>,
}

/// A stack that stands, with a workspace in it.
#[derive(Debug)]
pub struct Standing {
    /// The stack.
    pub stack: LocalStack,
    /// What was published.
    pub built: Built,
    /// The write key of each source.
    pub write_keys: BTreeMap<String, String>,
}

/// The repository's folder: the nearest at or above the current one with `infra/template.yaml`,
/// else the one this command was built in.
///
/// # Errors
/// Where there is none.
pub fn repository() -> Result<PathBuf, Failure> {
    let is_it = |folder: &Path| folder.join("infra").join("template.yaml").is_file();
    let here = std::env::current_dir().unwrap_or_default();
    let above = here.ancestors().find(|folder| is_it(folder)).map(Path::to_owned);
    let own = Path::new(env!("CARGO_MANIFEST_DIR")).parent().filter(|folder| is_it(folder));
    above.or_else(|| own.map(Path::to_owned)).ok_or_else(|| {
        Failure::Asked(
            "no infra/template.yaml here or above: run this in Odyssey's folder".to_owned(),
        )
    })
}

/// Builds what must be built, starts the stack and publishes the workspace.
///
/// # Errors
/// Where any of it fails.
pub async fn start(screen: &Screen, plan: Plan) -> Result<Standing, Failure> {
    start_with(screen, plan, None).await
}

/// [`start`], with further pages beside the stack's own.
///
/// # Errors
/// As [`start`].
pub async fn start_with(
    screen: &Screen,
    plan: Plan,
    more: Option<axum::Router>,
) -> Result<Standing, Failure> {
    let files = directory::read(&plan.workspace)?;
    let built = match build(&files, Stamp::MIN) {
        Ok(built) => built,
        Err(faults) => {
            crate::check::tell_faults(screen, &plan.workspace.display().to_string(), &faults);
            return Err(Failure::Asked("the workspace has mistakes".to_owned()));
        }
    };
    let functions = match &plan.functions {
        Some(url) => Functions::Url(url.clone()),
        None => Functions::Binaries(build_all(screen, &plan.root).await?),
    };
    let mut options = Options::of_workspace(&plan.root, functions)
        .map_err(|error| Failure::Asked(error.to_string()))?;
    options.rate = plan.speed;
    options.start = plan.start;
    options.pace = plan.pace;
    options.api_port = plan.port;
    // The next port, where `infra/local.env` tells `cargo lambda watch` to look.
    options.endpoint_port = if plan.port == 0 { 0 } else { plan.port.saturating_add(1) };
    if let Some(path) = plan.data {
        options.storage = Storage::File(path);
    }
    // The role of `sender` allows the brand's own domain alone.
    let from = built.workspace.settings.brand.from.expose();
    let domain = from.rsplit_once('@').map_or(from, |(_, domain)| domain);
    options.parameters.insert("MailIdentity".to_owned(), domain.to_owned());
    let shown = crate::pages::Shown::new(&built.workspace, plan.speed);
    options.pages = Some(Box::new(move |stack| {
        let pages = crate::pages::router(stack, shown);
        match more {
            Some(more) => pages.merge(more),
            None => pages,
        }
    }));
    let stack = LocalStack::start(options).await.map_err(|error| start_failure(&error))?;
    let keys = stack.keyring().map_err(|error| Failure::Stack(error.to_string()))?;
    publish_to(&stack.tables(), &built.publication, stack.now()).await?;
    let sources = &built.publication.catalog.sources;
    let write_keys = sources
        .iter()
        .map(|(name, source)| {
            (name.to_string(), keys.write_key(name.as_str(), source.key_generation))
        })
        .collect();
    Ok(Standing { stack, built, write_keys })
}

fn start_failure(error: &StartError) -> Failure {
    match error {
        StartError::Port { port, .. } if *port != 0 => Failure::Stack(format!(
            "{error}: something else listens there (another `cargo odyssey local`?); --port 0 takes a free one"
        )),
        _ => Failure::Stack(error.to_string()),
    }
}

/// Leaves word for the other commands; it is taken away when the guard is dropped.
///
/// # Errors
/// Where the file cannot be written.
pub fn leave_word(stack: &LocalStack) -> Result<Word, Failure> {
    let path = std::env::current_dir().unwrap_or_default().join(LOCAL_FILE);
    let failed = |cause| Failure::File { path: path.clone(), cause };
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(failed)?;
    }
    let word = LocalFile {
        url: stack.api_url().to_owned(),
        pid: std::process::id(),
        environment: stack.environment(),
    };
    let text =
        serde_json::to_string_pretty(&word).map_err(|error| Failure::Stack(error.to_string()))?;
    std::fs::write(&path, text).map_err(failed)?;
    Ok(Word { path })
}

/// The file that says where the stack is, as long as this lives.
#[derive(Debug)]
pub struct Word {
    path: PathBuf,
}

impl Drop for Word {
    fn drop(&mut self) {
        // The file of a stack started since is not ours to take away.
        let ours = std::fs::read_to_string(&self.path)
            .ok()
            .and_then(|text| serde_json::from_str::<LocalFile>(&text).ok())
            .is_some_and(|word| word.pid == std::process::id());
        if ours {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

fn build_failure(error: &BuildError) -> Failure {
    Failure::Stack(error.to_string())
}

/// Builds the functions for a local stack, with visible progress.
///
/// # Errors
/// Where Cargo fails.
pub(crate) async fn build_all(
    screen: &Screen,
    root: &Path,
) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let all = Build::functions(root).map_err(|error| build_failure(&error))?;
    build_functions(screen, &all).await
}

/// Builds the functions as they are deployed, but for the clock that can run faster: optimised, and
/// with no features but their own.
///
/// # Errors
/// Where Cargo fails.
pub(crate) async fn build_released(
    screen: &Screen,
    root: &Path,
) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let mut build = Build::functions(root).map_err(|error| build_failure(&error))?;
    build.profile = Some("release".to_owned());
    build.beside = Beside::Nothing;
    build_functions(screen, &build).await
}

/// Builds the functions with the local clock, showing how far it is.
pub(crate) async fn build_functions(
    screen: &Screen,
    build: &Build,
) -> Result<BTreeMap<String, PathBuf>, Failure> {
    let bar = if screen.is_terminal() { ProgressBar::new_spinner() } else { ProgressBar::hidden() };
    if let Ok(style) = ProgressStyle::with_template("{spinner:.cyan} {msg} {elapsed:.dim}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(120));
    bar.set_message("building the functions");
    if !screen.is_terminal() {
        screen.error("building the functions (the first time takes minutes) …");
    }
    let mut compiled = 0_usize;
    let binaries = build
        .run(|progress| match progress {
            Progress::Crate { name, done, fresh } => {
                compiled += usize::from(!fresh);
                bar.set_message(format!("building the functions: {done} crates, {name}"));
                if !screen.is_terminal() && !fresh && compiled.is_multiple_of(25) {
                    screen.error(&format!("  {done} crates, {compiled} compiled, now {name}"));
                }
            }
            Progress::Line(_) => {}
        })
        .await
        .map_err(|error| build_failure(&error))?;
    bar.finish_and_clear();
    let mark = screen.paint(Style::Good, "built");
    screen.error(&format!("{mark} {} functions, {compiled} crates compiled", binaries.len()));
    Ok(binaries)
}
