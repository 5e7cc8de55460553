//! Bugs on purpose, as in the contract's crate: whether the tests on the wire would find them. This
//! one needs a real broker and a real process, so the environment names it. Without the feature
//! `planted-bugs` [`is_planted`] is the constant `false`, and with it no release compiles.

#[cfg(all(feature = "planted-bugs", not(debug_assertions)))]
compile_error!("a release must not have bugs on purpose in it");

/// A commit of unknown outcome is taken for one that did not happen: the lane goes on with what it
/// has in memory and commits it once more, instead of asking the journal.
pub(super) const UNKNOWN_COMMIT_REPEATED: &str = "unknown-commit-repeated";

/// The variable that names a bug.
#[cfg(feature = "planted-bugs")]
const VARIABLE: &str = "JUPAN_PLANT";

/// Whether this bug is on.
#[cfg(feature = "planted-bugs")]
pub(super) fn is_planted(bug: &str) -> bool {
    std::env::var(VARIABLE).is_ok_and(|named| named == bug)
}

/// Whether this bug is on: never, in this build.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub(super) const fn is_planted(_: &str) -> bool {
    false
}
