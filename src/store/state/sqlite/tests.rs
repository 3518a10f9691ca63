use std::path::{Path, PathBuf};
use std::sync::Arc;

use proptest::prelude::*;
use rusqlite::types::Value;

use super::query::AuditFilter;
use super::*;
use crate::model::{TerminalId, Zone};
use crate::store::fs::RealFs;
use crate::store::state::fold::FoldFrame;

mod cost;
mod disk;
mod mishaps;
mod world;

use world::{Frame, Happening, frames_of, happenings, registration, terminal};

/// A folder with a file that is folded.
struct Home {
    dir: tempfile::TempDir,
    place: Place,
}

impl Home {
    fn new() -> Self {
        Self::on(Arc::new(RealFs))
    }

    fn on(fs: Arc<dyn Fs>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let place = Place {
            dir: dir.path().to_owned(),
            fs,
            reserve_octets: 0,
            stop: Arc::default(),
            pace: Arc::new(WithoutRest),
        };
        Self { dir, place }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join(FILE)
    }

    fn reader(&self) -> FoldedReader {
        FoldedReader::new(self.dir.path())
    }

    /// Takes the file up for a log of these frames that is there from `first` on.
    fn take_up(&self, frames: &[Frame], first: Lsn) -> TakenUp {
        let end = frames.last().map_or(Lsn::ZERO, |frame| frame.next());
        Folded::take_up(&self.place, (first, end)).unwrap()
    }

    /// Takes the file up and folds what it has not seen, in transactions of `at_once` frames.
    fn fold(&self, frames: &[Frame], at_once: usize) -> Origin {
        let taken = self.take_up(frames, Lsn::ZERO);
        let mut folded = taken.folded;
        fold_into(&mut folded, frames, at_once);
        close(folded);
        taken.origin
    }

    /// All rows of all tables.
    fn dump(&self) -> Vec<Vec<Value>> {
        dump(&self.path(), &["position", "row_check"][..0])
    }
}

fn close(folded: Folded) {
    let mut nothing = Delta::new(folded.meta(), Zone::JAPAN);
    folded.finish(&mut nothing).unwrap();
}

fn fold_into(folded: &mut Folded, frames: &[Frame], at_once: usize) {
    let from = folded.meta().position;
    let mut delta = Delta::new(folded.meta(), Zone::JAPAN);
    let unseen: Vec<&Frame> = frames.iter().filter(|frame| frame.lsn >= from).collect();
    for some in unseen.chunks(at_once) {
        for frame in some {
            delta.fold(&frame.to_fold());
            delta.note_position(frame.next());
        }
        folded.apply(&mut delta).unwrap();
    }
}

/// All rows of all tables, without some columns.
fn dump(path: &Path, without: &[&str]) -> Vec<Vec<Value>> {
    let connection = file::open_to_read(path).unwrap();
    let mut all = Vec::new();
    for table in ["meta", "health", "meter", "alarm", "audit"] {
        let text = format!("SELECT * FROM {table} ORDER BY 1, 2, 3");
        let mut statement = connection.prepare(&text).unwrap();
        let names: Vec<String> = statement.column_names().map(str::to_owned).collect();
        let mut rows = statement.query(()).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let wanted = names
                .iter()
                .filter(|name| !without.contains(&name.as_str()));
            let cells = wanted.map(|name| row.get::<_, Value>(name.as_str()).unwrap());
            all.push(
                std::iter::once(Value::Text(table.to_owned()))
                    .chain(cells)
                    .collect(),
            );
        }
    }
    all
}

