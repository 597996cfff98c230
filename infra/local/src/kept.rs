//! What a stack with a database file leaves beside it when it stops, so that the next one goes on:
//! the queues' messages, and where the customers' clock stood.
//!
//! Written by [`crate::LocalStack::stop`]. A stack that is killed leaves nothing: what was on its
//! queues is gone then, which AWS would have kept.

use crate::broker::KeptMessage;
use crate::options::Storage;
use odyssey_domain::time::Stamp;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What is kept.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Kept {
    /// What the customers' clock showed.
    pub(crate) at: Stamp,
    /// The messages of every queue.
    pub(crate) messages: Vec<KeptMessage>,
}

/// The file beside the database cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{}: {cause}", path.display())]
pub struct KeptError {
    path: PathBuf,
    cause: String,
}

fn path(storage: &Storage) -> Option<PathBuf> {
    let Storage::File(path) = storage else { return None };
    let mut path = path.clone().into_os_string();
    path.push(".queues.json");
    Some(PathBuf::from(path))
}

/// Takes what the stack before left; none where there is nothing, or the tables are in memory.
///
/// # Errors
/// Where the file cannot be read or removed: going on without it would lose what is in it.
pub(crate) fn take(storage: &Storage) -> Result<Option<Kept>, KeptError> {
    let Some(path) = path(storage).filter(|path| path.exists()) else { return Ok(None) };
    let failed = |cause: String| KeptError { path: path.clone(), cause };
    let text = std::fs::read_to_string(&path).map_err(|e| failed(e.to_string()))?;
    let kept = serde_json::from_str(&text).map_err(|e| failed(e.to_string()))?;
    std::fs::remove_file(&path).map_err(|e| failed(e.to_string()))?;
    Ok(Some(kept))
}

/// Leaves it for the next stack.
///
/// # Errors
/// Where the file cannot be written.
pub(crate) fn leave(storage: &Storage, kept: &Kept) -> Result<(), KeptError> {
    let Some(path) = path(storage) else { return Ok(()) };
    let failed = |cause: String| KeptError { path: path.clone(), cause };
    let text = serde_json::to_string(kept).map_err(|e| failed(e.to_string()))?;
    std::fs::write(&path, text).map_err(|e| failed(e.to_string()))
}
