//! Replays the committed corpora without libFuzzer: what a fuzzer found interesting once is a plain
//! test ever after.

use std::fs;
use std::path::{Path, PathBuf};

use kenshin_fuzz::{TARGETS, Target};

/// The most files of a corpus.
const FILES_MAX: usize = 400;

/// The most octets of a corpus.
const OCTETS_MAX: usize = 300_000;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("corpus")
        .join(target)
}

/// The inputs of a target, each with its file name.
fn inputs(target: &str) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(corpus(target)).expect("each target has a corpus");
    let mut inputs: Vec<_> = entries
        .map(|entry| {
            let path = entry.expect("directory entry").path();
            let name = path.file_name().expect("file name").to_string_lossy();
            (name.into_owned(), fs::read(&path).expect("readable input"))
        })
        .collect();
    inputs.sort();
    inputs
}

fn replay(name: &str) {
    let target: &Target = TARGETS
        .iter()
        .find(|target| target.name == name)
        .expect("a target of this name");
    let inputs = inputs(name);
    assert!(!inputs.is_empty());
    for (file, octets) in inputs {
        let outcome = std::panic::catch_unwind(|| (target.run)(&octets));
        assert!(outcome.is_ok(), "{name}: {file} is a finding, see above");
    }
}

// spec: TCP-1, TCP-2, TCP-3, TCP-7
#[test]
fn a_stream_gives_the_same_frames_in_any_chunks() {
    replay("otl_framer");
}

// spec: SEC-1, SEC-2
#[test]
fn any_octets_can_be_shown_as_a_frame_and_only_the_pinned_mode_cuts_one() {
    replay("otl_frame");
}

// spec: GEN-5, REC-12
#[test]
fn salvage_keeps_what_strict_decoding_accepts_and_sets_damage_aside() {
    replay("otl_records");
}

// spec: GEN-3
#[test]
fn what_decodes_encodes_to_the_same_octets() {
    replay("otl_roundtrip");
}

// spec: SEC-5
#[test]
fn a_wrong_tag_opens_nothing_and_a_right_one_gives_the_content() {
    replay("otl_open");
}

#[test]
fn each_target_has_a_small_corpus_and_there_is_no_other() {
    let mut folders: Vec<String> = fs::read_dir(corpus(""))
        .expect("the corpora")
        .map(|entry| {
            let name = entry.expect("directory entry").file_name();
            name.to_string_lossy().into_owned()
        })
        .collect();
    folders.sort();
    let mut names = TARGETS.map(|target| target.name);
    names.sort_unstable();
    assert_eq!(folders, names);
    for name in names {
        let inputs = inputs(name);
        let octets: usize = inputs.iter().map(|(_, octets)| octets.len()).sum();
        assert!(inputs.len() <= FILES_MAX, "{name}: {} files", inputs.len());
        assert!(octets <= OCTETS_MAX, "{name}: {octets} octets");
    }
}

#[test]
fn any_octets_are_a_telegram_or_refused_and_each_octet_has_a_name() {
    replay("mbus_link");
}

#[test]
fn fragments_make_a_message_in_their_order_alone() {
    replay("mbus_afl");
}

#[test]
fn any_application_data_is_walked_shown_and_taught() {
    replay("mbus_app");
}

#[test]
fn any_telegram_is_opened_or_refused_with_and_without_keys() {
    replay("mbus_open");
}

#[test]
fn a_telegram_is_the_same_in_every_form_of_a_line() {
    replay("mbus_lines");
}
