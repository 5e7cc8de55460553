//! The `jupan` binary.
fn main() {}
