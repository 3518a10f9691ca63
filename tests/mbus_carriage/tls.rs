//! TLS with certificates on both sides.
