//! The configuration: one tree, its defaults and its bounds.