fn folded_once(frames: &[Frame]) -> Home {
    let place = Home::new();
    place.fold(frames, usize::MAX);
    place
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn one_pass_many_batches_and_a_rebuild_after_a_loss_end_in_the_same_tables(
        happenings in happenings(1..60),
        at_once in 1..20_usize,
        lost_after in 0..60_usize,
    ) {
        let frames = frames_of(&happenings);
        let once = folded_once(&frames).dump();

        let place = Home::new();
        place.fold(&frames, at_once);
        prop_assert_eq!(&place.dump(), &once);

        // Lost after some frames; then all of the log is folded again.
        let place = Home::new();
        place.fold(&frames[..lost_after.min(frames.len())], at_once);
        std::fs::remove_file(place.path()).unwrap();
        prop_assert_eq!(place.fold(&frames, at_once), Origin::Log);
        prop_assert_eq!(&place.dump(), &once);
    }

    #[test]
    fn a_copy_and_the_log_after_it_end_in_the_same_tables(
        happenings in happenings(2..60),
        copied_after in 1..60_usize,
        lost_after in 1..60_usize,
    ) {
        let frames = frames_of(&happenings);
        let copied_after = copied_after.min(frames.len());
        let lost_after = lost_after.clamp(copied_after, frames.len());
        let place = Home::new();
        let mut folded = place.take_up(&frames, Lsn::ZERO).folded;
        fold_into(&mut folded, &frames[..copied_after], 7);
        let copied = folded.copy().unwrap();
        fold_into(&mut folded, &frames[..lost_after], 7);
        drop(folded);
        std::fs::remove_file(place.path()).unwrap();
        // The log has forgotten what is before the copy.
        let taken = place.take_up(&frames, copied);
        prop_assert_eq!(taken.origin, Origin::Copy(copied));
        let mut folded = taken.folded;
        fold_into(&mut folded, &frames, 7);
        close(folded);
        prop_assert_eq!(place.dump(), folded_once(&frames).dump());
    }

    #[test]
    fn late_and_reordered_frames_end_in_the_same_readings_alarms_and_health(
        happenings in happenings(1..40),
        order in proptest::collection::vec(any::<u32>(), 40),
    ) {
        let mut steps: Vec<Happening> = happenings;
        steps.retain(Happening::is_records);
        let frames = |steps: &[Happening]| {
            let all: Vec<_> = registration().into_iter().chain(steps.to_vec()).collect();
            frames_of(&all)
        };
        let mut reordered: Vec<_> = steps.iter().cloned().zip(order).collect();
        reordered.sort_by_key(|(_, key)| *key);
        let reordered: Vec<_> = reordered.into_iter().map(|(step, _)| step).collect();
        // Where a frame stands in the log is another; what it says is not.
        let without = [
            "position", "row_check", "after_utc_s", "received_utc_s",
        ];
        let of = |steps: &[Happening]| {
            let mut rows = dump(&folded_once(&frames(steps)).path(), &without);
            rows.retain(|row| row[0] != Value::Text("audit".to_owned()));
            rows
        };
        prop_assert_eq!(of(&reordered), of(&steps));
    }

    #[test]
    fn what_is_in_memory_and_what_is_folded_agree(happenings in happenings(1..60)) {
        let frames = frames_of(&happenings);
        let place = folded_once(&frames);
        let state = world::state_of(&frames);
        for number in 0..world::TERMINALS {
            let id = terminal(number);
            let Some(meters) = world::meters_of(&state, id) else {
                prop_assert_eq!(place.reader().meters(id).unwrap().value, []);
                continue;
            };
            let rows = place.reader().meters(id).unwrap().value;
            for track in meters {
                let row = rows.iter().find(|row| row.meter == track.meter).unwrap();
                let latest = row.latest;
                prop_assert_eq!(row.bound, track.bound);
                prop_assert_eq!(
                    (latest.measured_at_utc_s, latest.register),
                    (track.at_utc_s, track.register)
                );
            }
        }
    }
}

#[test]
fn answers_say_up_to_where_the_log_was_folded() {
    let frames = frames_of(&world::a_day());
    let place = folded_once(&frames[..3]);
    let reader = place.reader();
    let seen = reader.health(terminal(0)).unwrap();
    assert_eq!(seen.position, frames[2].next());
    let taken = place.take_up(&frames, Lsn::ZERO);
    let mut folded = taken.folded;
    assert_eq!(taken.origin, Origin::File);
    fold_into(&mut folded, &frames, 1);
    // While the file is open to be written.
    assert_eq!(
        reader.meters(terminal(0)).unwrap().position,
        frames.last().unwrap().next()
    );
    assert_eq!(
        reader.open_alarms(None, 10).unwrap().position,
        folded.meta().position
    );
    assert_eq!(
        reader
            .audit(&AuditFilter::default(), None, 10)
            .unwrap()
            .position,
        folded.meta().position
    );
}

#[test]
fn a_day_of_a_terminal_is_shown_as_it_was_told() {
    let frames = frames_of(&world::a_day());
    let place = folded_once(&frames);
    let reader = place.reader();
    let row = reader.health(terminal(0)).unwrap().value.unwrap();
    assert_eq!(row.health.battery_mv, Some(3_600));
    let meters = reader.meters(terminal(0)).unwrap().value;
    assert_eq!(meters.len(), 1);
    assert_eq!(meters[0].mounted.serial.as_deref(), Some("G-1234"));
    assert_eq!(meters[0].latest.register, 200);
    assert_eq!(meters[0].valve, Some(3), "closed by the meter");
    let alarms = reader.open_alarms(None, 10).unwrap().value;
    let open: Vec<_> = alarms.iter().map(|one| (one.alarm, one.code)).collect();
    // Of two alarms that could not be mapped, one was cleared.
    assert_eq!(open, [(20, 0), (255, 0x4131)]);
    assert_eq!(alarms[0].since_utc_s(), world::NOON + 60);
    assert_eq!(reader.alarms_of(terminal(0)).unwrap().value, alarms);
    assert_eq!(reader.alarms_of(terminal(1)).unwrap().value, []);
    let kinds: Vec<String> = reader
        .audit(&AuditFilter::default(), None, 10)
        .unwrap()
        .value
        .into_iter()
        .map(|row| row.kind)
        .collect();
    assert_eq!(kinds, ["terminals_put", "utility_put"]);
}

// The bound on the memory of folding goes by it.
#[test]
fn a_fact_takes_no_more_memory_than_is_counted() {
    assert!(size_of::<(i64, facts::Fact)>() <= 48);
}

#[test]
fn pages_of_open_alarms_hold_each_once() {
    let frames = frames_of(&world::a_day());
    let place = folded_once(&frames);
    let reader = place.reader();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = reader.open_alarms(after, 1).unwrap().value;
        let Some(last) = page.last() else { break };
        after = Some((last.terminal, last.meter, last.alarm, last.code));
        seen.extend(page);
    }
    assert_eq!(seen, reader.open_alarms(None, 10).unwrap().value);
}
