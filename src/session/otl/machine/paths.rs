//! Where a terminal can be reached.

use super::io::PathKey;

/// The source of a terminal's uplink with the highest counter, to be called at.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listener<P> {
    /// The address.
    pub path: P,
    /// The counter of that uplink.
    pub counter: u32,
}

/// The one connection and the one address of a terminal.
#[derive(Clone, Copy, Debug)]
pub(super) struct Paths<P> {
    connection: Option<P>,
    /// Whether a new frame came on the connection, and not only what anybody may have recorded.
    is_held: bool,
    listener: Option<Listener<P>>,
}

impl<P: PathKey> Paths<P> {
    pub(super) const fn new(listener: Option<Listener<P>>) -> Self {
        Self {
            connection: None,
            is_held: false,
            listener,
        }
    }

    /// A new frame verified on this path. Gives the connection that it takes over from, which is
    /// to be closed.
    // spec: TCP-6, SES-12
    pub(super) fn new_frame(&mut self, path: P, counter: u32, is_highest: bool) -> Option<P> {
        if path.is_connection() {
            self.is_held = true;
            let older = self.connection.replace(path);
            return older.filter(|older| *older != path);
        }
        let is_later = self
            .listener
            .is_none_or(|listener| listener.counter < counter);
        if is_highest && is_later {
            self.listener = Some(Listener { path, counter });
        }
        None
    }

    /// A frame verified that may be a repeat: whoever recorded it can send it, so that it takes
    /// nothing over and holds nothing. It only says that somebody is there.
    // spec: TCP-6
    pub(super) fn repeated_frame(&mut self, path: P) {
        if path.is_connection() {
            self.connection.get_or_insert(path);
        }
    }

    pub(super) fn closed(&mut self, path: P) {
        self.connection = self.connection.filter(|known| *known != path);
        self.is_held &= self.connection.is_some();
    }

    pub(super) const fn take_connection(&mut self) -> Option<P> {
        self.is_held = false;
        self.connection.take()
    }

    /// Whether the terminal itself is known to hold a connection.
    pub(super) const fn holds_connection(&self) -> bool {
        self.is_held
    }

    pub(super) const fn listener(&self) -> Option<Listener<P>> {
        self.listener
    }

    /// Every way to reach the terminal.
    // spec: SES-12
    pub(super) fn all(&self) -> [Option<P>; 2] {
        [self.connection, self.listener.map(|listener| listener.path)]
    }
}
