//! This binary as the shop that is measured: a process of its own, so that its processor time is its own,
//! too.

use crate::client::{Client, Patience, Request};
use anyhow::{Context, bail};
use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    time::{Duration, Instant},
};

/// How long the shop may take to be ready.
const READY_MAX: Duration = Duration::from_secs(30);
/// How long a drain may take: the shop itself promises 10 s.
const DRAIN_MAX: Duration = Duration::from_secs(15);
/// How often an ending shop is looked at.
const POLL: Duration = Duration::from_millis(20);

/// A running shop. Killed when dropped, if it was not stopped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
    started: Instant,
    /// Kept open: a shop that cannot print has a problem that is not measured here.
    stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts a shop on a free port, with its data in `data`.
    pub(crate) fn start(data: &Path) -> anyhow::Result<Self> {
        Self::start_role("all", [OsStr::new("--data"), data.as_os_str()])
    }

    /// Starts a role on a free port, with further flags.
    pub(crate) fn start_role(
        role: &str,
        flags: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> anyhow::Result<Self> {
        let binary = std::env::current_exe().context("this binary cannot be found")?;
        let started = Instant::now();
        let mut child = Command::new(binary)
            .args([role, "--listen", "127.0.0.1:0", "--trace", "warn"])
            .args(flags)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("the shop cannot be started")?;
        let stdout = child.stdout.take().context("the shop has no output")?;
        let mut server = Self {
            child,
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            started,
            stdout: BufReader::new(stdout),
        };
        let mut line = String::new();
        server.stdout.read_line(&mut line).context("the shop says nothing")?;
        server.address =
            address(&line).with_context(|| format!("the shop did not start: `{}`", line.trim()))?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Time since just before the process was made.
    pub(crate) fn age(&self) -> Duration {
        self.started.elapsed()
    }

    /// SIGKILL, at once.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.child.kill().context("the shop had ended by itself")?;
        self.child.wait().context("the shop cannot be waited for")?;
        Ok(())
    }

    /// Returns once the shop takes orders.
    pub(crate) async fn ready(&self) -> anyhow::Result<()> {
        let client = Client::new(&self.url(), 1)?;
        let answer = client.insist(&Request::get("/readyz"), &Patience::new(READY_MAX)).await?;
        if answer.status != 200 {
            bail!("the shop is not ready: {}", answer.brief());
        }
        Ok(())
    }

    /// Lets the shop finish what it has accepted and end.
    pub(crate) fn stop(mut self) -> anyhow::Result<()> {
        // The standard library has no gentle signal, and every system has this.
        let kill = ["-c", "kill -TERM \"$0\""];
        let status = Command::new("sh").args(kill).arg(self.pid().to_string()).status();
        if !status.context("the shop cannot be told to stop")?.success() {
            bail!("the shop had ended by itself");
        }
        let start = Instant::now();
        while start.elapsed() < DRAIN_MAX {
            match self.child.try_wait()? {
                Some(status) if status.success() => return Ok(()),
                Some(status) => bail!("the shop ended with {status}"),
                // tidy: allow(sleep) a process that ends tells only who waits without a deadline
                None => std::thread::sleep(POLL),
            }
        }
        bail!("the shop did not end within {} s", DRAIN_MAX.as_secs());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The address in the shop's first line.
fn address(line: &str) -> Option<SocketAddr> {
    let rest = line.split_once("http://")?.1;
    rest.split([',', ' ', '/', '\n']).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_in_the_first_line() {
        let expected = "127.0.0.1:8080".parse().ok();
        for line in [
            "jupan serves http://127.0.0.1:8080, data in ./jupan-data\n",
            "http://127.0.0.1:8080\n",
            "at http://127.0.0.1:8080/",
        ] {
            assert_eq!(address(line), expected, "{line}");
        }
        for line in ["", "jupan: data is in use\n", "http://localhost\n"] {
            assert_eq!(address(line), None, "{line}");
        }
    }
}
