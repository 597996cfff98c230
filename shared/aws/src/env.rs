//! The environment of a function, read once; all its faults are told at once.

use odyssey_flows::ports::{Queue, Table};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

/// The variables of the process. A handle: clones share the faults found.
#[derive(Clone)]
pub struct Env {
    variables: Arc<BTreeMap<String, String>>,
    faults: Arc<Mutex<Vec<EnvFault>>>,
}

impl fmt::Debug for Env {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values are left out: credentials are among them.
        f.debug_struct("Env").field("names", &self.variables.keys()).finish_non_exhaustive()
    }
}

/// One variable that is not as it must be. Its value is not repeated.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error("{name}: expected {expected}, found {found}")]
pub struct EnvFault {
    /// The variable.
    pub name: String,
    /// What it should hold.
    pub expected: String,
    /// What it holds, in words: `nothing`.
    pub found: String,
}

/// The environment is not what the function needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvError {
    /// Each fault once, by name.
    pub faults: Vec<EnvFault>,
}

impl fmt::Display for EnvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the environment is incomplete")?;
        for fault in &self.faults {
            write!(f, "; {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for EnvError {}

impl Env {
    /// The variables of this process.
    #[must_use]
    pub fn from_process() -> Env {
        // A variable that is not Unicode is none that this project sets.
        let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Env::from_variables(std::env::vars_os().filter_map(unicode))
    }

    /// These variables; for tests.
    #[must_use]
    pub fn from_variables(variables: impl IntoIterator<Item = (String, String)>) -> Env {
        Env { variables: Arc::new(variables.into_iter().collect()), faults: Arc::default() }
    }

    /// A variable that may be absent; an empty one counts as absent.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<String> {
        self.variables.get(name).filter(|value| !value.is_empty()).cloned()
    }

    /// A variable that must be there. Where it is not, the fault is noted for [`Env::finish`] and
    /// the answer is empty.
    #[must_use]
    pub fn text(&self, name: &str) -> String {
        self.optional(name).unwrap_or_else(|| {
            self.fault(name, "a value", "nothing");
            String::new()
        })
    }

    /// The name of a table, from [`Table::env`].
    #[must_use]
    pub fn table(&self, table: Table) -> String {
        self.text(table.env())
    }

    /// The URL of a queue, from [`Queue::env`].
    #[must_use]
    pub fn queue(&self, queue: Queue) -> String {
        self.text(queue.env())
    }

    /// Notes a fault for [`Env::finish`]; for checks that a function makes of its own variables.
    pub fn fault(&self, name: &str, expected: &str, found: &str) {
        let fault = EnvFault {
            name: name.to_owned(),
            expected: expected.to_owned(),
            found: found.to_owned(),
        };
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner);
        if !faults.contains(&fault) {
            faults.push(fault);
        }
    }

    /// Whether all that was asked for is there.
    ///
    /// # Errors
    /// All faults that were noted, by name.
    pub fn finish(&self) -> Result<(), EnvError> {
        let mut faults = self.faults.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if faults.is_empty() {
            return Ok(());
        }
        faults.sort();
        Err(EnvError { faults })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(variables: &[(&str, &str)]) -> Env {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Env::from_variables(variables.iter().map(owned))
    }

    #[test]
    fn all_faults_at_once() {
        let env = env(&[("PROFILES_TABLE", "p"), ("BUS_NAME", "")]);
        assert_eq!(env.table(Table::Profiles), "p");
        assert_eq!(env.text("BUS_NAME"), "");
        assert_eq!(env.queue(Queue::Sender), "");
        assert_eq!(env.queue(Queue::Sender), "");
        let error = env.finish().unwrap_err();
        assert_eq!(
            error.to_string(),
            "the environment is incomplete; BUS_NAME: expected a value, found nothing; \
             SENDER_QUEUE_URL: expected a value, found nothing"
        );
    }

    #[test]
    fn values_are_not_shown() {
        let shown = format!("{:?}", env(&[("AWS_SECRET_ACCESS_KEY", "hush")]));
        assert!(shown.contains("AWS_SECRET_ACCESS_KEY") && !shown.contains("hush"), "{shown}");
    }
}
