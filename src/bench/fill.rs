//! A journal for `bench recovery`: an engine that writes orders until it is killed, as a process of
//! its own, and the parent's side of it.

use super::{
    engine::Engine,
    plan::{Crowd, Fill},
};
use anyhow::Context;
use serde::{Deserialize, Serialize};
use std::{
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicBool, Ordering},
};

/// Orders between two looks whether the parent is gone.
const STRETCH_ORDERS: u64 = 10_000;

/// What was written before the process was ready to be killed.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Filled {
    /// Placed orders.
    pub(crate) orders: u64,
    /// How long that took, without what came before.
    pub(crate) seconds: f64,
}

/// The child: writes so many orders, tells, and goes on until it is killed or its parent is gone.
///
/// # Errors
/// What could not be written.
pub(crate) fn run(plan: &Fill) -> anyhow::Result<()> {
    static PARENT_GONE: AtomicBool = AtomicBool::new(false);
    std::thread::Builder::new().name("bench-parent".to_owned()).spawn(|| {
        // Nothing is sent: the pipe ends with the parent.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        PARENT_GONE.store(true, Ordering::Release);
    })?;
    let engine = Engine::open(&plan.data, plan.crowd.into(), None)?;
    engine.populate()?;
    let seconds = engine.fill(plan.orders)?.as_secs_f64();
    let mut out = std::io::stdout();
    writeln!(out, "{}", serde_json::to_string(&Filled { orders: plan.orders, seconds })?)?;
    out.flush()?;
    while !PARENT_GONE.load(Ordering::Acquire) {
        engine.fill(STRETCH_ORDERS)?;
    }
    engine.close()
}

/// The child, seen from its parent. Killed when dropped.
pub(crate) struct Filler(Child);

impl Filler {
    /// Writes so many orders into a directory; the child is still writing more when this returns.
    ///
    /// # Errors
    /// Why it could not.
    pub(crate) fn start(data: &Path, crowd: Crowd, orders: u64) -> anyhow::Result<(Self, Filled)> {
        let binary = std::env::current_exe().context("this binary cannot be found")?;
        let Crowd { users, goods } = crowd;
        let mut call = Command::new(binary);
        call.args(["bench", "fill", "--data"]).arg(data);
        for (flag, number) in [
            ("--users", users),
            ("--products", goods.products),
            ("--lines", goods.lines),
            ("--orders", orders),
        ] {
            call.arg(flag).arg(number.to_string());
        }
        let piped = call.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut filler = Self(piped.context("the engine cannot be started")?);
        let stdout = filler.0.stdout.take().context("the engine has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line).context("the engine says nothing")?;
        let filled = serde_json::from_str(&line).context("the engine ended at its work")?;
        Ok((filler, filled))
    }

    /// SIGKILL, at once.
    ///
    /// # Errors
    /// Where it had ended by itself.
    pub(crate) fn kill(mut self) -> anyhow::Result<()> {
        self.0.kill().context("the engine had ended by itself")?;
        self.0.wait().context("the engine cannot be waited for")?;
        Ok(())
    }
}

impl Drop for Filler {
    fn drop(&mut self) {
        // Both fail only if it has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
