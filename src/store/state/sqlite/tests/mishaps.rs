//! What may happen to the file.

use std::os::unix::fs::PermissionsExt as _;

use super::disk::Disk;
use super::*;

/// A file that is folded, and closed.
fn closed() -> (Vec<Frame>, Home) {
    let frames = frames_of(&world::a_day());
    let place = folded_once(&frames);
    (frames, place)
}

fn copy_to(from: &Path, place: &Home) {
    for suffix in ["", "-wal"] {
        let source = PathBuf::from(format!("{}{suffix}", from.display()));
        if source.exists() {
            let target = format!("{}{suffix}", place.path().display());
            std::fs::copy(source, target).unwrap();
        }
    }
}

/// Everything, by readers that check each row.
fn shown(place: &Home) -> Result<String, FoldedError> {
    let reader = place.reader();
    let mut all = Vec::new();
    for number in 0..world::TERMINALS {
        all.push(format!("{:?}", reader.health(terminal(number))?));
        all.push(format!("{:?}", reader.meters(terminal(number))?));
        all.push(format!("{:?}", reader.alarms_of(terminal(number))?));
    }
    all.push(format!("{:?}", reader.open_alarms(None, 100)?));
    all.push(format!(
        "{:?}",
        reader.audit(&AuditFilter::default(), None, 100)?
    ));
    Ok(all.join("\n"))
}

