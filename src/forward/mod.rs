//! Records on their way to whoever consumes them.
