//! The gate before the log: at most so many requests with commands at once, so that overload is
//! refused early and cheaply instead of queued.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Counts the requests that are let in.
pub(crate) struct Admission {
    inside: AtomicUsize,
    inside_max: usize,
}

impl Admission {
    pub(crate) fn new(inside_max: usize) -> Self {
        Self { inside: AtomicUsize::new(0), inside_max }
    }

    /// Lets one request in, until the pass is dropped; `None` when it is full.
    pub(crate) fn enter(&self) -> Option<Pass<'_>> {
        let pass = Pass { gate: self };
        let before = self.inside.fetch_add(1, Ordering::Relaxed);
        // The pass already counts: dropping it takes the refused request out again.
        (before < self.inside_max).then_some(pass)
    }

    /// How many are inside.
    pub(crate) fn inside(&self) -> usize {
        self.inside.load(Ordering::Relaxed)
    }
}

/// One request inside the gate.
pub(crate) struct Pass<'a> {
    gate: &'a Admission,
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        self.gate.inside.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_gate_lets_nobody_in_until_one_leaves() {
        let gate = Admission::new(2);
        let first = gate.enter();
        let second = gate.enter();
        assert!(first.is_some() && second.is_some() && gate.enter().is_none());
        assert_eq!(gate.inside(), 2);
        drop(first);
        assert!(gate.enter().is_some());
        drop(second);
        assert_eq!(gate.inside(), 0);
    }
}
