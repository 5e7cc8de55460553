//! # The HTTP API
