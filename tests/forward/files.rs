//! Files of lines.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use kenshin::model::{Lane, Lsn};
use kenshin::store::fs::{Faults, Fs, RealFs, SimFs};
use kenshin::store::ndjson::{NdjsonError, NdjsonFiles, NdjsonFolder, Rotation};
use kenshin::time::{TestClock, UtcSeconds};

const ROTATION: Rotation = Rotation {
    octets: 100,
    age_ms: 60_000,
};

fn clock() -> Arc<TestClock> {
    Arc::new(TestClock::new(UtcSeconds::new(1_793_404_800)))
}

fn files(fs: impl Fs + 'static, dir: &Path, clock: &Arc<TestClock>) -> NdjsonFiles {
    let clock = Arc::clone(clock);
    let folder = NdjsonFolder::new(Arc::new(fs), dir.to_owned());
    NdjsonFiles::new(&folder, Lane::Bulk, ROTATION, clock)
}

fn names(fs: &dyn Fs, dir: &Path) -> Vec<String> {
    let mut names = fs.list(dir).unwrap();
    names.retain(|name| name.contains(".ndjson"));
    names.sort_unstable();
    names
}

#[test]
fn a_file_ends_by_size_by_age_and_with_the_process_and_is_its_owners_alone() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path().join("out");
    let clock = clock();
    let mut files = files(RealFs, &dir, &clock);
    files.append(Lsn::new(64), b"{\"a\":1}\n").unwrap();
    let part = dir.join("bulk-20261031T000000Z-64.ndjson.part");
    assert_eq!(part.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    files.append(Lsn::new(96), &[b'x'; 92]).unwrap();
    assert_eq!(names(&RealFs, &dir), ["bulk-20261031T000000Z-64.ndjson"]);
    clock.advance_s(10);
    files.append(Lsn::new(200), b"{}\n").unwrap();
    files.rotate_if_due().unwrap();
    assert_eq!(names(&RealFs, &dir).len(), 2);
    assert!(names(&RealFs, &dir)[1].ends_with(".part"));
    clock.advance_s(60);
    files.rotate_if_due().unwrap();
    files.append(Lsn::new(300), b"{}\n").unwrap();
    files.rotate().unwrap();
    assert!(
        names(&RealFs, &dir)
            .iter()
            .all(|name| name.ends_with(".ndjson"))
    );
}

#[test]
fn a_redelivery_within_a_second_takes_no_complete_files_place() {
    let (fs, dir) = (SimFs::new(), PathBuf::from("out"));
    for _ in 0..2 {
        let mut files = files(fs.clone(), &dir, &clock());
        files.append(Lsn::new(64), b"{}\n").unwrap();
        files.rotate().unwrap();
    }
    assert_eq!(names(&fs, &dir).len(), 2);
}

#[test]
fn after_a_power_cut_every_line_that_was_taken_is_there_whole_and_writing_goes_on() {
    for seed in 0..200 {
        let (fs, dir) = (SimFs::new(), PathBuf::from("out"));
        let mut before = files(fs.clone(), &dir, &clock());
        before.append(Lsn::new(64), b"{\"n\":1}\n").unwrap();
        before.append(Lsn::new(80), b"{\"n\":2}\n").unwrap();
        // A batch that was written and not synced.
        let counts = fs.counts();
        let faults = Faults {
            power_cut: Some(counts.changes + 2),
            ..Faults::default()
        };
        fs.set_faults(faults);
        before
            .append(Lsn::new(96), b"{\"n\":3}\n{\"n\":3}\n")
            .unwrap_err();
        let fs = fs.crash(seed);
        let mut after = files(fs.clone(), &dir, &clock());
        after.append(Lsn::new(96), b"{\"n\":4}\n").unwrap();
        let content = fs
            .content(&dir.join("bulk-20261031T000000Z-64.ndjson.part"))
            .unwrap();
        let text = String::from_utf8_lossy(&content);
        assert!(text.starts_with("{\"n\":1}\n{\"n\":2}\n"), "{seed}: {text}");
        assert!(text.ends_with("{\"n\":4}\n"), "{seed}: {text}");
    }
}

#[test]
fn a_power_cut_leaves_no_line_with_a_hole_in_it() {
    for seed in 0..200 {
        let (fs, dir) = (SimFs::new(), PathBuf::from("out"));
        let mut before = files(fs.clone(), &dir, &clock());
        let line = |n: u32| format!("{{\"n\":{n},\"text\":\"{}\"}}\n", "x".repeat(300));
        before.append(Lsn::new(64), line(1).as_bytes()).unwrap();
        let faults = Faults {
            power_cut: Some(fs.counts().changes + 2),
            ..Faults::default()
        };
        fs.set_faults(faults);
        let batch: String = (2..20).map(line).collect();
        before.append(Lsn::new(80), batch.as_bytes()).unwrap_err();
        let fs = fs.crash(seed);
        let mut after = files(fs.clone(), &dir, &clock());
        after.append(Lsn::new(80), batch.as_bytes()).unwrap();
        let mut whole = Vec::new();
        for name in names(&fs, &dir) {
            whole.extend(fs.content(&dir.join(name)).unwrap());
        }
        let text = String::from_utf8(whole).unwrap();
        for found in text.lines() {
            let n = serde_json::from_str::<serde_json::Value>(found);
            let n = n.unwrap_or_else(|error| panic!("{seed}: {error}: {found:?}"));
            let n = u32::try_from(n["n"].as_u64().unwrap()).unwrap();
            assert_eq!(line(n).trim_end(), found, "{seed}");
        }
        assert!(text.ends_with(&batch), "{seed}");
    }
}

