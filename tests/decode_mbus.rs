//! `kenshin decode --protocol mbus` as a program: published telegrams in, their values out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test stops at the first surprise"
)]

use std::io::Write as _;
use std::process::{Command, Stdio};

use serde_json::Value;

/// OMS Volume 2 Annex N, N.2.1, and its key.
const MODE_5: &str = concat!(
    "2E4493157856341233037A2A0020255923C95AAA26D1B2E7493B01",
    "3EC4A6F6D3529B520EDFF0EA6DEFC99D6D69EBF3",
);
const KEY: &str = "0102030405060708090A0B0C0D0E0F11";

/// Runs the program on lines; its exit code and output.
fn decode(arguments: &[&str], input: &str) -> (Option<i32>, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_kenshin"))
        .args(["decode", "--protocol", "mbus"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    (
        output.status.code(),
        String::from_utf8(output.stdout).unwrap(),
    )
}

fn objects(text: &str) -> Vec<Value> {
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_telegram_and_its_key_give_exact_values() {
    let (code, text) = decode(&[], &format!("# gas\n\n{MODE_5} {KEY}\n"));
    assert_eq!(code, Some(0));
    let object = &objects(&text)[0];
    assert_eq!(object["address"]["id"], "12345678");
    assert_eq!(object["security"]["verified"], "check_bytes");
    let record = &object["records"][0];
    assert_eq!(
        (&record["value"], &record["unit"]),
        (&"28504.27".into(), &"m3".into())
    );
    assert_eq!(object["records"][1]["value"], "2008-05-31T23:50");
}

#[test]
fn what_is_refused_says_why_and_the_next_line_goes_on() {
    let wrong = KEY.replace("11", "12");
    let short = "zz";
    let busy = "68040468080170088116";
    let lines = format!("{MODE_5}\n{MODE_5} {wrong}\n{short}\n{busy}\n");
    let (code, text) = decode(&[], &lines);
    assert_eq!(code, Some(1));
    let objects = objects(&text);
    assert_eq!(objects.len(), 4);
    assert_eq!(objects[0]["error"]["kind"], "no_key");
    let message = objects[0]["error"]["message"].as_str().unwrap();
    assert!(message.contains("--keys"), "{message}");
    assert_eq!(objects[1]["error"]["kind"], "wrong_key");
    assert_eq!(objects[2]["error"]["kind"], "bad_hex");
    for object in &objects[..3] {
        assert_eq!(object["ok"], false);
        assert_eq!(object["records"].as_array().unwrap().len(), 0);
    }
    assert_eq!(objects[3]["application_error"]["name"], "application_busy");
    assert!(!text.contains(&wrong), "no key is repeated");
}

#[test]
fn lines_of_gateways_are_read_as_they_are() {
    let lines = format!(
        "{{\"telegram\":\"{MODE_5}\",\"rssi\":-87}} {KEY}\ntelegram=|{MODE_5}|+7 {KEY}\n\
         T1;1;1;2026-11-28 08:00:00.000;97;148;12345678;0x{MODE_5} {KEY}\n"
    );
    let (code, text) = decode(&[], &lines);
    assert_eq!(code, Some(0), "{text}");
    for object in objects(&text) {
        assert_eq!(object["records"][0]["value"], "28504.27", "{text}");
    }
}

#[test]
fn a_bad_record_leaves_the_others() {
    // A volume, and a record that ends too early.
    let telegram = "1344931578563412330378041327000000041300";
    let (code, text) = decode(&[], &format!("{telegram}\n"));
    assert_eq!(code, Some(1), "{text}");
    let object = &objects(&text)[0];
    assert_eq!(object["records"][0]["value"], "0.039", "{text}");
    assert!(object["error"]["offset"].as_u64().is_some(), "{text}");
}

#[test]
fn a_telegram_that_was_cut_between_blocks_is_not_whole() {
    // Two of the two blocks that it announces, and one of them left out.
    let cut = format!("1E{}", MODE_5.get(2..62).unwrap());
    let (code, text) = decode(&[], &format!("{cut} {KEY}\n"));
    assert_eq!(code, Some(1), "{text}");
    assert_eq!(objects(&text)[0]["error"]["kind"], "length");
}

#[test]
fn a_person_sees_the_layers_and_the_values() {
    let (code, text) = decode(&["--pretty"], &format!("{MODE_5} {KEY}\n"));
    assert_eq!(code, Some(0));
    for shown in ["ELS-12345678-33-03", "security mode 5", "28504.27", "m3"] {
        assert!(text.contains(shown), "{shown} {text}");
    }
}

#[test]
fn what_has_no_link_layer_an_unknown_ci_or_the_fixed_structure_is_read_too() {
    let transport_first = "7A2A0000000C1427048502";
    let unknown = "0F449315785634123303FE0102030405";
    let fixed = "68131368080573785634120A00E97E01000000350100003C16";
    let (code, text) = decode(&[], &format!("{transport_first}\n{unknown}\n{fixed}\n"));
    assert_eq!(code, Some(0), "{text}");
    let objects = objects(&text);
    assert_eq!(objects[0]["records"][0]["value"], "28504.27");
    assert_eq!(objects[0]["format"], "transport_first");
    let opaque = &objects[1]["opaque"][0];
    assert_eq!(
        (&opaque["kind"], &opaque["hex"]),
        (&"unknown".into(), &"0102030405".into())
    );
    assert_eq!(objects[2]["address"]["id"], "12345678");
    assert_eq!(objects[2]["records"][0]["value"], "0.001");
}

/// A frame of libmbus (manual_frame2) with another medium.
fn fixed_of_medium(medium: u8) -> String {
    let units = [0x29 | (medium << 6), 0x3E | ((medium & 0x0C) << 4)];
    let (head, tail) = ("080173785634120a00", "0100000035010000");
    let counted = format!("{head}{:02x}{:02x}{tail}", units[0], units[1]);
    let octet = |at: usize| u8::from_str_radix(&counted[at..at + 2], 16).unwrap();
    let sum = (0..counted.len())
        .step_by(2)
        .fold(0_u8, |sum, at| sum.wrapping_add(octet(at)));
    format!("68131368{counted}{sum:02x}16\n")
}

#[test]
fn the_medium_of_the_fixed_structure_is_named_by_its_own_table() {
    let names = [
        Some("other"),
        Some("oil"),
        Some("electricity"),
        Some("gas"),
        Some("heat"),
        Some("steam"),
        Some("hot_water"),
        Some("water"),
        Some("heat_cost_allocator"),
        None,
        Some("gas"),
        Some("heat"),
        Some("hot_water"),
        Some("water"),
        Some("heat_cost_allocator"),
        None,
    ];
    let (code, text) = decode(&[], &(0..16).map(fixed_of_medium).collect::<String>());
    assert_eq!(code, Some(0), "{text}");
    for (medium, (object, name)) in objects(&text).iter().zip(names).enumerate() {
        assert_eq!(object["address"]["device_type"], medium, "{object}");
        assert_eq!(object["address"]["device"].as_str(), name, "{object}");
        assert_eq!(object["records"][1]["value"], "0.135", "{object}");
    }
}

/// Made by hand: a full frame, its compact form, and that with what encryption pads it with.
const PADDED: &str = "18442d2c785634121b167a010000000c13123456000faabbcc
19442d2c785634121b167b020000001edc86b512345600aabbcc
1c442d2c785634121b167b030000001edc86b512345600aabbcc2f2f2f
";

#[test]
fn a_compact_frame_is_read_though_padding_follows_the_part_of_the_maker() {
    let (code, text) = decode(&[], PADDED);
    assert_eq!(code, Some(0), "{text}");
    for object in objects(&text) {
        assert_eq!(object["records"][0]["value"], "563.412", "{object}");
        assert_eq!(object["opaque"][0]["hex"], "aabbcc", "{object}");
    }
}

/// A gas meter's telegram in mode 5 with two octets behind its blocks that are no record; from the
/// tests of wmbusmeters for AMX's UniSmart, with the key of zeros that stands there.
const TWO_BEHIND: &str = "6044b8059430040001037a1d005085e2b670bcf1a5c87e0c1a51da18924ef984613da2a9\
     cd39d8f4c7208326c76d42dbeadf80d574192b71bd7c4f56a7f1513151768a9db804883b28cb085ca2d0f7438c361c\
     b9e2734712ed9bfbb2a14ef55208 00000000000000000000000000000000";

#[test]
fn two_octets_behind_mode_5_that_are_no_record_are_an_error_beside_the_records() {
    let (code, text) = decode(&[], &format!("{TWO_BEHIND}\n"));
    assert_eq!(code, Some(1), "{text}");
    let object = &objects(&text)[0];
    assert_eq!(object["error"]["kind"], "block_crc", "{text}");
    assert_eq!(object["security"]["verified"], "check_bytes", "{text}");
    let values = [
        "3162296",
        "2021-09-15T13:18",
        "917",
        "2021-09-01T06:00",
        "911.32",
    ];
    for (record, value) in values.into_iter().enumerate() {
        assert_eq!(object["records"][record]["value"], value, "{text}");
    }
}

/// A compact frame of a water meter that sends its full frame once a month; from the tests of
/// wmbusmeters for Engelmann's FAW, with its key.
const OF_THE_FIELD: &str = "7644c5145528502202077320248622c5140007700060255f2aa2967eb77d0bf310341e\
     3636d9acc17cc5d69ce5632d7b494cc0718e2dbb916bbec0c3ff2b0d6087fd0abb3ba0779564cc089e4527987ef222\
     1d26d7ea448ca59759acfbea4e5b0026ef463592b6668fbf680896e78b461dbb77c32903e0 \
     5cdb04c8edfdc09ec49b5e76a24d4822";

#[test]
fn a_compact_frame_of_the_field_is_read_without_a_full_one_before_it() {
    let (code, text) = decode(&[], &format!("{OF_THE_FIELD}\n"));
    assert_eq!(code, Some(0), "{text}");
    let object = &objects(&text)[0];
    let volumes: Vec<_> = object["records"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|record| record["quantity"] == "volume")
        .collect();
    assert_eq!(volumes.len(), 17, "{text}");
    assert_eq!(volumes[16]["value"], "253.409", "{text}");
    assert_eq!(volumes[16]["storage"], 0, "{text}");
}

/// Made by the simulator, which shares no line with the decoder. Each ends as one of format B
/// does: its last two octets are the CRC of the others.
const LIKE_FORMAT_B: [(&str, &str); 4] = [
    (
        "1a4493157856341233037aed000000046d32371f1504130c230200",
        "140.044",
    ),
    (
        "1e4493157856341233037a5a0010250cec9eb23a132d756d672540063fe084",
        "59.828",
    ),
    (
        "334493157856341233038c203d900f002c25ff510600fbd33ab8a288baa47a3d00100710e3cde470\
         4c9201b9723d7896dedfa029",
        "413.207",
    ),
    (
        "2b4493157856341233038c20ba7aba00ff2a1001f95700003822d70727fc99dcd1114ed7458ffafd541709f0",
        "21.521",
    ),
];

const COUNTED_KEY: &str = "000102030405060708090A0B0C0D0E0F";

/// Telegrams without CRCs some of whose octets pass for CRCs; made by hand after EN 13757-4 and -7,
/// the one in mode 5 found by search. With the number of their records.
const LIKE_DAMAGED: [(&str, usize); 4] = [
    // The last block of format B would have no data, and the value of a date that is not set.
    (
        "814493157856341233037a010000002f2f2f04130100000004130100000004130100000004130100\
         00000413010000000413010000000413010000000413010000000413010000000413010000000413\
         01000000041301000000041301000000041301000000041301000000041301000000041301000000\
         041301000000426cffff",
        19,
    ),
    // The same with signal strength behind it.
    (
        "814493157856341233037a010000002f2f2f04130100000004130100000004130100000004130100\
         00000413010000000413010000000413010000000413010000000413010000000413010000000413\
         01000000041301000000041301000000041301000000041301000000041301000000041301000000\
         041301000000426cffffa7",
        19,
    ),
    // In mode 5 the blocks end with the telegram: none of them has a CRC within.
    (
        "8e4493157856341233037a0100800537e40dda0d8044d25c82d28c22aeb79772686ab6887b7a4503\
         84656b03696cea5c4bf4f7d251663706bb783fe39f0a7a84c3d44feeaf96dc18acf03dbd63d1894d\
         d3c613a6de4e5a18d49464601eba607bacd4ce4f790e76ab6cf8ab58a5994b31fc98901995b183f3\
         39d40ba9773b12fda2000aaad0eedbe3247f0647921503",
        3,
    ),
    // As many octets behind the end as format A would have for CRCs.
    ("144493157856341233037a010000000c131234560012345678", 1),
];

#[test]
fn telegrams_without_crcs_are_read_whole_though_some_octets_pass_for_crcs() {
    for (telegram, records) in LIKE_DAMAGED {
        let (code, out) = decode(&[], &format!("{telegram} {COUNTED_KEY}\n"));
        assert_eq!(code, Some(0), "{out}");
        let line: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(line["records"].as_array().unwrap().len(), records, "{out}");
    }
}

/// A telegram in format A of a water meter, made by hand; its length octet is the CI field of
/// records too.
const LIKE_RECORDS: &str = "78442d2c785634121b164cf67a01\
         0000000413e8030000426c1f11441dcd1dcd13000000000faa55\
         5555555555550af35555555555555555555555555555555507895555555555555555555555555555\
         55550789555555555555555555555555555555550789555555555555555555555555555555550789\
         555555555555555555555555555555a563";

#[test]
fn a_damaged_telegram_is_never_read_as_one_without_a_link_layer() {
    assert_eq!(decode(&[], &format!("{LIKE_RECORDS}\n")).0, Some(0));
    let mut damaged = LIKE_RECORDS.to_owned();
    damaged.replace_range(damaged.len() - 1.., "2");
    let (code, out) = decode(&[], &format!("{damaged}\n"));
    assert_eq!(code, Some(1), "{out}");
    let line: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(line["error"]["kind"], "block_crc", "{out}");
    // Format A with a bit in each of two blocks: of another meter, a maker's part would follow.
    let damaged = "1a449315272504003303781f7a2a0000000413e81300000413e8030096b200ffff";
    let (code, out) = decode(&[], &format!("{damaged}\n"));
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("\"block_crc\""), "{out}");
    // Cut, in format A and without CRCs.
    for cut in [
        LIKE_RECORDS.split_at(200).0,
        "7844931578563412330304132700000004132700000004",
    ] {
        let (code, out) = decode(&[], &format!("{cut}\n"));
        assert_eq!(code, Some(1), "{out}");
    }
    // Cut where the length octet counts to: the first block has its CRC.
    let (code, out) = decode(&[], "1444931599990900330310ed7a010000000c131234\n");
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("\"truncated\""), "{out}");
}

#[test]
fn telegrams_without_crcs_that_end_like_format_b_are_read_whole_in_every_mode() {
    for (telegram, volume) in LIKE_FORMAT_B {
        let (code, out) = decode(&[], &format!("{telegram} {KEY}\n"));
        assert_eq!(code, Some(0), "{out}");
        let line: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(line["records"][0]["value"], "2008-05-31T23:50", "{out}");
        assert_eq!(line["records"][1]["value"], volume, "{out}");
    }
}
