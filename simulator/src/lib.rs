//! The terminal's side of the links that Kenshin serves.
//!
//! This is a second implementation, written from `protocol-spec/` and sharing no line with the
//! server, so that a misreading on one side shows as a disagreement. It never names the server's
//! package.
