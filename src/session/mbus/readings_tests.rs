//! Telegrams that can be read in two ways: damaged ones give no record, and whole ones are read
//! whatever stands behind them.

use super::*;

/// Numbers that look random, the same in each run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end).unwrap()).unwrap()
    }
}

/// A clear telegram of some meter that tells energy, volume and a date.
fn of_some_meter(numbers: &mut Numbers) -> Vec<u8> {
    let mut body = hex!("7A01000000 0C0600000000 0413 00000000 426C1F11 02FD170000").to_vec();
    for at in [7, 8, 9, 13, 14, 15] {
        body[at] = u8::try_from(numbers.below(10)).unwrap();
    }
    let mut telegram = telegram(&body);
    for octet in &mut telegram[2..10] {
        *octet = u8::try_from(numbers.below(0x9A)).unwrap();
    }
    telegram
}

/// Flips a bit in each of these blocks of format A, but of the CI field.
fn damage(framed: &mut [u8], blocks: &[usize], numbers: &mut Numbers) {
    for block in blocks {
        // The length octet stays as it is.
        let (from, to) = match block {
            0 => (1, 12),
            1 => (13, framed.len().min(30)),
            _ => (18 * block - 6, (18 * block + 12).min(framed.len())),
        };
        framed[from + numbers.below(to - from)] ^= 1 << numbers.below(8);
    }
}

/// How many of so many telegrams in format A, damaged in some blocks or all, are taken for others.
fn taken_of(rounds: usize, cut: usize, damage_more: impl Fn(&mut [u8], &mut Numbers)) -> usize {
    let mut numbers = Numbers(7);
    let taken = |round: usize| {
        let whole = with_crcs(&of_some_meter(&mut numbers), true);
        let blocks = [&[0, 1][..], &[0, 2], &[1, 2], &[0, 1, 2]][round % 4];
        let mut damaged = whole.clone();
        damage(&mut damaged, blocks, &mut numbers);
        damage_more(&mut damaged, &mut numbers);
        // Cut, as it is, and with octets behind it.
        damaged.resize(whole.len() + round / 4 % 4 - cut, 0xA5);
        let opened = open_one(&damaged, &lax());
        // Whether it is damage does not hang on the meter's policy.
        let is_damage = |opened: &Result<_, _>| matches!(opened, Err(Refusal::Octets(_)));
        let strictly = open_one(&damaged, &strict());
        assert_eq!(is_damage(&opened), is_damage(&strictly), "{damaged:02X?}");
        // Of a maker's part nothing is read, so that no value is wrong.
        opened.is_ok_and(|seen| cut == 0 || !(0xA0..=0xB7).contains(&seen.ci))
    };
    (0..rounds).map(taken).filter(|taken| *taken).count()
}

#[test]
fn a_telegram_that_is_damaged_in_several_blocks_gives_no_record() {
    assert_eq!(taken_of(8_000, 0, |_, _| {}), 0);
}

#[test]
fn of_telegrams_whose_ci_field_is_damaged_too_few_are_taken_for_others() {
    let damage_ci = |damaged: &mut [u8], numbers: &mut Numbers| {
        damaged[12] ^= 1 << numbers.below(8);
    };
    // All CRCs are wrong then, and octets that nobody vouches for can look right.
    let taken = taken_of(8_000, 0, damage_ci);
    assert!(taken < 160, "{taken}");
}

#[test]
fn of_telegrams_that_are_damaged_in_all_blocks_and_cut_too_few_are_taken_for_others() {
    let taken = taken_of(8_000, 1, |_, _| {});
    assert!(taken < 80, "{taken}");
}

#[test]
fn a_telegram_whose_c_field_is_damaged_makes_no_other_meter_of_the_octets_behind() {
    let records = hex!("78 0C0678563412").repeat(13);
    for c_field in [0x08, 0x18, 0x28, 0x38, 0x43, 0x44, 0x46, 0x47, 0x48, 0x53] {
        let mut whole = telegram(&[&[0x78][..], &records].concat());
        whole.truncate(usize::from(c_field) + 1);
        if whole.len() < 20 {
            continue;
        }
        whole[0] = c_field;
        let mut in_b = with_crcs(&whole[..whole.len() - 2], false);
        in_b[0] = c_field;
        for mut damaged in [whole.clone(), with_crcs(&whole, true), in_b] {
            damaged[1] ^= 1;
            for at in (20..damaged.len()).step_by(18) {
                damaged[at] ^= 1;
            }
            assert!(open_one(&damaged, &lax()).is_err(), "{damaged:02X?}");
        }
    }
}

