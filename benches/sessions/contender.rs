//! Who is measured: a process with two addresses.

use std::net::SocketAddr;
use std::process::Child;

pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) udp: SocketAddr,
    pub(crate) tcp: SocketAddr,
    pub(crate) child: Child,
}

impl Drop for Contender {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Starts the server with the terminals of [`crate::frames`] registered.
///
/// # Errors
/// Why there is none to start.
pub(crate) fn start_server() -> Result<Contender, String> {
    Err("the program has no command that serves yet: give --peers-only".to_owned())
}
