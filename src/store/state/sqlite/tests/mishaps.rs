//! What may happen to the file.

use std::os::unix::fs::PermissionsExt as _;

use super::*;

/// A file that is folded, and closed.
fn closed() -> (Vec<Frame>, Place) {
    let frames = frames_of(&world::a_day());
    let place = folded_once(&frames);
    (frames, place)
}

fn copy_to(from: &Path, place: &Place) {
    for suffix in ["", "-wal"] {
        let source = PathBuf::from(format!("{}{suffix}", from.display()));
        if source.exists() {
            let target = format!("{}{suffix}", place.path().display());
            std::fs::copy(source, target).unwrap();
        }
    }
}

/// Everything, by readers that check each row.
fn shown(place: &Place) -> Result<String, FoldedError> {
    let reader = place.reader();
    let mut all = Vec::new();
    for number in 0..world::TERMINALS {
        all.push(format!("{:?}", reader.terminal(terminal(number))?));
        all.push(format!("{:?}", reader.meters(terminal(number))?));
        all.push(format!("{:?}", reader.alarms_of(terminal(number))?));
    }
    all.push(format!("{:?}", reader.open_alarms(None, 100)?));
    all.push(format!(
        "{:?}",
        reader.audit(&AuditFilter::default(), None, 100)?
    ));
    all.push(format!("{:?}", reader.utilities()?));
    Ok(all.join("\n"))
}

#[test]
fn a_flipped_octet_is_seen_or_changes_nothing_that_is_shown() {
    let (frames, good) = closed();
    let octets = std::fs::read(good.path()).unwrap();
    let wanted = shown(&good).unwrap();
    let (mut seen, mut harmless) = (0, 0);
    for at in (0..octets.len()).step_by(61) {
        let place = Place::new();
        let mut octets = octets.clone();
        octets[at] ^= 0x21;
        std::fs::write(place.path(), octets).unwrap();
        let taken = place.take_up(&frames, Lsn::ZERO, &no_state());
        if !taken.aside.is_empty() {
            // Rebuilt from the log, by the octets of which nothing was flipped.
            assert_eq!(taken.origin, Origin::Log, "{at}");
            seen += 1;
            continue;
        }
        match shown(&place) {
            Ok(found) => {
                assert_eq!(found, wanted, "{at}");
                harmless += 1;
            }
            Err(error) => {
                assert!(error.is_of_the_file(), "{at}: {error}");
                seen += 1;
            }
        }
    }
    assert!(seen > 20, "{seen} seen, {harmless} harmless");
}

#[test]
fn a_truncated_file_is_moved_aside_and_built_again() {
    let (frames, good) = closed();
    let octets = std::fs::read(good.path()).unwrap();
    for len in [0, 1, 99, 100, 4_096, octets.len() / 2, octets.len() - 1] {
        let place = Place::new();
        std::fs::write(place.path(), &octets[..len]).unwrap();
        let taken = place.take_up(&frames, Lsn::ZERO, &no_state());
        // The last octet of the last page may not matter.
        let is_seen = taken.aside.iter().any(|aside| aside.path.exists());
        assert!(is_seen || len == octets.len() - 1, "{len}");
        let mut folded = taken.folded;
        fold_into(&mut folded, &frames, 3);
        folded.close().unwrap();
        assert_eq!(place.dump(), good.dump(), "{len}");
    }
}

#[test]
fn a_file_of_a_later_schema_is_refused_by_number_and_moved_aside() {
    let (frames, place) = closed();
    let wanted = place.dump();
    {
        let connection = Connection::open(place.path()).unwrap();
        connection
            .pragma_update(None, "user_version", SCHEMA + 1)
            .unwrap();
    }
    let taken = place.take_up(&frames, Lsn::ZERO, &no_state());
    let [aside] = taken.aside.as_slice() else {
        panic!("{:?}", taken.aside);
    };
    assert!(matches!(aside.cause, FoldedError::Schema(version) if version == SCHEMA + 1));
    assert!(
        aside.path.ends_with("folded.sqlite.other-schema"),
        "{aside:?}"
    );
    assert!(
        aside.cause.to_string().contains("version 2"),
        "{}",
        aside.cause
    );
    let mut folded = taken.folded;
    fold_into(&mut folded, &frames, 3);
    folded.close().unwrap();
    assert_eq!(place.dump(), wanted);
}