/// Messages of every kind, by the name of the kind.
fn messages() -> Vec<(&'static str, Vec<u8>)> {
    let records = hex!("0C0678563412 041339300000");
    let clear = |ci: &str, rest: &[u8]| [&octets(ci)[..], rest].concat();
    let signed = with_mac(&mode_7(&[0x10], false, &[RECORD; 3].concat(), &[]));
    let in_clear = with_mac(&mode_7(&[0x10], false, &[], &records));
    let with_maker_s = [&records[..], &hex!("0F0102030405060708")].concat();
    vec![
        ("records", clear("7A2A000000", &records)),
        ("records and more", clear("7A2A000000", &with_maker_s)),
        ("no header", clear("78", &records)),
        ("no records", clear("7A2A000000", &[])),
        ("header alone", clear("8A2A000000", &[])),
        ("application error", clear("6E2A00000001", &[])),
        ("compact", clear("792D2C1A2B", &records)),
        ("alarm status", clear("7104", &[])),
        ("mode 5", mode_5(&records, &[])),
        ("mode 5 and more", mode_5(&records, &hex!("02FD170000"))),
        ("mode 7", signed.clone()),
        ("mode 7 in clear", [&hex!("8C2078")[..], &in_clear].concat()),
        // Access numbers that are CI fields where format A has its CRCs.
        ("78h", [&hex!("8C2078")[..], &signed].concat()),
        ("75h", [&hex!("8C2075")[..], &signed].concat()),
        (
            "7Ah",
            [&hex!("8C207A")[..], &mode_5(&records, &[])].concat(),
        ),
    ]
}

fn octets(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
        .collect()
}

/// As it is handed on without CRCs, in format A and in format B.
fn in_all_formats(telegram: &[u8]) -> [Vec<u8>; 3] {
    [
        telegram.to_vec(),
        with_crcs(telegram, true),
        with_crcs(telegram, false),
    ]
}

#[test]
fn a_telegram_of_every_kind_and_format_is_read_whatever_stands_behind_it() {
    let other = Ring(vec![(1, [9; 16])], Policy::ClearAllowed);
    for (kind, message) in messages() {
        for octet in [0x00, 0xFF, 0x78] {
            for telegram in in_all_formats(&telegram(&message)) {
                let alone = open_one(&telegram, &lax());
                assert!(alone.is_ok(), "{kind}: {alone:?}");
                let with_another_key = open_one(&telegram, &other);
                let where_all_are_encrypted = open_one(&telegram, &strict());
                for behind in 1..=24 {
                    let mut longer = telegram.clone();
                    longer.resize(telegram.len() + behind, octet);
                    let what = format!("{kind}, {behind} times {octet:02X} behind");
                    assert_eq!(open_one(&longer, &lax()), alone, "{what}");
                    let wrong_key = open_one(&longer, &other);
                    assert_eq!(wrong_key, with_another_key, "{what}");
                    let strictly = open_one(&longer, &strict());
                    assert_eq!(strictly, where_all_are_encrypted, "{what}");
                }
            }
        }
    }
}

#[test]
fn a_maker_s_part_alone_is_read_with_some_octets_behind_it() {
    let telegram = telegram(&hex!("78 0F 01020304050607"));
    let alone = open_one(&telegram, &lax());
    assert!(alone.is_ok());
    for behind in 1..=3 {
        let mut longer = telegram.clone();
        longer.resize(telegram.len() + behind, 0xA5);
        assert_eq!(open_one(&longer, &lax()), alone, "{behind}");
    }
}

