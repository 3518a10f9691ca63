//! A message cut into fragments, which arrive in any order: the message comes out if they come in
//! theirs, and at no other time.

use kenshin::session::mbus::keys::NoKeys;
use kenshin::session::mbus::{Fragments, Scratch, Step, open};
use kenshin::wire::mbus::link::{self, Carriage, Format};

/// Fragments at most.
const PARTS_MAX: usize = 6;

/// Runs the target: a number of parts, an order, and the application data of the message.
pub fn run(data: &[u8]) {
    let [parts, order, payload @ ..] = data else {
        return;
    };
    let payload = &payload[..payload.len().min(600)];
    // Full-frame records in clear, without a header.
    let message = [&[0x78], payload].concat();
    let parts = usize::from(*parts) % PARTS_MAX + 1;
    let len = message.len().div_ceil(parts).clamp(1, 200);
    let telegrams: Vec<Vec<u8>> = message
        .chunks(len)
        .enumerate()
        .map(|(index, part)| telegram(index, message.chunks(len).len(), message.len(), part))
        .collect();
    // The last octets of a telegram may happen to be the CRC of the others, as format B has it.
    let is_plain = |telegram: &Vec<u8>| {
        let mut scratch = Vec::new();
        let link = link::read(telegram, Carriage::Auto, &mut scratch);
        link.is_ok_and(|link| link.format == Format::WirelessPlain)
    };
    if !telegrams.iter().all(is_plain) {
        return;
    }
    let order = permutation(usize::from(*order), telegrams.len());
    let mut fragments = Fragments::default();
    let mut scratch = Scratch::default();
    let mut outcome = None;
    for index in &order {
        let telegram = &telegrams[*index];
        let step = open(
            telegram,
            Carriage::Auto,
            &NoKeys,
            &mut fragments,
            0,
            &mut scratch,
        );
        if let Ok(Step::Opened(opened)) = step {
            assert!(outcome.is_none(), "one message comes out once");
            outcome = Some(opened.payload.to_vec());
        }
        assert!(fragments.len() <= 1, "one message a sender");
    }
    let in_order = order.is_sorted();
    if telegrams.len() > 1 {
        assert_eq!(outcome.is_some(), in_order, "{order:?}");
    }
    if let Some(outcome) = outcome {
        assert_eq!(outcome, payload);
    }
}

/// One of the orders of `count` things.
fn permutation(mut seed: usize, count: usize) -> Vec<usize> {
    let mut left: Vec<usize> = (0..count).collect();
    let mut order = Vec::new();
    while !left.is_empty() {
        order.push(left.remove(seed % left.len()));
        seed /= 2;
    }
    order
}

fn telegram(index: usize, count: usize, total: usize, part: &[u8]) -> Vec<u8> {
    let is_last = index + 1 == count;
    let number = u8::try_from(index + 1).expect("a few parts");
    let mut telegram = vec![0, 0x44, 0x93, 0x15, 0x78, 0x56, 0x34, 0x12, 0x33, 0x03];
    if count == 1 {
        telegram.extend([0x90, 2, 0, 0]);
    } else {
        let more = if is_last { 0 } else { 0x40 };
        if index == 0 {
            let [low, high] = u16::try_from(total).expect("a short message").to_le_bytes();
            telegram.extend([0x90, 4, number, more | 0x10, low, high]);
        } else {
            telegram.extend([0x90, 2, number, more]);
        }
    }
    telegram.extend_from_slice(part);
    telegram[0] = u8::try_from(telegram.len() - 1).expect("parts are short");
    telegram
}
