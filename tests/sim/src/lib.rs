//! # The simulator and its auditor
//!
//! Runs the real lanes (loop, restore, takeover, core) and the real feed of best sellers over the
//! memory providers, in one thread, with everything that can vary decided by one seed: what is
//! asked, who turns next, what is synced, what goes wrong. Afterwards an auditor that shares no code
//! with them reads the inputs and the journals, and says what had to come of each input.
//!
//! **Where in the flow:** around everything. `world` says what happens next, `turns` turns the
//! lanes, `workload` asks (`wishes`), `sellers` asks what sells best, `faults` breaks things,
//! `ports` and `gate` let it happen between any two calls of a lane, `told` listens to the outcomes,
//! `rest` waits for the end, `auditor` judges; `mix` draws what a seed is made of, `campaign` runs
//! many of them.
//!
//! **Invariants, as absences**
//! - Nothing but the seed decides anything: no time, no thread, no order of a hash map.
//! - There is no code of core, lanes or analytics in the auditor; of the contract there is.
//! - There is no stand-in for a lane: only providers, clock and scheduling are the simulator's.
//! - There is no planted bug in a release: they are behind a feature that the binary refuses.

mod auditor;
mod campaign;
mod disk;
mod faults;
mod gate;
mod lanes;
mod mix;
#[cfg(feature = "planted-bugs")]
pub mod planted;
mod ports;
mod random;
mod report;
mod rest;
mod sellers;
#[cfg(test)]
mod tests;
mod told;
mod turns;
mod wishes;
mod workload;
mod world;

pub use campaign::{Plan, run, simulate};
pub use report::{Invariant, Run, Summary, VIOLATIONS_MAX, Violation};