#[test]
fn a_clear_telegram_is_read_with_some_octets_behind_it_whatever_its_numbers_are() {
    let records = hex!("0C1312345600 046D120A3C2F");
    let long = |at: usize, octet: u8| {
        let mut header = hex!("72 79563412 9315 33 03 07 00 00 00");
        header[at] = octet;
        [&header[..], &records].concat()
    };
    let short = |octet: u8| [&[0x7A, octet, octet, 0, 0][..], &records].concat();
    let of_link = |octet: u8| [&[0x8C, 0x20, octet, 0x78][..], &records].concat();
    let fabrication =
        |octet: u8| [&[0x78, 0x0C, 0x78, octet, 0x31, 0x81, 0x48][..], &records].concat();
    for octet in 0..=255 {
        // Identification, access number and status of a long header, and those of others.
        let mut all: Vec<_> = [1, 2, 3, 4, 9, 10]
            .iter()
            .map(|at| long(*at, octet))
            .collect();
        all.extend([short(octet), of_link(octet), fabrication(octet)]);
        for message in all {
            let telegram = telegram(&message);
            let alone = open_one(&telegram, &lax());
            for behind in 1..=3 {
                let mut longer = telegram.clone();
                longer.resize(telegram.len() + behind, 0xA5);
                assert_eq!(open_one(&longer, &lax()), alone, "{longer:02X?}");
            }
        }
    }
}

#[test]
fn a_telegram_in_mode_5_whose_crc_of_format_b_does_not_hold_is_refused() {
    let plain = hex!("0C1312345600 046D120A3C2F 0C1312345600 046D120A3C2F");
    let framed = with_crcs(&telegram(&mode_5(&plain, &[])), false);
    let whole = open_one(&framed, &strict()).unwrap();
    for bit in 8 * 15..framed.len() * 8 {
        let mut damaged = framed.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        for keys in [strict(), lax()] {
            // A CRC may be damaged so that it looks like content.
            if let Ok(seen) = open_one(&damaged, &keys) {
                assert!(seen.payload.starts_with(&whole.payload), "{bit}: {seen:?}");
                assert!(bit >= 8 * (framed.len() - 2), "{bit}");
            }
        }
    }
    // Fillers and a maker's octet are content.
    for tail in [[0x2F, 0x2F], [0x0F, 0x77], [0x1F, 0x77], [0x2F, 0x0F]] {
        let whole = telegram(&mode_5(&plain, &tail));
        assert!(open_one(&whole, &lax()).is_ok(), "{tail:02X?}");
    }
}

/// So many pairs of a volume and the time of its reading, as `numbers` have them.
fn pairs(count: usize, numbers: &mut Numbers) -> Vec<u8> {
    let mut all = Vec::new();
    for _ in 0..count {
        let mut pair = hex!("0C1300000000 046D00043C2F");
        for octet in &mut pair[2..6] {
            *octet = u8::try_from(numbers.below(10) * 16 + numbers.below(10)).unwrap();
        }
        pair[8] = u8::try_from(numbers.below(60)).unwrap();
        all.extend(pair);
    }
    all
}

#[test]
fn of_telegrams_in_mode_5_whose_crcs_of_format_b_do_not_hold_most_are_refused() {
    let mut numbers = Numbers(7);
    // Pairs in the encrypted blocks and behind them.
    for (encrypted, behind) in [(10, 0), (10, 1), (7, 3), (5, 5), (2, 1), (2, 3)] {
        let mut taken = [0; 2];
        for _ in 0..1_000 {
            let plain = pairs(encrypted, &mut numbers);
            let tail = pairs(behind, &mut numbers);
            let message = telegram(&mode_5(&plain, &tail));
            let framed = with_crcs(&message, false);
            let mut damaged = framed.clone();
            damaged[31 + numbers.below(16)] ^= 1 << numbers.below(8);
            if framed.len() > 128 {
                damaged[128 + numbers.below(framed.len() - 128)] ^= 1 << numbers.below(8);
            }
            for (taken, keys) in taken.iter_mut().zip([lax(), strict()]) {
                assert!(open_one(&framed, &keys).is_ok());
                assert!(open_one(&message, &keys).is_ok());
                *taken += usize::from(open_one(&damaged, &keys).is_ok());
            }
        }
        // Of 1,000: what reads as some records by chance.
        assert!(
            taken.iter().all(|taken| *taken < 260),
            "{encrypted} {behind}: {taken:?}"
        );
    }
    // The same of the last fragment of a message.
    let mut taken = [0; 2];
    for _ in 0..500 {
        let readings = pairs(14, &mut numbers);
        let message = mode_5(&readings, &pairs(1, &mut numbers));
        let (first, last) = message.split_at(50);
        let first = telegram(&[&hex!("90020140")[..], first].concat());
        let plain = telegram(&[&hex!("90020200")[..], last].concat());
        let whole = with_crcs(&plain, false);
        let mut damaged = whole.clone();
        damaged[31 + numbers.below(80)] ^= 1 << numbers.below(8);
        damaged[128 + numbers.below(whole.len() - 128)] ^= 1 << numbers.below(8);
        for (taken, keys) in taken.iter_mut().zip([lax(), strict()]) {
            let opened = [&whole, &plain, &damaged].map(|last| {
                let mut fragments = Fragments::default();
                assert_eq!(open_in(&mut fragments, &first, &keys), Ok(None));
                let opened = open_in(&mut fragments, last, &keys);
                opened.map(|seen| seen.expect("it is a message").payload)
            });
            let sent = opened[0].as_ref().unwrap();
            assert!(sent.starts_with(&readings), "{whole:02X?}");
            assert_eq!(opened[1].as_ref(), Ok(sent));
            *taken += usize::from(opened[2].is_ok());
        }
    }
    assert!(taken.iter().all(|taken| *taken < 130), "{taken:?}");
    // Of blocks without CRCs, two octets are behind that no CRC can be.
    let plain = pairs(10, &mut numbers);
    assert!(open_one(&telegram(&mode_5(&plain, &hex!("5208"))), &lax()).is_ok());
}