#[test]
fn a_file_that_is_ahead_of_the_log_is_built_again() {
    let (frames, place) = closed();
    let taken = place.take_up(&frames[..2], Lsn::ZERO, &no_state());
    assert!(matches!(taken.aside[0].cause, FoldedError::Ahead { .. }));
    assert_eq!(taken.folded.meta().position, Lsn::ZERO);
}

#[test]
fn a_kill_at_any_moment_leaves_the_fold_of_the_frames_before_the_position() {
    let (frames, good) = closed();
    let place = Place::new();
    let mut folded = place.take_up(&frames, Lsn::ZERO, &no_state()).folded;
    fold_into(&mut folded, &frames[..3], 1);
    // Within a transaction: what is written of it does not count.
    let killed = Place::new();
    let mut delta = Delta::new(folded.meta(), Zone::JAPAN);
    frames[3..]
        .iter()
        .for_each(|frame| delta.fold(&frame.to_fold()));
    delta.note_position(frames.last().unwrap().next());
    let from = place.path();
    folded
        .apply(&mut delta, &mut || copy_to(&from, &killed))
        .unwrap();
    assert_eq!(killed.fold(&frames, 2), Origin::File);
    assert_eq!(killed.dump(), good.dump());
    // Between transactions, with a journal that was cut anywhere.
    let journal = std::fs::read(format!("{}-wal", from.display())).unwrap();
    for len in (0..journal.len()).step_by(1_021) {
        let killed = Place::new();
        copy_to(&from, &killed);
        let cut = format!("{}-wal", killed.path().display());
        std::fs::write(cut, &journal[..len]).unwrap();
        let taken = killed.take_up(&frames, Lsn::ZERO, &no_state());
        let mut folded = taken.folded;
        fold_into(&mut folded, &frames, 2);
        folded.close().unwrap();
        assert_eq!(killed.dump(), good.dump(), "{len}");
    }
}

#[test]
fn without_a_copy_what_is_in_memory_is_the_beginning() {
    let frames = frames_of(&world::a_day());
    let state = world::state_of(&frames);
    let place = Place::new();
    let first = frames[3].lsn;
    let taken = place.take_up(&frames, first, &state);
    assert_eq!(taken.origin, Origin::Memory);
    let mut folded = taken.folded;
    fold_into(&mut folded, &frames[3..], 1);
    let reader = place.reader();
    let row = reader.terminal(terminal(0)).unwrap().value.unwrap();
    assert!(row.registered && row.counter == 121, "{row:?}");
    assert_eq!(row.customer.as_deref(), Some("C-0"));
    let meters = reader.meters(terminal(0)).unwrap().value;
    assert_eq!(meters[0].latest.register, 200);
    assert_eq!(
        meters[0].mounted.serial, None,
        "only the lost frames told it"
    );
    assert_eq!(reader.open_alarms(None, 10).unwrap().value.len(), 2);
}

#[test]
fn a_damaged_copy_is_moved_aside_and_does_not_count() {
    let frames = frames_of(&world::a_day());
    let place = Place::new();
    let mut folded = place.take_up(&frames, Lsn::ZERO, &no_state()).folded;
    fold_into(&mut folded, &frames, 1);
    let copied = folded.copy(&mut || {}).unwrap();
    drop(folded);
    let (_, path) = file::copies(place.dir.path(), &RealFs).unwrap().remove(0);
    let octets = std::fs::read(&path).unwrap();
    std::fs::write(&path, &octets[..octets.len() / 2]).unwrap();
    std::fs::remove_file(place.path()).unwrap();
    let taken = place.take_up(&frames, copied, &world::state_of(&frames));
    assert_eq!(taken.origin, Origin::Memory);
    assert_eq!(taken.aside.len(), 1);
    assert_eq!(latest_copy(place.dir.path(), &RealFs).unwrap(), None);
}

#[test]
fn all_files_are_for_their_owner_alone() {
    let (frames, place) = closed();
    let mut folded = place.take_up(&frames, Lsn::ZERO, &no_state()).folded;
    fold_into(&mut folded, &frames, 1);
    folded.copy(&mut || {}).unwrap();
    folded
        .apply(&mut Delta::new(folded.meta(), Zone::JAPAN), &mut || {})
        .unwrap();
    let mut names = Vec::new();
    for entry in std::fs::read_dir(place.dir.path()).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{:?}", entry.path());
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    assert_eq!(names.len(), 4, "{names:?}");
    assert!(
        names[1].ends_with(".sqlite") && names[3].ends_with("-wal"),
        "{names:?}"
    );
}
