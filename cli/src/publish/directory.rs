//! A workspace's folder on disk.

use odyssey_domain::workspace::{FILE_BYTES_MAX, Files, PLAN_FILE, SETTINGS_FILE};
use std::io;
use std::path::{Path, PathBuf};

/// A folder cannot be read as a workspace.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// There is no workspace there.
    #[error("{}: no {SETTINGS_FILE} there; say where the workspace is, for example `cargo odyssey check examples/storefront`", .0.display())]
    NoWorkspace(PathBuf),
    /// A file cannot be read.
    #[error("{}: {cause}", .path.display())]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
}

/// Reads the workspace's files: `workspace.yaml`, `plan.yaml`, `segments/`, `journeys/`, `mails/`.
/// Other files are none of Odyssey's business.
///
/// # Errors
/// Where there is no workspace, or one of its files is unreadable or not UTF-8.
pub fn read(folder: &Path) -> Result<Files, DirectoryError> {
    let settings = folder.join(SETTINGS_FILE);
    if !settings.is_file() {
        return Err(DirectoryError::NoWorkspace(folder.to_owned()));
    }
    let mut files = Files::new();
    files.insert(SETTINGS_FILE.to_owned(), text(&settings)?);
    let plan = folder.join(PLAN_FILE);
    if plan.is_file() {
        files.insert(PLAN_FILE.to_owned(), text(&plan)?);
    }
    let parts =
        [("segments", ["yaml", "yml"]), ("journeys", ["yaml", "yml"]), ("mails", ["mjml", "txt"])];
    for (part, endings) in parts {
        let inside = folder.join(part);
        if !inside.is_dir() {
            continue;
        }
        let unreadable = |cause| DirectoryError::Unreadable { path: inside.clone(), cause };
        for entry in std::fs::read_dir(&inside).map_err(unreadable)? {
            let path = entry.map_err(unreadable)?.path();
            let ending = path.extension().and_then(|e| e.to_str()).unwrap_or("");
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
            if endings.contains(&ending) && !name.starts_with('.') {
                files.insert(format!("{part}/{name}"), text(&path)?);
            }
        }
    }
    Ok(files)
}

fn text(path: &Path) -> Result<String, DirectoryError> {
    let unreadable = |cause| DirectoryError::Unreadable { path: path.to_owned(), cause };
    let length = std::fs::metadata(path).map_err(unreadable)?.len();
    // One byte more than allowed is enough to be told so with the file's name.
    if length > FILE_BYTES_MAX as u64 * 4 {
        let cause = io::Error::other(format!("{length} bytes, expected at most {FILE_BYTES_MAX}"));
        return Err(unreadable(cause));
    }
    std::fs::read_to_string(path).map_err(unreadable)
}