#[test]
fn a_long_telegram_whose_crcs_of_format_b_hold_is_that_though_a_record_cannot_be_read() {
    let mut numbers = Numbers(7);
    for _ in 0..500 {
        let plain = [pairs(11, &mut numbers), hex!("3F").to_vec()].concat();
        let framed = with_crcs(&telegram(&mode_5(&plain, &[])), false);
        let opened = open_one(&framed, &lax()).unwrap();
        assert!(opened.payload.starts_with(&plain), "{framed:02X?}");
    }
}

#[test]
fn a_telegram_that_its_key_opens_as_format_a_is_nothing_else_though_it_is_damaged_and_cut() {
    let plain = [RECORD; 5].concat();
    let mut numbers = Numbers(7);
    for _ in 0..2_000 {
        let mut whole = with_crcs(&telegram(&mode_5(&plain, &[])), true);
        // All CRCs are wrong, and what is in them may look like anything.
        for block in 0..=(whole.len() - 12) / 18 {
            let at = 10 + 18 * block;
            whole[at] = u8::try_from(numbers.below(256)).unwrap();
            whole[at + 1] = whole[at + 1].wrapping_add(1);
        }
        *whole.last_mut().unwrap() ^= 1;
        for cut in 0..=3 {
            let opened = open_one(&whole[..whole.len() - cut], &lax());
            assert!(opened.is_err(), "{cut}: {opened:?}");
        }
    }
}

#[test]
fn a_header_alone_in_the_place_of_crcs_is_no_reason_to_doubt_whole_records() {
    for body in [
        &hex!("78 02 5B1500 01FD0C05 01FD0C05")[..],
        &hex!("8C2072 78 0C1312345600 0F0102"),
    ] {
        let telegram = telegram(body);
        let mut longer = telegram.clone();
        longer.resize(telegram.len() + 4, 0);
        for keys in [lax(), strict()] {
            assert_eq!(open_one(&longer, &keys), open_one(&telegram, &keys));
        }
        assert!(open_one(&telegram, &lax()).is_ok());
    }
}