#[test]
fn a_folder_that_was_made_is_there_after_a_power_cut() {
    for seed in 0..50 {
        let (fs, dir) = (SimFs::new(), PathBuf::from("/srv/records/out"));
        let mut files = files(fs.clone(), &dir, &clock());
        files.append(Lsn::new(64), b"{}\n").unwrap();
        let fs = fs.crash(seed);
        let content = fs.content(&dir.join("bulk-20261031T000000Z-64.ndjson.part"));
        assert_eq!(content.as_deref(), Some(&b"{}\n"[..]), "{seed}");
    }
}

#[test]
fn a_folder_takes_the_files_of_one_sink_under_whatever_name() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    let other = root.path().join("link");
    std::os::unix::fs::symlink(&dir, &other).unwrap();
    let mut first = files(RealFs, &dir, &clock());
    first.append(Lsn::new(64), b"{}\n").unwrap();
    let mut second = files(RealFs, &other, &clock());
    assert!(matches!(
        second.append(Lsn::new(64), b"{}\n"),
        Err(NdjsonError::Taken(_))
    ));
    drop(first);
    second.append(Lsn::new(64), b"{}\n").unwrap();
}

#[test]
fn a_batch_whose_sync_failed_is_cut_off_and_written_again() {
    let (fs, dir) = (SimFs::new(), PathBuf::from("out"));
    let mut files = files(fs.clone(), &dir, &clock());
    files.append(Lsn::new(64), b"{\"n\":1}\n").unwrap();
    let faults = Faults {
        fail_sync: Some(fs.counts().syncs + 1),
        ..Faults::default()
    };
    fs.set_faults(faults);
    assert!(matches!(
        files.append(Lsn::new(80), b"{\"n\":2}\n"),
        Err(NdjsonError::Io { .. })
    ));
    files.append(Lsn::new(80), b"{\"n\":2}\n").unwrap();
    let content = fs
        .content(&dir.join("bulk-20261031T000000Z-64.ndjson.part"))
        .unwrap();
    assert_eq!(content, b"{\"n\":1}\n{\"n\":2}\n");
}

#[test]
fn lines_are_taken_once_while_their_file_cannot_be_ended() {
    let (fs, dir) = (SimFs::new(), PathBuf::from("out"));
    let clock = clock();
    let mut files = files(fs.clone(), &dir, &clock);
    let faults = Faults {
        fail_renames: true,
        ..Faults::default()
    };
    fs.set_faults(faults);
    let line = |n: u32| format!("{{\"n\":{n},\"text\":\"{}\"}}\n", "x".repeat(120));
    for n in 0..3 {
        files.append(Lsn::new(64), line(n).as_bytes()).unwrap();
    }
    assert!(matches!(files.rotate_if_due(), Err(NdjsonError::Io { .. })));
    clock.advance_s(1);
    files.append(Lsn::new(300), line(3).as_bytes()).unwrap();
    fs.set_faults(Faults::default());
    files.rotate_if_due().unwrap();
    assert_eq!(names(&fs, &dir), ["bulk-20261031T000000Z-64.ndjson"]);
    let content = fs.content(&dir.join("bulk-20261031T000000Z-64.ndjson"));
    let all: String = (0..4).map(line).collect();
    assert_eq!(String::from_utf8(content.unwrap()).unwrap(), all);
    files.append(Lsn::new(400), b"{}\n").unwrap();
    assert_eq!(names(&fs, &dir).len(), 2);
}

#[test]
fn a_file_that_somebody_took_away_before_its_end_is_let_go() {
    let (fs, dir) = (SimFs::new(), PathBuf::from("out"));
    let clock = clock();
    let mut files = files(fs.clone(), &dir, &clock);
    files.append(Lsn::new(64), b"{}\n").unwrap();
    fs.remove(&dir.join("bulk-20261031T000000Z-64.ndjson.part"))
        .unwrap();
    clock.advance_s(60);
    assert!(matches!(files.rotate_if_due(), Err(NdjsonError::Io { .. })));
    files.rotate_if_due().unwrap();
    files.append(Lsn::new(80), b"{}\n").unwrap();
    assert_eq!(names(&fs, &dir), ["bulk-20261031T000100Z-80.ndjson.part"]);
}

#[test]
fn a_folder_that_is_gone_fails_until_somebody_makes_it_again() {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("out");
    let mut files = files(RealFs, &dir, &clock());
    files.append(Lsn::new(64), b"{}\n").unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    assert!(matches!(
        files.append(Lsn::new(80), b"{}\n"),
        Err(NdjsonError::Moved { .. })
    ));
    assert!(matches!(
        files.append(Lsn::new(80), b"{}\n"),
        Err(NdjsonError::Io { .. })
    ));
    assert!(!dir.exists());
    std::fs::create_dir(&dir).unwrap();
    files.append(Lsn::new(80), b"{}\n").unwrap();
    assert_eq!(names(&RealFs, &dir).len(), 1);
}