#[test]
fn a_flipped_octet_is_seen_or_changes_nothing_that_is_shown() {
    let (frames, good) = closed();
    let octets = std::fs::read(good.path()).unwrap();
    let wanted = shown(&good).unwrap();
    let (mut seen, mut harmless) = (0, 0);
    for at in (0..octets.len()).step_by(61) {
        let place = Home::new();
        let mut octets = octets.clone();
        octets[at] ^= 0x21;
        std::fs::write(place.path(), octets).unwrap();
        let taken = place.take_up(&frames, Lsn::ZERO);
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
        let place = Home::new();
        std::fs::write(place.path(), &octets[..len]).unwrap();
        let taken = place.take_up(&frames, Lsn::ZERO);
        // The last octet of the last page may not matter.
        let is_seen = taken.aside.iter().any(|aside| aside.path.exists());
        assert!(is_seen || len == octets.len() - 1, "{len}");
        let mut folded = taken.folded;
        fold_into(&mut folded, &frames, 3);
        close(folded);
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
    let taken = place.take_up(&frames, Lsn::ZERO);
    let [aside] = taken.aside.as_slice() else {
        panic!("{:?}", taken.aside);
    };
    assert!(matches!(aside.cause, FoldedError::Schema(version) if version == SCHEMA + 1));
    assert!(
        aside.path.ends_with("folded.sqlite.other-schema"),
        "{aside:?}"
    );
    assert!(
        aside.cause.to_string().contains("version 3"),
        "{}",
        aside.cause
    );
    let mut folded = taken.folded;
    fold_into(&mut folded, &frames, 3);
    close(folded);
    assert_eq!(place.dump(), wanted);
}

#[test]
fn a_file_that_is_ahead_of_the_log_is_built_again() {
    let (frames, place) = closed();
    let taken = place.take_up(&frames[..2], Lsn::ZERO);
    assert!(matches!(taken.aside[0].cause, FoldedError::Ahead { .. }));
    assert_eq!(taken.folded.meta().position, Lsn::ZERO);
}

#[test]
fn a_kill_at_any_moment_leaves_the_fold_of_the_frames_before_the_position() {
    let (frames, good) = closed();
    let disk = Arc::new(Disk::default());
    let place = Home::on(Arc::clone(&disk) as Arc<dyn Fs>);
    let mut folded = place.take_up(&frames, Lsn::ZERO).folded;
    fold_into(&mut folded, &frames[..3], 1);
    // Within a transaction: what is written of it does not count.
    let killed = Arc::new(Home::new());
    let mut delta = Delta::new(folded.meta(), Zone::JAPAN);
    frames[3..]
        .iter()
        .for_each(|frame| delta.fold(&frame.to_fold()));
    delta.note_position(frames.last().unwrap().next());
    let from = place.path();
    let (source, target) = (from.clone(), Arc::clone(&killed));
    disk.at_each_look(move || copy_to(&source, &target));
    folded.apply(&mut delta).unwrap();
    disk.at_each_look(|| ());
    assert_eq!(killed.fold(&frames, 2), Origin::File);
    assert_eq!(killed.dump(), good.dump());
    // Between transactions, with a journal that was cut anywhere.
    let journal = std::fs::read(format!("{}-wal", from.display())).unwrap();
    for len in (0..journal.len()).step_by(1_021) {
        let killed = Home::new();
        copy_to(&from, &killed);
        let cut = format!("{}-wal", killed.path().display());
        std::fs::write(cut, &journal[..len]).unwrap();
        let taken = killed.take_up(&frames, Lsn::ZERO);
        let mut folded = taken.folded;
        fold_into(&mut folded, &frames, 2);
        close(folded);
        assert_eq!(killed.dump(), good.dump(), "{len}");
    }
}

#[test]
fn without_a_copy_the_first_frame_that_the_log_has_is_the_beginning() {
    let frames = frames_of(&world::a_day());
    let place = Home::new();
    let first = frames[3].lsn;
    let taken = place.take_up(&frames, first);
    assert_eq!(taken.origin, Origin::Gap);
    assert_eq!(taken.folded.meta().position, first);
    let mut folded = taken.folded;
    fold_into(&mut folded, &frames[3..], 1);
    let reader = place.reader();
    let health = reader.health(terminal(0)).unwrap().value.unwrap();
    assert!(health.at.at_utc_s < world::NOON, "the later was lost");
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
    let place = Home::new();
    let mut folded = place.take_up(&frames, Lsn::ZERO).folded;
    fold_into(&mut folded, &frames, 1);
    let copied = folded.copy().unwrap();
    drop(folded);
    let (_, path) = file::copies(place.dir.path(), &RealFs).unwrap().remove(0);
    let octets = std::fs::read(&path).unwrap();
    std::fs::write(&path, &octets[..octets.len() / 2]).unwrap();
    std::fs::remove_file(place.path()).unwrap();
    let taken = place.take_up(&frames, copied);
    assert_eq!(taken.origin, Origin::Gap);
    assert_eq!(taken.aside.len(), 1);
    assert_eq!(latest_copy(place.dir.path(), &RealFs).unwrap(), None);
}

#[test]
fn a_copy_of_another_schema_or_of_the_future_is_moved_aside_as_it_is() {
    let frames = frames_of(&world::a_day());
    for (version, end, why) in [
        (SCHEMA + 1, frames.len(), "other-schema"),
        (SCHEMA, frames.len() / 2, "ahead"),
    ] {
        let place = Home::new();
        let mut folded = place.take_up(&frames, Lsn::ZERO).folded;
        fold_into(&mut folded, &frames, 1);
        let copied = folded.copy().unwrap();
        drop(folded);
        let (_, path) = file::copies(place.dir.path(), &RealFs).unwrap().remove(0);
        let mut octets = std::fs::read(&path).unwrap();
        octets[60..64].copy_from_slice(&version.to_be_bytes());
        std::fs::write(&path, &octets).unwrap();
        std::fs::remove_file(place.path()).unwrap();
        let taken = place.take_up(&frames[..end], copied);
        let [aside] = taken.aside.as_slice() else {
            panic!("{:?}", taken.aside);
        };
        let name = aside.path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("folded-") && name.ends_with(why), "{name}");
        assert_eq!(std::fs::read(&aside.path).unwrap(), octets);
        assert_eq!(latest_copy(place.dir.path(), &RealFs).unwrap(), None);
    }
}

