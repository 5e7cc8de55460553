//! Chromium, driven by its own protocol (DevTools) through two pipes. A pipe needs no port, no driver
//! and no crate; and the browser ends when the pipe does, however the test ends.

mod tab;
mod wire;

pub(crate) use tab::Tab;

use serde_json::json;
use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};
use wire::Wire;

/// Browsers at once: each is half a dozen processes.
static SEATS: Semaphore = Semaphore::const_new(2);
/// What Chromium is called, in the order in which it is looked for.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
/// How long it may take to end by itself.
const END_MAX: Duration = Duration::from_secs(5);

/// Its pipe is file 3 and 4; `sh` moves them there from where a child can be given them.
const OVER_PIPES: &str = r#"exec "$0" "$@" 3<&0 4>&1 </dev/null >"$JUPAN_OUTPUT" 2>&1"#;

/// As quiet as it can be: nothing is looked up, updated, reported or asked.
const FLAGS: [&str; 16] = [
    "--headless=new",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
    // The tests' own pages only, and often as root in a container, where there is no sandbox.
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-default-browser-check",
    "--no-first-run",
    "--no-pings",
    "--force-color-profile=srgb",
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
];

/// A running browser with a profile of its own; ended when dropped.
pub(crate) struct Browser {
    child: Child,
    wire: Arc<Wire>,
    /// Goes after the browser has ended.
    _profile: tempfile::TempDir,
    _seat: SemaphorePermit<'static>,
}

impl Browser {
    /// Starts Chromium. A machine without it fails the test: what is not run is not green.
    pub(crate) async fn start() -> Self {
        let seat = SEATS.acquire().await.expect("never closed");
        let profile = crate::shop::fresh_dir();
        let output = profile.path().join("output.txt");
        let mut child = Command::new("sh")
            .env("JUPAN_OUTPUT", &output)
            .args(["-c", OVER_PIPES])
            .arg(binary())
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh starts");
        let input = child.stdin.take().expect("piped");
        let wire = Wire::new(input, child.stdout.take().expect("piped"), output);
        let browser = Self { child, wire, _profile: profile, _seat: seat };
        let version = browser.wire.call(None, "Browser.getVersion", json!({})).await;
        assert!(version["product"].is_string(), "{version}");
        browser
    }

    /// An empty tab of a browser that speaks this language, for example `ko-KR`.
    pub(crate) async fn tab(&self, language: &str) -> Tab {
        Tab::open(&self.wire, language).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.wire.close();
        let end = Instant::now() + END_MAX;
        while Instant::now() < end {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn binary() -> PathBuf {
    if let Some(path) = std::env::var_os("JUPAN_CHROMIUM") {
        return path.into();
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut paths = NAMES.iter().flat_map(|name| {
        std::env::split_paths(&folders).map(move |folder| folder.join(name)).collect::<Vec<_>>()
    });
    paths.find(|path| path.is_file()).expect(
        "these tests need Chromium: `apt-get install chromium`, or its path in JUPAN_CHROMIUM",
    )
}
