//! Telegrams of any carriage: the link layer, and the view that names every octet.

use kenshin::wire::mbus::annotate;
use kenshin::wire::mbus::link::{self, Carriage, Format};

/// Runs the target.
pub fn run(data: &[u8]) {
    for carriage in [
        Carriage::Auto,
        Carriage::Wired,
        Carriage::Wireless,
        Carriage::TransportFirst,
    ] {
        let mut scratch = Vec::new();
        match link::read(data, carriage, &mut scratch) {
            Ok(link) => {
                let used = link.body_offset + link.body.len();
                assert!(used <= data.len(), "a body is within its telegram");
                assert!(link.trailing_octets <= data.len() - used);
                let has_sender = link.sender.is_some();
                let is_wireless = !link.format.is_wired() && link.format != Format::TransportFirst;
                assert_eq!(has_sender, is_wireless);
            }
            Err(error) => assert!(error.offset <= data.len(), "{error}"),
        }
    }
    if let Some(unchecked) = link::unchecked(data) {
        let link = unchecked.link;
        let used = link.body_offset + link.body.len();
        assert_eq!(used + link.trailing_octets, data.len());
    }
    let layers = annotate::layers(data);
    let mut at = 0;
    for note in &layers.notes {
        assert_eq!(note.offset, at, "no gap and no overlap");
        at += note.len;
    }
    assert_eq!(at, layers.octets.len(), "every octet has a name");
}
