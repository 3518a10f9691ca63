//! A server with two utilities, one consumer each, and terminals in the hands of the tests.

use std::net::{SocketAddr, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use kenshin::keyring::UtilityId;

use super::hand::Hand;
use super::serve::{Registered, Site, utc_s};

pub(crate) const GAS: [u8; 8] = *b"townsgas";
pub(crate) const WATER: [u8; 8] = *b"townswtr";
pub(crate) const MASTERS: [&[u8; 16]; 2] = [b"gas link master.", b"water link mastr"];
pub(crate) const TOKENS: [&str; 2] = [
    "gas-token-0123456789abcdefghijkl",
    "water-token-0123456789abcdefghij",
];
/// Terminals of the gas utility; all of mode 1 but the last, which is of mode 2.
pub(crate) const TERMINALS: u8 = 12;

pub(crate) fn identity(utility: u8, number: u8) -> [u8; 8] {
    [0, 7, 0, 0, 0, 0, utility, number]
}

/// Waits until something holds; 60 s at most.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..3_000 {
        if holds() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("not within 60 s: {what}");
}

pub(crate) struct Town {
    pub(crate) site: Site,
    _dir: tempfile::TempDir,
}

impl Town {
    /// `more` is added to the configuration.
    pub(crate) fn new(more: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut text = more.to_owned();
        for ((name, utility), token) in [("cloud", GAS), ("works", WATER)].into_iter().zip(TOKENS) {
            let file = dir.path().join(format!("{name}.token"));
            std::fs::write(&file, format!("{token}\n")).unwrap();
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
            text += &format!(
                "[[consumer]]\nname = \"{name}\"\nutility = \"{}\"\ntoken_file = \"{}\"\n\
                 from = \"start\"\n",
                UtilityId::new(utility),
                file.display()
            );
        }
        let registered = |id: [u8; 8], number: u8| Registered {
            id,
            name: format!("utility {number}"),
            link_master: MASTERS[usize::from(number)].to_vec(),
            terminals: (0..TERMINALS)
                .map(|one| {
                    (
                        identity(number, one),
                        if one == TERMINALS - 1 { 2 } else { 1 },
                    )
                })
                .collect(),
        };
        let utilities = [registered(GAS, 0), registered(WATER, 1)];
        Self {
            site: Site::new(&dir.path().join("site"), &utilities, &text),
            _dir: dir,
        }
    }

    pub(crate) fn gas(&self, number: u8) -> Hand {
        Hand::new(GAS, MASTERS[0], identity(0, number), utc_s())
    }

    pub(crate) fn water(&self, number: u8) -> Hand {
        Hand::new(WATER, MASTERS[1], identity(1, number), utc_s())
    }

    /// Sends a frame until it is answered, as a terminal does, and gives the answer.
    pub(crate) fn call(&self, port: SocketAddr, frame: &[u8]) -> Vec<u8> {
        let socket = socket();
        exchange(&socket, port, frame)
    }
}

pub(crate) fn socket() -> UdpSocket {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let patience = Some(Duration::from_millis(1_100));
    socket.set_read_timeout(patience).unwrap();
    socket
}

/// Nothing is answered in the second of a start, so that more than one try may be needed.
pub(crate) fn exchange(socket: &UdpSocket, port: SocketAddr, frame: &[u8]) -> Vec<u8> {
    let mut buffer = [0; 1_500];
    for _ in 0..50 {
        socket.send_to(frame, port).unwrap();
        if let Ok(len) = socket.recv(&mut buffer) {
            return buffer[..len].to_vec();
        }
    }
    panic!("no answer within 55 s");
}
