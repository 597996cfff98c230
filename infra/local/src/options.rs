//! How a stack is started.

use crate::pace::Pace;
use crate::stack::Stack;
use odyssey_domain::time::Stamp;
use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Where the tables live.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// In memory: gone with the stack.
    Memory,
    /// In a `SQLite` file, beside which the generated secrets are kept, so that keys made from them
    /// still fit.
    File(PathBuf),
}

/// Who runs the functions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Functions {
    /// The stack itself, as processes: the path of each binary by the name that the template
    /// gives it. See [`crate::Build`].
    Binaries(BTreeMap<String, PathBuf>),
    /// `cargo lambda watch`, at this URL.
    Url(String),
    /// Nobody: messages stay on their queues, the schedule does not start. For whoever starts the
    /// functions' processes and hands them their events, with
    /// [`Stack::function_environment`](crate::Stack::function_environment).
    Nobody,
}

/// Pages to show beside the API; made when the stack stands, so that they can ask it.
pub type Pages = Box<dyn FnOnce(&Stack) -> axum::Router + Send>;

/// How a stack is started.
pub struct Options {
    /// The template's text.
    pub template: String,
    /// Who runs the functions.
    pub functions: Functions,
    /// Customer seconds in a second; 1 is real time.
    pub rate: u32,
    /// What the clock shows at the start; the real time where none is given.
    pub start: Option<Stamp>,
    /// How its time passes.
    pub pace: Pace,
    /// Where the tables live.
    pub storage: Storage,
    /// The port of the API and the pages; 0 for any.
    pub api_port: u16,
    /// The port that speaks AWS's protocols; 0 for any.
    pub endpoint_port: u16,
    /// The template's parameters; what is not given takes its default. `PublicUrl` is the API's
    /// own address and `MailIdentity` is [`MAIL_IDENTITY`] where they are not given.
    pub parameters: BTreeMap<String, String>,
    /// Further environment variables for every function.
    pub environment: BTreeMap<String, String>,
    /// Processes of a function at once, where the template reserves none: [`crate::CONCURRENCY`]
    /// where it is not given.
    pub concurrency: Option<usize>,
    /// Pages beside the API. Their paths win over the API's.
    pub pages: Option<Pages>,
}

/// The identity that mails may be from, where no parameter says otherwise: any, for what is
/// verified in SES is a matter of the account that one deploys to.
pub const MAIL_IDENTITY: &str = "*";

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("functions", &self.functions)
            .field("rate", &self.rate)
            .field("start", &self.start)
            .field("storage", &self.storage)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// A stack in memory, in real time, on any ports.
    #[must_use]
    pub fn new(template: String, functions: Functions) -> Self {
        Self {
            template,
            functions,
            rate: 1,
            start: None,
            pace: Pace::Steady,
            storage: Storage::Memory,
            api_port: 0,
            endpoint_port: 0,
            parameters: BTreeMap::new(),
            environment: BTreeMap::new(),
            concurrency: None,
            pages: None,
        }
    }

    /// As [`Options::new`], with the template at `infra/template.yaml` below `root`.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn of_workspace(root: &Path, functions: Functions) -> Result<Self, std::io::Error> {
        let path = root.join("infra").join("template.yaml");
        let text = std::fs::read_to_string(&path).map_err(|error| {
            std::io::Error::new(error.kind(), format!("{}: {error}", path.display()))
        })?;
        Ok(Self::new(text, functions))
    }
}
