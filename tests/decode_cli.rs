//! `kenshin decode` as a program: octets in, lines and exit code out.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test stops at the first surprise"
)]

#[path = "support/otl.rs"]
mod otl;

use std::io::{Read as _, Write as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use otl::Vector;

/// Runs `kenshin decode --protocol otl` with more arguments.
fn decode(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = command(arguments).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // The child may stop reading, for instance for want of keys.
    let feeder = std::thread::spawn(move || stdin.write_all(&input).ok());
    let output = child.wait_with_output().unwrap();
    feeder.join().unwrap();
    output
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kenshin"));
    command
        .args(["decode", "--protocol", "otl"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

fn with_keys(input: &[u8]) -> Output {
    decode(&["--keys", keys_path().as_str()], input)
}

fn keys_path() -> String {
    otl::path("keys.toml").to_str().unwrap().to_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = str::from_utf8(&output.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn samples() -> String {
    otl::read("otl/sample-frames.hex")
}

/// The sample frames without remarks.
fn sample_lines() -> Vec<String> {
    let samples = samples();
    let frames = samples
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    frames.map(str::to_owned).collect()
}

/// The vectors as lines, each after the frame that it answers, and which lines of output are
/// those of vectors.
fn as_input(vectors: &[Vector]) -> (String, Vec<usize>) {
    let (mut input, mut places, mut line) = (String::new(), Vec::new(), 0);
    for vector in vectors {
        if vector.has("uplink") {
            input.push_str(vector.text("uplink"));
            input.push('\n');
            line += 1;
        }
        input.push_str(vector.text("hex"));
        input.push('\n');
        places.push(line);
        line += 1;
    }
    (input, places)
}

#[test]
fn all_sample_frames_verify() {
    let output = with_keys(samples().as_bytes());
    assert_eq!(output.status.code(), Some(0));
    let lines = lines(&output);
    assert_eq!(lines.len(), sample_lines().len());
    for line in lines {
        assert_eq!(line["ok"], true, "{line}");
        let is_sealed = line["header"]["mode"] != 0;
        assert_eq!(line["security"]["verified"], is_sealed, "{line}");
        assert_eq!(line.get("ciphertext_octets"), None, "{line}");
    }
    assert!(output.stderr.is_empty());
}

#[test]
fn accepted_vectors_give_exactly_their_json() {
    // An answer without the frame that it answers must not find one of another vector.
    let (paired, alone): (Vec<_>, Vec<_>) = otl::positive()
        .into_iter()
        .partition(|vector| !vector.text("json").contains("\"ciphertext_octets\""));
    assert!(paired.len() >= 100);
    for vectors in std::iter::once(paired).chain(alone.into_iter().map(|vector| vec![vector])) {
        let (input, places) = as_input(&vectors);
        let output = with_keys(input.as_bytes());
        assert_eq!(output.status.code(), Some(0));
        let text = str::from_utf8(&output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        for (vector, at) in vectors.iter().zip(places) {
            assert_eq!(lines[at], vector.text("json"), "{}", vector.title);
        }
    }
}

// spec: ERR-2, ERR-3
#[test]
fn refused_vectors_give_their_kind_and_offset() {
    // An empty line is no frame, and a decoder of both directions knows no wrong one.
    let mut vectors = otl::negative();
    vectors.retain(|vector| !vector.text("hex").is_empty() && !vector.has("receiver"));
    assert!(vectors.len() >= 100);
    let (input, places) = as_input(&vectors);
    let output = with_keys(input.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    for (vector, at) in vectors.iter().zip(places) {
        let (line, title) = (&lines[at], &vector.title);
        assert_eq!(line["ok"], false, "{title}");
        assert_eq!(line["error"]["kind"], vector.text("error"), "{title}");
        assert_eq!(line["error"]["offset"], vector.number("offset"), "{title}");
    }
}

#[test]
fn a_bad_line_does_not_stop_the_rest() {
    let good = &sample_lines()[2];
    let input = format!("xyz\n{good}\n11\n0\n\n# remark\n{good}\n11 2g");
    let output = with_keys(input.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    let kinds: Vec<_> = lines
        .iter()
        .map(|line| {
            (
                line["error"]["kind"].as_str(),
                line["error"]["offset"].as_u64(),
            )
        })
        .collect();
    assert_eq!(
        kinds,
        [
            (Some("bad_hex"), Some(0)),
            (None, None),
            (Some("truncated"), Some(1)),
            (Some("bad_hex"), Some(1)),
            (None, None),
            (Some("bad_hex"), Some(4)),
        ]
    );
    assert_eq!(lines[0]["protocol"], "otl");
}

#[test]
fn an_answer_finds_its_uplink_among_the_last_thousand() {
    let frames = sample_lines();
    let (uplink, answer, other) = (&frames[2], &frames[3], &frames[4]);
    for (between, is_verified) in [(0, true), (1_023, true), (1_024, false)] {
        let input = format!(
            "{uplink}\n{}{answer}\n",
            format!("{other}\n").repeat(between)
        );
        let output = with_keys(input.as_bytes());
        assert_eq!(output.status.code(), Some(0));
        let lines = lines(&output);
        let last = lines.last().unwrap();
        assert_eq!(last["security"]["verified"], is_verified, "{between}");
        assert_eq!(last.get("ciphertext_octets").is_some(), !is_verified);
    }
}

#[test]
fn without_keys_headers_are_shown_and_mode_0_whole() {
    let output = decode(&[], samples().as_bytes());
    assert_eq!(output.status.code(), Some(0));
    let mut in_clear = 0;
    for line in lines(&output) {
        assert_eq!(line["ok"], true, "{line}");
        assert_eq!(line["security"]["verified"], false, "{line}");
        assert!(line["header"]["frame"].is_string(), "{line}");
        let is_shown = line.get("report").is_some() || line.get("answer").is_some();
        assert_eq!(is_shown, line["security"]["mode"] == 0, "{line}");
        in_clear += usize::from(is_shown);
    }
    assert_eq!(in_clear, 2);
}

#[test]
fn mode_0_of_an_unregistered_terminal_is_decoded() {
    let registered = &sample_lines()[0];
    let unknown = registered.replacen("00000002540be400", "0001000000000001", 1);
    // The valve's octet has a state that is not registered; the answer has a reserved flag.
    let damaged = format!("{}ef{}", &unknown[..60], &unknown[62..]);
    let answer = sample_lines()[1].replacen("030000", "830000", 1);
    for arguments in [&[][..], &["--keys", &keys_path()]] {
        let good = decode(arguments, format!("{registered}\n{unknown}\n").as_bytes());
        assert_eq!(good.status.code(), Some(0));
        let both = lines(&good);
        assert_eq!(both[1]["security"]["verified"], false);
        assert_eq!(both[1].get("ciphertext_octets"), None);
        for part in ["report", "records", "padding"] {
            assert_eq!(both[0][part], both[1][part]);
        }
        let input = format!("{damaged}\n{answer}\n");
        let bad = decode(arguments, input.as_bytes());
        assert_eq!(bad.status.code(), Some(1));
        let both = lines(&bad);
        assert_eq!(both[0]["error"]["kind"], "bad_value", "{}", both[0]);
        assert_eq!(both[0]["error"]["offset"], 30);
        assert_eq!(both[1]["error"]["kind"], "reserved_bits", "{}", both[1]);
        assert_eq!(both[1]["error"]["offset"], 6);
        let pretty = decode(&[arguments, &["--pretty"]].concat(), input.as_bytes());
        assert_eq!(pretty.status.code(), Some(1));
        let text = String::from_utf8(pretty.stdout).unwrap();
        for part in [
            "octets: refused: bad_value at octet 30: ",
            ">    30  ef                flags and valve state: wrong from here on\n",
            "octets: refused: reserved_bits at octet 6: ",
            ">     6  83                answer flags: wrong from here on\n",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
    }
}

#[test]
fn a_cut_uplink_and_a_lone_answer_get_advice() {
    let frames = sample_lines();
    let cut = &frames[2][..2 * 60];
    let output = with_keys(cut.as_bytes());
    let message = lines(&output)[0]["error"]["message"].to_string();
    assert!(
        message.contains("length 60 is none of 128, 192, … 1,200 (FRM-10): cut or joined?"),
        "{message}"
    );
    let output = decode(&["--pretty", "--keys", &keys_path()], frames[3].as_bytes());
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains("not verified: put its uplink on a line before it\n"),
        "{text}"
    );
}

#[test]
fn help_tells_forms_files_and_exit_status() {
    let output = decode(&["--help"], b"");
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "Blank lines",
        "protocol-spec/decode-json.md",
        "protocol-spec/vectors/README.md",
        "An answer follows its uplink",
        "does not mean that it verified",
        "[default: otl]",
        "Example:",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
}

#[test]
fn protocol_may_be_left_out_and_digits_come_in_other_forms() {
    let frame = &sample_lines()[2];
    let octets: Vec<&str> = (0..frame.len() / 2)
        .map(|at| &frame[2 * at..2 * at + 2])
        .collect();
    let (colons, dashes) = (octets.join(":"), octets.join("-"));
    let input = format!("\u{FEFF}{frame}\n0x{frame}\n{colons}\n{dashes}\n{colons}é\n");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("frames.hex");
    std::fs::write(&path, input).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_kenshin"))
        .args(["decode", "--keys", &keys_path()])
        .stdin(std::fs::File::open(&path).unwrap())
        .output()
        .unwrap();
    let lines = lines(&output);
    assert_eq!(lines.len(), 5);
    for line in &lines[..4] {
        assert_eq!(line["security"]["verified"], true, "{line}");
        assert_eq!(line, &lines[0]);
    }
    assert_eq!(lines[4]["error"]["offset"], colons.len());
    let message = lines[4]["error"]["message"].as_str().unwrap();
    assert!(message.ends_with("not 'é'"), "{message}");
}

#[test]
fn a_terminal_without_entry_is_shown_as_far_as_its_header() {
    let frame = sample_lines()[2].replacen("00000002dfdc1c35", "00000002dfdc1c99", 1);
    let output = with_keys(frame.as_bytes());
    assert_eq!(output.status.code(), Some(0));
    let line = &lines(&output)[0];
    assert_eq!(line["security"]["verified"], false);
    assert_eq!(line["header"]["identity"], "00000002dfdc1c99");
    assert_eq!(line["ciphertext_octets"], 128 - 23 - 8);
    assert_eq!(line["records"].as_array().map(Vec::len), Some(0));
}

#[test]
fn a_wrong_key_gives_tag_mismatch() {
    let right = "abb00b275cc392379c5d7732e16a2606";
    let keys = otl::read("keys.toml").replace(right, "abb00b275cc392379c5d7732e16a2607");
    let folder = tempfile::tempdir().unwrap();
    let path = write(folder.path(), keys.as_bytes());
    let output = decode(&["--keys", &path], sample_lines()[2].as_bytes());
    assert_eq!(output.status.code(), Some(1));
    let line = &lines(&output)[0];
    assert_eq!(line["error"]["kind"], "tag_mismatch");
    assert_eq!(line["error"]["offset"], 120);
    assert_eq!(line["header"]["frame"], "uplink");
}

fn write(folder: &Path, keys: &[u8]) -> String {
    let path = folder.join("keys.toml");
    std::fs::write(&path, keys).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn all_errors_of_a_key_file_are_told_and_no_key() {
    let folder = tempfile::tempdir().unwrap();
    let keys = otl::read("keys.toml")
        .replacen("state = \"ACTIVE\"", "state = \"actif\"", 1)
        .replacen("mode = 1", "mode = 9", 1)
        .replacen(
            "purpose = \"link\"",
            "purpose = \"9beea382db8293ebdbad9aad39ffd2f3\"",
            1,
        )
        .replacen("key = \"30fbf912", "key = \"0fbf912", 1);
    let path = write(folder.path(), keys.as_bytes());
    let output = decode(&["--keys", &path], b"11\n");
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let text = String::from_utf8(output.stderr).unwrap();
    let errors = text
        .lines()
        .filter(|line| line.starts_with("line "))
        .count();
    assert_eq!(errors, 4, "{text}");
    assert_no_secret(text.as_bytes());
    assert!(!text.contains("0fbf912a0ae"), "{text}");
}

#[test]
fn errors_of_a_key_file_say_what_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let key = "9beea382db8293ebdbad9aad39ffd2f3";
    for (keys, wanted) in [
        ("", "is empty: it must hold a [[utility]]"),
        ("# nothing\n", "is empty: it must hold a [[utility]]"),
        (
            "[[utilitty]]\nid = 1\n",
            "line 1: file: a field here is not known: utilitty\n",
        ),
        (
            "[[terminal]]\nidentity = \"00000002dfdc1c35\"\nallow_mode_0 = true\n",
            "line 3: terminal[0]: a field here is not known: allow_mode_0\n",
        ),
        // A key in the place of a name is not told.
        (
            &format!("{key} = 1\n"),
            "line 1: file: a field here is not known\n",
        ),
        (
            &format!("a = 1\nkey = \"{key}\n"),
            "line 2: not valid TOML: invalid basic string",
        ),
        (&format!("a = {key}\n"), "line 1: not valid TOML: "),
        ("a = 1\na = 2\n", "line 2: not valid TOML: duplicate key"),
    ] {
        let path = write(folder.path(), keys.as_bytes());
        let output = decode(&["--keys", &path], b"11\n");
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains(wanted), "{wanted}:\n{text}");
        assert!(!text.contains(&key[..8]), "{text}");
    }
}

#[test]
fn a_key_file_that_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("none.toml");
    let broken = write(folder.path(), b"\xff\xfe");
    for path in [
        missing.to_str().unwrap(),
        &broken,
        folder.path().to_str().unwrap(),
    ] {
        let output = decode(&["--keys", path], b"11\n");
        assert_eq!(output.status.code(), Some(2));
        assert!(output.stdout.is_empty());
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(
            text.starts_with("kenshin: ") && text.contains(path),
            "{text}"
        );
    }
}

#[test]
fn wrong_arguments_give_2() {
    let status = Command::new(env!("CARGO_BIN_EXE_kenshin"))
        .args(["decode", "--protocol", "none"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert_eq!(status.code(), Some(2));
}

#[test]
fn no_input_is_no_error() {
    for input in ["", "\n", "# nothing\n\r\n   \n"] {
        for arguments in [&[][..], &["--pretty"]] {
            let output = decode(arguments, input.as_bytes());
            assert_eq!(output.status.code(), Some(0));
            assert!(output.stdout.is_empty() && output.stderr.is_empty());
        }
    }
}

#[test]
fn lines_may_end_in_crlf_and_hold_blanks() {
    let frames = sample_lines();
    let spaced: Vec<String> = frames
        .iter()
        .map(|frame| {
            let (head, tail) = frame.split_at(4);
            format!("  {head} {}\t\r\n", tail.to_uppercase())
        })
        .collect();
    let plain = with_keys(frames.join("\n").as_bytes());
    let spaced = with_keys(spaced.concat().as_bytes());
    assert_eq!(spaced.status.code(), Some(0));
    assert_eq!(plain.stdout, spaced.stdout);
}

// spec: FRM-4
#[test]
fn an_overlong_line_is_refused_and_the_next_is_decoded() {
    let input = format!("{}\n{}\n", "11".repeat(3_000_000), sample_lines()[2]);
    let output = with_keys(input.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    let lines = lines(&output);
    assert_eq!(lines.len(), 2);
    assert_eq!(lines[0]["error"]["kind"], "oversize");
    assert_eq!(lines[0]["error"]["offset"], 1_200);
    assert_eq!(lines[1]["security"]["verified"], true);
}

#[test]
fn pretty_names_the_octets_of_a_frame() {
    let output = decode(
        &["--pretty", "--keys", keys_path().as_str()],
        samples().as_bytes(),
    );
    assert_eq!(output.status.code(), Some(0));
    let text = String::from_utf8(output.stdout).unwrap();
    for part in [
        "line 13: uplink of mode 1, 128 octets: verified",
        "3  00000002dfdc1c35  identity: 00000002dfdc1c35",
        "padding: ",
        "call_now of mode 1",
        "in clear, nothing to verify",
        "   -- decrypted: octets 23 to 119 --\n     23  ",
    ] {
        assert!(text.contains(part), "{part}:\n{text}");
    }
    assert!(!text.contains("undecoded") && !text.contains('>'), "{text}");
    // Every octet of every frame stands in it: as many as the frames have.
    let shown: usize = text
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   -- "))
        .map(|line| line.split_whitespace().nth(1).unwrap().len() / 2)
        .sum();
    let sent: usize = sample_lines().iter().map(|frame| frame.len() / 2).sum();
    assert_eq!(shown, sent);
}

#[test]
fn pretty_shows_where_a_damaged_frame_is_wrong() {
    let frame = &sample_lines()[0];
    // The everyday record's item is said to be longer than the frame, and one frame ends early.
    let long_item = format!("{}3f{}", &frame[..54], &frame[56..]);
    let wrong_tag = sample_lines()[2].replacen("28", "38", 1);
    let input = format!("{long_item}\n{}\n{wrong_tag}\n21ff\nq\n", &frame[..30]);
    let output = decode(
        &["--pretty", "--keys", keys_path().as_str()],
        input.as_bytes(),
    );
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let marks: Vec<&str> = text.lines().filter(|line| line.starts_with('>')).collect();
    assert_eq!(marks.len(), 4, "{text}");
    assert!(
        marks[0].starts_with(">    81 ") && marks[0].ends_with("missing: item length"),
        "{text}"
    );
    assert!(
        marks[1].starts_with(">    15 ") && marks[1].ends_with("missing: frame"),
        "{text}"
    );
    assert!(
        marks[2].starts_with(">   120 ") && marks[2].ends_with("tag"),
        "{text}"
    );
    assert!(marks[3].starts_with(">     0  21 "), "{text}");
    assert!(text.contains("refused: truncated at octet 81"), "{text}");
    assert!(
        text.contains("refused: tag_mismatch at octet 120"),
        "{text}"
    );
    assert!(text.contains("line 5: refused: bad_hex"), "{text}");
}

#[test]
fn pretty_marks_what_is_missing_and_not_what_follows() {
    // A session item whose body has one octet of four, and a known one after it.
    let head = &sample_lines()[0][..2 * 26];
    let input = format!("{head}7001aa710101\n11\n");
    let output = decode(&["--pretty"], input.as_bytes());
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stdout).unwrap();
    let missing = format!("\n>    29  {:16}  missing: previous epoch\n", "");
    assert!(text.contains(&format!("{missing}     29  71 ")), "{text}");
    let marks = text.lines().filter(|line| line.starts_with('>')).count();
    assert_eq!(marks, 2, "{text}");
    assert!(text.contains("line 2: frame, 1 octet: refused"), "{text}");
}

#[test]
fn a_closed_output_ends_quietly() {
    let mut child = command(&[]).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let mut stdout = child.stdout.take().unwrap();
    let mut first = [0];
    stdin.write_all(b"1f00\n").unwrap();
    // A line comes out before the input has ended.
    stdout.read_exact(&mut first).unwrap();
    drop(stdout);
    for _ in 0..1_000 {
        if stdin.write_all(b"1f00\n").is_err() {
            break;
        }
    }
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert!(output.stderr.is_empty());
}

/// Every key of the key file, in text and as octets.
fn assert_no_secret(output: &[u8]) {
    let text = String::from_utf8_lossy(output).to_lowercase();
    let mut count = 0;
    for line in otl::read("keys.toml").lines() {
        let Some(key) = line.strip_prefix("key = ") else {
            continue;
        };
        let key = key.trim_matches('"');
        assert!(!text.contains(key), "a key is told");
        let octets = otl::unhex(key);
        assert!(!output.windows(octets.len()).any(|run| run == octets));
        count += 1;
    }
    assert!(count >= 15, "only {count} keys looked for");
}

// spec: ERR-5
#[test]
fn no_output_holds_a_key() {
    let keys = keys_path();
    let (accepted, _) = as_input(&otl::positive());
    let (refused, _) = as_input(&otl::negative());
    let input = format!("{accepted}{refused}zz\n");
    for arguments in [&["--keys", &keys][..], &["--pretty", "--keys", &keys]] {
        let output = decode(arguments, input.as_bytes());
        assert_eq!(output.status.code(), Some(1));
        assert!(output.stdout.len() > 100_000);
        assert_no_secret(&output.stdout);
        assert_no_secret(&output.stderr);
    }
}

// spec: SEC-5
#[test]
fn what_did_not_verify_is_not_shown() {
    let frame = sample_lines()[2].replacen("28", "38", 1);
    let keys = keys_path();
    let json = with_keys(frame.as_bytes());
    let pretty = decode(&["--pretty", "--keys", &keys], frame.as_bytes());
    assert_eq!(lines(&json)[0].get("report"), None);
    let text = String::from_utf8(pretty.stdout).unwrap();
    assert!(
        text.contains("ciphertext") && !text.contains("record sequence"),
        "{text}"
    );
}