#[test]
fn of_damaged_telegrams_of_few_blocks_too_few_are_taken_for_others_when_cut() {
    let mut numbers = Numbers(7);
    for body in [
        // One block, and layers that fill it or end amid the second.
        &hex!("7A2A000000 0C1312345600")[..],
        &hex!("8C2055 72 78563412 9315 33 03 2A 00 0000 0C1312345600 046D120A3C2F"),
        &hex!("8E2055 563412789315 33 03 7A 2A 00 0000 0C1312345600 046D120A3C2F"),
        &hex!("8E2055 563412789315 33 03 72 78563412 9315 33 03 2A 00 0000 0C1312345600"),
    ] {
        let mut taken = [0; 4];
        for round in 0..8_000 {
            let mut whole = telegram(body);
            for octet in &mut whole[2..10] {
                *octet = u8::try_from(numbers.below(0x9A)).unwrap();
            }
            let mut damaged = with_crcs(&whole, true);
            assert!(open_one(&damaged, &lax()).is_ok());
            let cut = round % 4;
            damage(&mut damaged, &[0, 1], &mut numbers);
            damaged.truncate(damaged.len() - cut);
            // Of a maker's part nothing is read, so that no value is wrong.
            let opened = open_one(&damaged, &lax());
            let is_taken = opened.is_ok_and(|seen| !(0xA0..=0xB7).contains(&seen.ci));
            taken[cut] += usize::from(is_taken);
        }
        // Of 2,000 each: of one block the CI field is all that can look right.
        assert!(taken[0] < 20, "{taken:?}");
        assert!(taken.iter().all(|taken| *taken < 100), "{taken:?}");
    }
}

#[test]
fn of_damaged_headers_alone_too_few_are_taken_for_records_whatever_their_crcs_are() {
    for header in [
        &hex!("7A 2B 00 00 00")[..],
        &hex!("72 78563412 9315 33 03 2B 00 0000"),
        &hex!("8A 2B 00 00 00"),
    ] {
        let mut damaged = with_crcs(&telegram(header), true);
        *damaged.last_mut().unwrap() ^= 0x10;
        let mut taken = 0;
        for crc in 0..=u16::MAX {
            damaged[10..12].copy_from_slice(&crc.to_be_bytes());
            let opened = open_one(&damaged, &lax());
            taken += usize::from(opened.is_ok());
            let is_damage = |opened: &Result<_, _>| matches!(opened, Err(Refusal::Octets(_)));
            let strictly = open_one(&damaged, &strict());
            assert_eq!(is_damage(&opened), is_damage(&strictly), "{damaged:02X?}");
        }
        // Of 65,536: two in 256 are CI fields behind which records may begin with no more ado, and
        // of what follows 40 in 256 make some.
        assert!(taken < 100, "{taken}");
    }
}

#[test]
fn a_fragment_without_its_first_is_told_as_one_whatever_stands_behind_it() {
    let message = mode_7(&[0x10], false, &[RECORD; 8].concat(), &[]);
    let parts = fragments_of(&message, &[40]);
    for behind in 0..=24 {
        let mut longer = parts[1].clone();
        longer.resize(longer.len() + behind, 0xA5);
        let Err(Refusal::Octets(error)) = open_one(&longer, &strict()) else {
            panic!("{behind}");
        };
        assert_eq!(error.kind, MbusErrorKind::Fragment, "{behind}");
    }
}

#[test]
fn the_last_fragment_of_a_clear_message_is_told_as_clear_whatever_stands_behind_it() {
    let parts = [
        &hex!("90 02 01 40 78 0C 13 12")[..],
        &hex!("90 02 02 00 34 56 00"),
    ];
    for behind in 0..=8 {
        let [lax, strict] = [lax(), strict()].map(|keys| {
            let mut fragments = Fragments::default();
            let [first, last] = parts.map(|part| {
                let mut longer = telegram(part);
                longer.resize(longer.len() + behind, 0xA5);
                open_in(&mut fragments, &longer, &keys)
            });
            assert_eq!(first, Ok(None), "{behind}");
            last
        });
        assert_eq!(lax.unwrap().unwrap().payload.len(), 6, "{behind}");
        assert_eq!(strict, Err(Refusal::ClearNotAllowed), "{behind}");
    }
}

#[test]
fn fragments_make_a_message_whatever_stands_behind_them_and_is_their_access_number() {
    let message = mode_7(&[0x10], false, &[RECORD; 8].concat(), &[]);
    let parts = fragments_of(&message, &[40]);
    for (behind, access_number) in (0..=24).flat_map(|some| (0..=255).map(move |no| (some, no))) {
        let mut fragments = Fragments::default();
        let [first, last] = [0, 1].map(|part| {
            let mut longer = parts[part].clone();
            longer[12] = access_number;
            longer.resize(longer.len() + behind, 0xA5);
            open_in(&mut fragments, &longer, &strict())
        });
        assert_eq!(first, Ok(None), "{behind} {access_number}");
        assert_eq!(last.unwrap().unwrap().security.verified, Verified::Mac);
    }
}
