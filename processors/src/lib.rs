//! # The lane: read, prefetch, decide, commit, project, answer