#[test]
fn all_files_are_for_their_owner_alone() {
    let (frames, place) = closed();
    let mut folded = place.take_up(&frames, Lsn::ZERO).folded;
    fold_into(&mut folded, &frames, 1);
    folded.copy().unwrap();
    folded
        .apply(&mut Delta::new(folded.meta(), Zone::JAPAN))
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

#[test]
fn the_file_is_opened_by_sqlite_alone_whose_locks_would_go_with_another_close() {
    let (frames, good) = closed();
    let disk = Arc::new(Disk::default());
    let place = Home::on(Arc::clone(&disk) as Arc<dyn Fs>);
    std::fs::copy(good.path(), place.path()).unwrap();
    let taken = place.take_up(&frames, Lsn::ZERO);
    assert_eq!(taken.origin, Origin::File);
    taken.folded.check_point().unwrap();
    taken.folded.copy().unwrap();
    assert!(!taken.folded.is_lost());
    std::fs::remove_file(place.path()).unwrap();
    assert!(taken.folded.is_lost());
    assert!(
        !disk.opened().contains(&place.path()),
        "{:?}",
        disk.opened()
    );
}

/// The names in a folder that are of copies, whole or not.
fn copies_in(place: &Home) -> Vec<String> {
    let mut names = RealFs.list(place.dir.path()).unwrap();
    names.retain(|name| name.starts_with("folded-") || name.contains(".new"));
    names.sort();
    names
}

#[test]
fn a_copy_leaves_the_reserve_alone_and_nothing_behind() {
    let frames = frames_of(&world::a_day());
    let disk = Arc::new(Disk::default());
    let mut place = Home::on(Arc::clone(&disk) as Arc<dyn Fs>);
    place.place.reserve_octets = 1 << 30;
    let mut folded = place.take_up(&frames, Lsn::ZERO).folded;
    fold_into(&mut folded, &frames[..3], 1);
    folded.copy().unwrap();
    let earlier = copies_in(&place);
    assert_eq!(earlier.len(), 1);
    fold_into(&mut folded, &frames, 1);
    // None at all; and none any more when some of it is written.
    for looks in [0, 1] {
        disk.room_for_looks(looks, 1 << 30);
        let error = folded.copy().unwrap_err();
        assert!(matches!(error, FoldedError::NoRoom { .. }), "{error}");
        assert!(!error.is_of_the_file());
        assert_eq!(copies_in(&place), earlier, "after {looks} looks");
    }
    disk.room_for_looks(u64::MAX, 0);
    folded.copy().unwrap();
    assert_eq!(copies_in(&place).len(), 1);
}

#[test]
fn what_was_left_unfinished_is_removed_and_nothing_else() {
    let (frames, place) = closed();
    let taken = place.take_up(&frames, Lsn::ZERO);
    taken.folded.copy().unwrap();
    close(taken.folded);
    let wanted = RealFs.list(place.dir.path()).unwrap().len();
    for name in [
        "folded.sqlite.new",
        "folded-00000000000000000007.sqlite.new",
        "folded-00000000000000000007.sqlite.new-wal",
    ] {
        std::fs::write(place.dir.path().join(name), "x").unwrap();
    }
    remove_unfinished(place.dir.path(), &RealFs).unwrap();
    assert_eq!(RealFs.list(place.dir.path()).unwrap().len(), wanted);
}

#[test]
fn a_transaction_without_room_gives_its_journal_back_and_is_written_later() {
    let frames = frames_of(&world::a_day());
    let disk = Arc::new(Disk::default());
    let mut place = Home::on(Arc::clone(&disk) as Arc<dyn Fs>);
    place.place.reserve_octets = 1 << 30;
    let mut folded = place.take_up(&frames, Lsn::ZERO).folded;
    fold_into(&mut folded, &frames[..3], 1);
    let before = folded.meta();
    let mut delta = Delta::new(before, Zone::JAPAN);
    frames[3..]
        .iter()
        .for_each(|frame| delta.fold(&frame.to_fold()));
    delta.note_position(frames.last().unwrap().next());
    for looks in [0, 1] {
        disk.room_for_looks(looks, 1 << 30);
        let error = folded.apply(&mut delta).unwrap_err();
        assert!(matches!(error, FoldedError::NoRoom { .. }), "{error}");
        assert_eq!(folded.meta(), before);
        let journal = format!("{}-wal", place.path().display());
        assert_eq!(std::fs::metadata(journal).unwrap().len(), 0);
    }
    disk.room_for_looks(u64::MAX, 0);
    folded.apply(&mut delta).unwrap();
    close(folded);
    assert_eq!(place.dump(), folded_once(&frames).dump());
}

#[test]
fn what_takes_long_is_broken_off_when_the_server_stops_and_the_last_is_written() {
    let (frames, place) = closed();
    let taken = place.take_up(&frames, Lsn::ZERO);
    let folded = taken.folded;
    place.place.stop.store(true, Ordering::Release);
    assert!(matches!(folded.copy(), Err(FoldedError::Stopped)));
    assert_eq!(copies_in(&place), Vec::<String>::new());
    let again = Folded::take_up(&place.place, (Lsn::ZERO, Lsn::new(1 << 40)));
    assert!(matches!(again, Err(FoldedError::Stopped)));
    assert!(place.path().exists(), "it is not moved aside for that");
    close(folded);
}
