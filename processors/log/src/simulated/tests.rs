//! The disk itself: what survives, and what fails.
