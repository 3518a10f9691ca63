//! Values come back from their octets, and octets from their values.

use proptest::prelude::*;
use proptest::sample::Index;

use crate::wire::otl::answer::Answer;
use crate::wire::otl::header::{Direction, Header};
use crate::wire::otl::ident::Mode;
use crate::wire::otl::json;
use crate::wire::otl::resync::{ResyncAnswer, ResyncBody};
use crate::wire::otl::uplink::{Salvage, UplinkBody};
use crate::wire::writer::Writer;

use super::samples::records;
use super::strategies::{answer, counter, plain_items, report, uplink_body};
use super::{encode, plaintext, record};

const MODE: Mode = Mode::CcmStatic;

fn answer_octets(answer: &Answer) -> Vec<u8> {
    let mut out = Vec::new();
    answer
        .encode(MODE, &mut Writer::new(&mut out, 2_000))
        .unwrap();
    out
}

/// Report and reason, without zeros.
fn resync_octets(body: &ResyncBody) -> Vec<u8> {
    let mut out = Vec::new();
    body.report.encode(&mut Writer::new(&mut out, 64)).unwrap();
    out.push(body.reason);
    out
}

fn resync_answer_octets(answer: &ResyncAnswer) -> Vec<u8> {
    let mut out = Vec::new();
    answer.encode(&mut Writer::new(&mut out, 2_000)).unwrap();
    out
}

/// A change of octets: some are replaced, one may go or come.
type Damage = (Vec<(Index, u8)>, Option<Index>, Option<(Index, u8)>);

fn damage() -> impl Strategy<Value = Damage> {
    (
        prop::collection::vec((any::<Index>(), any::<u8>()), 0..4),
        prop::option::of(any::<Index>()),
        prop::option::of((any::<Index>(), any::<u8>())),
    )
}

fn damaged(mut octets: Vec<u8>, (replaced, gone, come): Damage) -> Vec<u8> {
    for (index, octet) in replaced {
        *index.get_mut(&mut octets) = octet;
    }
    if let Some(index) = gone {
        octets.remove(index.index(octets.len()));
    }
    if let Some((index, octet)) = come {
        octets.insert(index.index(octets.len() + 1), octet);
    }
    octets
}

/// What is accepted of these octets has them as its only encoding.
fn check_canonical(octets: &[u8]) {
    if let Ok(body) = UplinkBody::decode(octets, 23, MODE) {
        assert_eq!(encode(&body, MODE), octets);
        let salvage = Salvage::decode(octets, 23, MODE).unwrap();
        assert!(salvage.damaged.is_empty());
        assert_eq!(salvage.body, body);
    }
    if let Ok(body) = UplinkBody::decode(octets, 15, Mode::Clear) {
        assert_eq!(encode(&body, Mode::Clear), octets);
    }
    if let Ok(body) = Answer::decode(octets, 14, MODE) {
        assert_eq!(answer_octets(&body), octets);
    }
    if let Ok(body) = ResyncAnswer::decode(octets, 10) {
        assert_eq!(resync_answer_octets(&body), octets);
    }
    for from in [Direction::FromTerminal, Direction::FromServer] {
        if let Ok(header) = Header::parse(octets, from) {
            let head = header.encode();
            assert_eq!(head.as_slice(), &octets[..head.as_slice().len()]);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(160))]

    // spec: GEN-3
    #[test]
    fn uplink_comes_back_from_its_octets(body in uplink_body()) {
        let octets = encode(&body, MODE);
        prop_assert_eq!(UplinkBody::decode(&octets, 23, MODE), Ok(body));
    }

    // spec: GEN-3
    #[test]
    fn answer_comes_back_from_its_octets(answer in answer()) {
        let octets = answer_octets(&answer);
        prop_assert_eq!(Answer::decode(&octets, 14, MODE), Ok(answer));
    }

    // spec: GEN-3
    #[test]
    fn resync_answer_comes_back_from_its_octets(floor in counter(), items in plain_items()) {
        let answer = ResyncAnswer::new(floor, items).unwrap();
        let octets = resync_answer_octets(&answer);
        prop_assert_eq!(ResyncAnswer::decode(&octets, 10), Ok(answer));
    }

    // spec: GEN-3, FRM-14
    #[test]
    fn resync_comes_back_from_its_octets(report in report(), reason: u8) {
        let body = ResyncBody { report, reason };
        for mode in [Mode::CcmStatic, Mode::CcmSession, Mode::GcmSession] {
            let mut out = Vec::new();
            body.encode(mode, &mut Writer::new(&mut out, 64)).unwrap();
            prop_assert_eq!(out.len(), 64 - 27 - mode.tag_len());
            prop_assert_eq!(ResyncBody::decode(&out, 27), Ok(body));
        }
    }

    // spec: GEN-3
    #[test]
    fn what_is_accepted_of_a_damaged_uplink_has_no_other_encoding(
        body in uplink_body(), damage in damage()
    ) {
        check_canonical(&damaged(encode(&body, MODE), damage));
    }

    // spec: GEN-3
    #[test]
    fn what_is_accepted_of_a_damaged_sample_has_no_other_encoding(
        index: Index, damage in damage()
    ) {
        let samples = records();
        let (number, body) = index.get(&samples);
        check_canonical(&damaged(plaintext(&record(*number, body)), damage));
    }

    // spec: GEN-3
    #[test]
    fn what_is_accepted_of_a_damaged_answer_has_no_other_encoding(
        answer in answer(), damage in damage()
    ) {
        check_canonical(&damaged(answer_octets(&answer), damage));
    }

    // spec: GEN-3, GEN-6
    #[test]
    fn any_octets_are_decoded_or_refused(octets in prop::collection::vec(any::<u8>(), 0..1_300)) {
        check_canonical(&octets);
        if let Ok(body) = ResyncBody::decode(&octets, 27) {
            prop_assert!(octets.starts_with(&resync_octets(&body)));
        }
        if let Ok(salvage) = Salvage::decode(&octets, 23, MODE) {
            let kept = salvage.body.records.len() + salvage.damaged.len();
            prop_assert!(kept <= octets.len());
        }
    }

    // spec: ERR-3
    #[test]
    fn offset_of_an_error_is_within_the_frame_or_at_its_end(
        body in uplink_body(), damage in damage()
    ) {
        let octets = damaged(encode(&body, MODE), damage);
        if let Err(error) = UplinkBody::decode(&octets, 23, MODE) {
            prop_assert!((23..=23 + octets.len()).contains(&error.offset), "{}", error);
            prop_assert!(!error.context.is_empty(), "{}", error);
        }
    }

    #[test]
    fn encoder_stops_at_its_limit(body in uplink_body(), limit in 0_usize..1_200) {
        let whole = encode(&body, MODE);
        let mut out = Vec::new();
        let result = body.encode(MODE, &mut Writer::new(&mut out, limit));
        prop_assert!(out.len() <= limit);
        prop_assert_eq!(result.is_ok(), whole.len() <= limit);
    }

    #[test]
    fn every_uplink_has_a_json_form(body in uplink_body()) {
        for record in &body.records {
            let value = json::record(record);
            prop_assert_eq!(value["sequence"].as_u64(), Some(u64::from(record.sequence.get())));
            prop_assert_eq!(value["type"].as_str(), Some(record.body.id()));
        }
    }
}
