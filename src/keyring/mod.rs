//! Keys per utility, with versions.
//!
//! This layer opens no file: the text of a key file is passed in.
