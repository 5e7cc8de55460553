//! # The pure core: decide, evolve, footprint
