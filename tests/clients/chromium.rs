//! Headless Chromium for tests, also those of `cli`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// The browser, where there is one in `PATH`.
///
/// # Panics
/// Where there is none and `ODYSSEY_REQUIRE_CLIENTS=1`.
pub(crate) fn find(untested: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let names = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let found = std::env::split_paths(&path)
        .flat_map(|folder| names.map(|name| folder.join(name)))
        .find(|file| file.is_file());
    if found.is_none() {
        let required = std::env::var("ODYSSEY_REQUIRE_CLIENTS").is_ok_and(|value| value == "1");
        assert!(!required, "ODYSSEY_REQUIRE_CLIENTS=1 and no Chromium in PATH");
        // Past the capture of the test's output, so that it is seen.
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: no Chromium in PATH, so {untested} not tested in a browser"
        );
    }
    found
}

/// Chromium, ended when dropped.
pub(crate) struct Browser(Child);

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Opens a page. `profile` is an empty folder; where Chromium's `DevTools` listen is then written
/// into its file `DevToolsActivePort`.
pub(crate) fn open(chromium: &Path, profile: &Path, url: &str) -> Browser {
    let child = Command::new(chromium)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"])
        .args(["--no-first-run", "--disable-background-networking", "--remote-debugging-port=0"])
        // The pages that the tests drive may speak to DevTools themselves.
        .arg("--remote-allow-origins=*")
        .args(["--disable-background-timer-throttling", "--disable-renderer-backgrounding"])
        .arg("--disable-backgrounding-occluded-windows")
        // Subdomains, and an address that is not a secure context.
        .arg("--host-resolver-rules=MAP *.shop.test 127.0.0.1")
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(url)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Browser(child)
}
