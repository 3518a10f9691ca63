//! Tests of the link as a whole.
