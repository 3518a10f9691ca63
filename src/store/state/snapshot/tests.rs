use core::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;

use parking_lot::Mutex;
use proptest::prelude::*;

use super::super::fold::{FoldError, FoldFrame, KIND_EVENT, KIND_STEP};
use super::super::hot::{HotEntry, MeterTrack};
use super::super::replay::fold_all;
use super::super::sequences::SequenceTrack;
use super::*;
use crate::keyring::UtilityId;
use crate::keyring::mbus::{CounterLedger, Next};
use crate::model::event::{GatewayEntry, TerminalEntry, UtilityEntry};
use crate::model::step::{DECODER_VERSION, Observation};
use crate::model::{
    Event, Fingerprint, RecordFlags, SessionStep, StepEntry, StepFlags, TerminalId,
};
use crate::store::fs::{Faults, FsFile, HeldLock, RealFs, SimFs, Space};
use crate::store::state::formats::tests::{CITY, GAS, expanded, teach_full};

const DIR: &str = "/data/state";
const UTILITIES: [&[u8; 8]; 2] = [b"gasworks", b"citygas2"];
const TERMINALS: u8 = 12;

/// A frame of a log that is only in this test.
#[derive(Clone, Debug)]
struct Frame {
    lsn: Lsn,
    kind: u8,
    terminal: Option<TerminalId>,
    payload: Vec<u8>,
}

fn utility(number: u8) -> UtilityId {
    UtilityId::new(*UTILITIES[usize::from(number) % UTILITIES.len()])
}

fn terminal(number: u8) -> TerminalId {
    TerminalId::new([0, 7, 0, 0, 0, 0, 0, number % TERMINALS])
}

/// What happens next, by five random octets.
fn happening(counter: u32, [what, whom, a, b, c]: [u8; 5]) -> (u8, Option<TerminalId>, Vec<u8>) {
    let terminal = terminal(whom);
    let name = utility(a).to_string();
    let event = match what {
        0..=9 => Event::UtilityPut(UtilityEntry {
            id: name,
            name: format!("utility {b}"),
            allow_mode0: c % 2 == 0,
        }),
        10..=39 => Event::TerminalsPut {
            utility: utility(0).to_string(),
            terminals: vec![TerminalEntry {
                id: terminal,
                mode: a % 4,
                customer: (c % 5 != 1).then(|| format!("C-{b}")),
            }],
        },
        40..=44 => Event::TerminalRemoved { terminal },
        45..=49 => Event::KeyState {
            utility: name,
            version: b,
            state: "ACTIVE".to_owned(),
        },
        50..=54 => Event::KeyReadmitted {
            terminal,
            version: b,
        },
        55..=59 => Event::NonceMark {
            mark_utc_s: u32::from(b),
            gaps: vec![(1, u32::from(c))],
        },
        60..=64 => Event::CounterCloned {
            terminal,
            counter: counter.saturating_sub(u32::from(b % 8)),
        },
        65..=69 => Event::Promoted {
            terminal,
            version: Some(a),
            mode: Some(b % 4),
        },
        70..=74 => Event::Called {
            terminal,
            counter: u32::from(b),
        },
        75..=79 => Event::CommandsReleased { utility: name },
        80..=84 => Event::SinkAdvanced {
            sink: format!("sink{}", a % 3),
            alarm: Lsn::new(u64::from(b)),
            bulk: Lsn::new(u64::from(c)),
        },
        _ => {
            let step = step(counter, [what, whom, a, b, c]);
            return (KIND_STEP, Some(terminal), step);
        }
    };
    (KIND_EVENT, event.terminal(), event.encode().unwrap())
}

fn step(counter: u32, [what, whom, a, b, c]: [u8; 5]) -> Vec<u8> {
    let command = [0, 0, 0, c, 1, 1, 9, 0, 0, 0xFF, 0xFF, 0xFF, 0xFE, 2];
    let mut plaintext = vec![5, 0x60, 0, 0, b, 0, 0, 0, 1 + a % 2, 0x10, c % 100];
    plaintext.push(1);
    let seen = Observation {
        meter: b % 5,
        unit: 3,
        bound: c % 2 == 0,
        at_utc_s: u32::from(a) * 60,
        register: u64::from(c),
    };
    let flags = StepFlags::TAKES_REPORT
        .with_if(StepFlags::WANTS_ANSWER, a % 2 == 0)
        .with_if(StepFlags::ROLLBACK_SUSPECTED, what > 240);
    let step = SessionStep {
        utility: utility(whom % 2),
        mode: 1 + a % 3,
        kept: b % 3,
        flags,
        received_utc_s: 1_793_404_800 + u32::from(b),
        counter: counter.saturating_sub(u32::from(c % 4)),
        digest: [a, b, c, whom],
        promoted_version: (a % 7 == 0).then_some(b),
        promoted_mode: None,
        decoder: DECODER_VERSION,
        epoch: NonZeroU32::new(u32::from(1 + a % 2)),
        entries: vec![StepEntry {
            sequence: u32::from(c),
            number: 1,
            flags: RecordFlags::default(),
        }],
        command: if c % 8 == 0 { &command } else { &[] },
        observations: vec![seen],
        header: &[0xA1; 22],
        plaintext: &plaintext,
    };
    step.encode().unwrap()
}

fn log(happenings: &[[u8; 5]]) -> Vec<Frame> {
    let all_utilities = (0..2).map(|number| [0, 0, number, 0, 0]);
    let all_terminals = (0..TERMINALS / 2).map(|number| [10, number, number, 0, 0]);
    let all = all_utilities
        .chain(all_terminals)
        .chain(happenings.iter().copied());
    let mut lsn = 64;
    let mut counter = 0;
    let frames = all.map(|octets| {
        lsn += 100;
        counter += 1;
        let (kind, terminal, payload) = happening(counter, octets);
        Frame {
            lsn: Lsn::new(lsn),
            kind,
            terminal,
            payload,
        }
    });
    frames.collect()
}

/// The frames of [`log`], and between them what gateways and downlinks bring, which the golden
/// files of versions 1 and 2 do not know.
fn busy_log(happenings: &[[u8; 5]]) -> Vec<Frame> {
    let frames = log(happenings).into_iter().zip((0_u8..=255).cycle());
    let with_more = frames.flat_map(|(frame, number)| {
        let more = (number % 3 == 2).then(|| gateway_frame(frame.lsn, number));
        std::iter::once(frame).chain(more)
    });
    with_more.collect()
}

fn gateway_frame(before: Lsn, number: u8) -> Frame {
    let gateway = format!("gate-{}", number % 4);
    let event = match number % 8 {
        0..=3 => Event::GatewayPut(GatewayEntry {
            token_sha256: Some(Fingerprint::new([number; 32])),
            certificate_sha256: number
                .is_multiple_of(5)
                .then(|| Fingerprint::new([!number; 32])),
            addresses: vec![format!("192.0.{}.0/24", number % 4).parse().unwrap()],
            utility: utility(number),
            gateway,
        }),
        4 => Event::GatewayRemoved { gateway },
        _ => Event::MeterCounterReserved {
            meter: TerminalId::new([0x93, 0x15, number % 2, 0, 0, 0, 0x33, 3]),
            key_id: 0,
            key_version: 0,
            up_to: u32::from(number) * 32,
        },
    };
    Frame {
        lsn: before.saturating_add(50),
        kind: KIND_EVENT,
        terminal: None,
        payload: event.encode().unwrap(),
    }
}

impl Frame {
    fn folded(&self) -> FoldFrame<'_> {
        FoldFrame {
            lsn: self.lsn,
            kind: self.kind,
            terminal: self.terminal,
            payload: &self.payload,
            raises_version: false,
        }
    }
}

fn fold(state: &State, frame: &Frame) {
    state.fold(&frame.folded()).unwrap();
}

fn content(state: &State) -> (Vec<(HotEntry, Vec<MeterTrack>)>, Directory) {
    let mut entries = Vec::new();
    for shard in 0..SHARDS {
        state.table.show_shard(shard, |hot, further, _| {
            entries.push((*hot, further.to_vec()));
        });
    }
    entries.sort_by_key(|(hot, _)| hot.id);
    (entries, state.directory().clone())
}

fn customers(state: &State) -> Vec<(TerminalId, String)> {
    let mut found = Vec::new();
    for shard in 0..SHARDS {
        state.table.show_shard(shard, |hot, _, customer| {
            found.extend(customer.map(|one| (hot.id, one.to_owned())));
        });
    }
    found.sort();
    found
}

/// A disk on which time passes: before each write, some frames are folded.
#[derive(Debug)]
struct BusyFs {
    disk: SimFs,
    world: Arc<Busy>,
}

#[derive(Debug)]
struct Busy {
    state: State,
    frames: Vec<Frame>,
    next: Mutex<usize>,
    per_write: usize,
}

impl Busy {
    fn fold(&self, count: usize) {
        let mut next = self.next.lock();
        for frame in self.frames.iter().skip(*next).take(count) {
            fold(&self.state, frame);
            *next += 1;
        }
    }
}

#[derive(Debug)]
struct BusyFile(Arc<dyn FsFile>, Arc<Busy>);

impl FsFile for BusyFile {
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, buffer)
    }
    fn write_all_at(&self, offset: u64, octets: &[u8]) -> io::Result<()> {
        self.1.fold(self.1.per_write);
        self.0.write_all_at(offset, octets)
    }
    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }
    fn set_len(&self, octets: u64) -> io::Result<()> {
        self.0.set_len(octets)
    }
    fn len(&self) -> io::Result<u64> {
        self.0.len()
    }
}

impl Fs for BusyFs {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.create_dir(dir)
    }
    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        let file = self.disk.create(path)?;
        Ok(Arc::new(BusyFile(file, Arc::clone(&self.world))))
    }
    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>> {
        self.disk.open(path, access)
    }
    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        self.disk.list(dir)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.disk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        self.disk.remove(path)
    }
    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        self.disk.sync_dir(dir)
    }
    fn lock(&self, path: &Path) -> io::Result<HeldLock> {
        self.disk.lock(path)
    }
    fn space(&self, dir: &Path) -> io::Result<Space> {
        self.disk.space(dir)
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(400)
    })]

    #[test]
    fn a_snapshot_taken_amid_folding_and_the_log_after_it_give_the_state_of_the_whole_log(
        happenings in prop::collection::vec(any::<[u8; 5]>(), 1..200),
        before in 0usize..200,
        per_write in 0usize..12,
    ) {
        let frames = busy_log(&happenings);
        let whole = State::default();
        frames.iter().for_each(|frame| fold(&whole, frame));

        let before = before % frames.len();
        let world = Arc::new(Busy {
            state: State::default(),
            frames: frames.clone(),
            next: Mutex::new(0),
            per_write,
        });
        world.fold(before);
        let position = frames[before].lsn;
        let fs = BusyFs { disk: SimFs::new(), world: Arc::clone(&world) };
        let info = write(&world.state, position, Path::new(DIR), &fs, 2).unwrap();
        prop_assert_eq!(info.position, position);

        let loaded = load_latest(Path::new(DIR), &fs, LinkKeyring::new()).unwrap();
        prop_assert_eq!(loaded.position, position);
        for frame in frames.iter().filter(|frame| frame.lsn >= position) {
            fold(&loaded.state, frame);
        }
        prop_assert_eq!(content(&loaded.state), content(&whole));
        prop_assert_eq!(customers(&loaded.state), customers(&whole));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(24)
    })]

    #[test]
    fn many_frames_folded_at_once_end_in_the_state_of_one_after_the_other(
        events in prop::collection::vec(any::<[u8; 5]>(), 1..4),
        steps in prop::collection::vec(any::<[u8; 5]>(), 2_000..2_400),
        threads in 1..4usize,
    ) {
        // Of what happens from 85 on, all are steps: runs that are worth threads, between events.
        let steps = steps.iter().map(|[what, rest @ ..]| {
            let [whom, a, b, c] = rest;
            [85 + what % 171, *whom, *a, *b, *c]
        });
        let mut happenings: Vec<_> = steps.collect();
        for (number, event) in events.iter().enumerate() {
            happenings.insert(number * 600, *event);
        }
        let frames = log(&happenings);
        let one_by_one = State::new(LinkKeyring::new());
        frames.iter().for_each(|frame| fold(&one_by_one, frame));
        let at_once = State::new(LinkKeyring::new());
        let folded: Vec<_> = frames.iter().map(Frame::folded).collect();
        fold_all(&at_once, &folded, NonZeroUsize::new(threads).unwrap()).unwrap();
        prop_assert_eq!(content(&at_once), content(&one_by_one));
        prop_assert_eq!(customers(&at_once), customers(&one_by_one));
    }
}

#[test]
fn of_many_frames_the_first_that_cannot_be_folded_is_told() {
    let mut frames = log(&vec![[200, 1, 2, 3, 4]; 2_000]);
    for damaged in [1_500, 1_000] {
        frames[damaged].terminal = None;
    }
    let folded: Vec<_> = frames.iter().map(Frame::folded).collect();
    let state = State::new(LinkKeyring::new());
    let error = fold_all(&state, &folded, NonZeroUsize::new(2).unwrap()).unwrap_err();
    let first = frames[1_000].lsn;
    assert!(
        matches!(error, FoldError::Value { lsn, .. } if lsn == first),
        "{error}"
    );
}

/// What the golden files of versions 1 and 2 were made of.
fn sample_state() -> State {
    state_of(&log(&sample_happenings()))
}

/// What the golden file of version 3 was made of.
fn sample_state_with_gateways() -> State {
    state_of(&busy_log(&sample_happenings()))
}

fn sample_happenings() -> Vec<[u8; 5]> {
    let happenings = (0..120u8).map(|i| {
        let spread = |by: u8| i.wrapping_mul(by).wrapping_add(by);
        [spread(83), i, spread(29), spread(53), spread(7)]
    });
    happenings.collect()
}

fn state_of(frames: &[Frame]) -> State {
    let state = State::default();
    frames.iter().for_each(|frame| fold(&state, frame));
    state
}

/// Snapshots at positions 1,000, 2,000 … of growing state.
fn disk_with(count: u64) -> SimFs {
    let fs = SimFs::new();
    for number in 1..=count {
        let state = sample_state();
        let contact = u32::try_from(number).unwrap();
        state
            .table
            .with(terminal(0), |entry| entry.hot.last_contact_utc_s = contact);
        write(&state, Lsn::new(number * 1_000), Path::new(DIR), &fs, 2).unwrap();
    }
    fs
}

fn contact(state: &State) -> Option<u32> {
    state
        .table
        .with(terminal(0), |entry| entry.hot.last_contact_utc_s)
}

#[test]
fn two_snapshots_are_kept_and_the_oldest_of_them_is_told() {
    let fs = disk_with(4);
    let mut names = fs.list(Path::new(DIR)).unwrap();
    names.sort();
    assert_eq!(
        names,
        [
            "hot-00000000000000003000.snap",
            "hot-00000000000000004000.snap"
        ]
    );
    assert_eq!(
        oldest_kept(Path::new(DIR), &fs).unwrap(),
        Some(Lsn::new(3_000))
    );
    let empty = SimFs::new();
    assert_eq!(oldest_kept(Path::new(DIR), &empty).unwrap(), None);
}

fn unfinished(fs: &SimFs) -> usize {
    let names = fs.list(Path::new(DIR)).unwrap();
    names.iter().filter(|name| name.ends_with(".new")).count()
}

#[test]
fn one_that_fails_leaves_nothing_behind_and_the_ones_before_it() {
    let fs = disk_with(2);
    let state = sample_state();
    for write_that_fails in 1..4 {
        fs.set_faults(Faults {
            short_write: Some((fs.counts().writes + write_that_fails, 5)),
            ..Faults::default()
        });
        let failed = write(&state, Lsn::new(9_000), Path::new(DIR), &fs, 2);
        assert!(matches!(failed, Err(WriteError::Io { .. })), "{failed:?}");
        assert_eq!(unfinished(&fs), 0);
        let loaded = load_latest(Path::new(DIR), &fs, LinkKeyring::new()).unwrap();
        assert_eq!(loaded.position, Lsn::new(2_000));
    }
}

#[test]
fn what_a_process_left_unfinished_is_removed() {
    let fs = disk_with(1);
    let left = Path::new(DIR).join("hot-00000000000000009000.snap.new");
    fs.put(&left, vec![0; 100]);
    remove_unfinished(Path::new(DIR), &fs).unwrap();
    assert_eq!(unfinished(&fs), 0);
    let loaded = load_latest(Path::new(DIR), &fs, LinkKeyring::new()).unwrap();
    assert_eq!(loaded.position, Lsn::new(1_000));
}

#[test]
fn none_is_begun_on_a_disk_with_no_room_beside_the_reserve() {
    let (fs, state) = (disk_with(1), sample_state());
    let space = |free| Faults {
        space: Some(Space {
            free,
            total: 1 << 40,
        }),
        ..Faults::default()
    };
    fs.set_faults(space(100 << 20));
    let check = |reserve| check_room(&state, Path::new(DIR), &fs, reserve);
    assert!(check(64 << 20).is_ok());
    let needed = |state: &State| match check_room(state, Path::new(DIR), &fs, 100 << 20) {
        Err(WriteError::NoRoom { free: 0, needed }) => needed,
        other => panic!("{other:?}"),
    };
    let before = needed(&state);
    let (id, _) = customers(&state).swap_remove(0);
    let longer = "9".repeat(200);
    let set = |mut entry: super::super::table::EntryMut<'_>| {
        let len = entry.customer().map_or(0, str::len);
        entry.set_customer(Some(&longer));
        u64::try_from(longer.len() - len).unwrap()
    };
    let more = state.table.with(id, set).unwrap();
    assert_eq!(needed(&state), before + more);
}

#[test]
fn any_flipped_octet_and_any_cut_makes_the_one_before_it_count() {
    let good = disk_with(2);
    let newest = Path::new(DIR).join("hot-00000000000000002000.snap");
    let octets = good.content(&newest).unwrap();
    let flips = (0..octets.len()).step_by(7).map(|at| {
        let mut octets = octets.clone();
        octets[at] ^= 0x10;
        octets
    });
    let cuts = (0..octets.len())
        .step_by(97)
        .map(|at| octets[..at].to_vec());
    let longer = [&octets[..], &[0]].concat();
    for (number, wrong) in flips.chain(cuts).chain([longer]).enumerate() {
        let fs = disk_with(2);
        fs.put(&newest, wrong);
        match load_latest(Path::new(DIR), &fs, LinkKeyring::new()) {
            Ok(loaded) => {
                assert_eq!(loaded.position, Lsn::new(1_000), "{number}");
                assert_eq!(contact(&loaded.state), Some(1));
                assert_eq!(loaded.passed_over[0].path, newest);
                assert_eq!(
                    oldest_kept(Path::new(DIR), &fs).unwrap(),
                    Some(Lsn::new(1_000))
                );
            }
            // The flipped octet is that of the version.
            Err(LoadError::Newer { .. }) => assert!(number <= 1, "{number}"),
            Err(error) => panic!("{error}"),
        }
    }
}

#[test]
fn without_a_usable_snapshot_state_begins_at_the_beginning_of_the_log() {
    let fs = SimFs::new();
    let path = Path::new(DIR).join("hot-00000000000000000900.snap");
    fs.put(&path, b"KENSHSNP".to_vec());
    let loaded = load_latest(Path::new(DIR), &fs, LinkKeyring::new()).unwrap();
    assert_eq!((loaded.position, loaded.state.table.len()), (Lsn::ZERO, 0));
    assert_eq!(loaded.passed_over.len(), 1);
}

#[test]
fn a_snapshot_of_a_later_server_is_refused_by_its_name() {
    let fs = disk_with(1);
    let path = Path::new(DIR).join("hot-00000000000000001000.snap");
    let mut octets = fs.content(&path).unwrap();
    octets[8] = u8::try_from(VERSION).unwrap() + 1;
    fs.put(&path, octets);
    let error = load_latest(Path::new(DIR), &fs, LinkKeyring::new()).unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("hot-00000000000000001000.snap has version 6"),
        "{text}"
    );
}

#[test]
fn a_power_cut_at_any_moment_leaves_the_old_snapshot_or_the_new_one() {
    let state = sample_state();
    for cut in 1..40u64 {
        for seed in 0..8 {
            let fs = disk_with(1);
            let changes = fs.counts().changes;
            fs.set_faults(Faults {
                power_cut: Some(changes + cut),
                ..Faults::default()
            });
            let written = write(&state, Lsn::new(2_000), Path::new(DIR), &fs, 2);
            let after = fs.crash(seed);
            let loaded = load_latest(Path::new(DIR), &after, LinkKeyring::new()).unwrap();
            let position = loaded.position.get();
            assert!(position == 2_000 || position == 1_000 && written.is_err());
        }
    }
}

fn golden(version: u16) -> PathBuf {
    let name = format!("tests/golden/state-v{version}");
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
#[ignore = "makes the golden file of the version that this server writes"]
fn the_golden_file_is_made() {
    let dir = golden(VERSION);
    std::fs::create_dir_all(&dir).unwrap();
    let sample = sample_state_with_gateways();
    teach_full(&sample, 10_000, CITY);
    write(&sample, Lsn::new(12_345), &dir, &RealFs, 2).unwrap();
}

#[test]
fn the_golden_file_of_version_5_reads_as_the_state_that_it_was_made_of() {
    let sample = sample_state_with_gateways();
    teach_full(&sample, 10_000, CITY);
    let loaded = load_latest(&golden(5), &RealFs, LinkKeyring::new()).unwrap();
    assert_eq!(loaded.position, Lsn::new(12_345));
    assert_eq!(content(&loaded.state), content(&sample));
    assert_eq!(customers(&loaded.state), customers(&sample));
    let meters = |state: &State| -> Vec<_> {
        let shards = 0..MeterTable::SHARDS;
        shards
            .flat_map(|shard| state.meters.copy_of_shard(shard))
            .collect()
    };
    assert_eq!(meters(&loaded.state), meters(&sample));
    assert!(expanded(&loaded.state, CITY).is_some());
}

#[test]
fn the_golden_file_of_version_4_reads_as_the_state_that_it_was_made_of() {
    let sample = sample_state_with_gateways();
    teach_full(&sample, 10_000, CITY);
    let loaded = load_latest(&golden(4), &RealFs, LinkKeyring::new()).unwrap();
    assert_eq!(loaded.position, Lsn::new(12_345));
    assert_eq!(content(&loaded.state), content(&sample));
    assert_eq!(customers(&loaded.state), customers(&sample));
    assert_eq!(loaded.state.meters.len(), sample.meters.len());
    assert!(expanded(&loaded.state, CITY).is_some());
    assert_eq!(expanded(&loaded.state, GAS), None);
}

#[test]
fn the_golden_file_of_version_3_reads_as_the_state_that_it_was_made_of() {
    let sample = sample_state_with_gateways();
    let loaded = load_latest(&golden(3), &RealFs, LinkKeyring::new()).unwrap();
    assert_eq!(loaded.position, Lsn::new(12_345));
    assert_eq!(content(&loaded.state), content(&sample));
    assert_eq!(customers(&loaded.state), customers(&sample));
    let directory = loaded.state.directory();
    assert!(directory.gateways.len() > 1 && directory.meter_counters.len() == 2);
    let gateway = directory.gateways.all().next().unwrap();
    let address = gateway.entry.addresses[0]
        .to_string()
        .replace(".0/24", ".7");
    let found = directory.gateway_by_address(address.parse().unwrap());
    assert_eq!(found.as_ref(), Some(gateway));
    let marks: Vec<_> = directory.meter_counters.marks().collect();
    let mut ledger = CounterLedger::restored(marks.clone());
    for (key, up_to) in marks {
        let Next::Reserve(range) = ledger.next(key, 0) else {
            panic!("a counter of a range that was set aside before")
        };
        assert!(range.up_to > up_to);
    }
}

#[test]
fn the_golden_file_of_version_2_reads_as_the_state_that_it_was_made_of() {
    let sample = sample_state();
    assert_ne!(customers(&sample), []);
    let loaded = load_latest(&golden(2), &RealFs, LinkKeyring::new()).unwrap();
    assert_eq!(loaded.position, Lsn::new(12_345));
    assert_eq!(content(&loaded.state), content(&sample));
    assert_eq!(customers(&loaded.state), customers(&sample));
}

#[test]
fn the_golden_file_of_version_1_reads_as_the_state_that_it_was_made_of() {
    let loaded = load_latest(&golden(1), &RealFs, LinkKeyring::new()).unwrap();
    assert_eq!(loaded.position, Lsn::new(12_345));
    let (mut read, directory) = content(&loaded.state);
    let (mut made, made_directory) = content(&sample_state());
    assert_eq!(directory, made_directory);
    for (hot, _) in read.iter_mut().chain(&mut made) {
        // It knew less of the records, and denies none that may be durable.
        let track = hot.sequences();
        let row = SequenceTrack::of_version_1(track.epoch, track.highest, track.recent);
        hot.set_sequences(&row);
    }
    assert_eq!(read, made);
    assert_eq!(customers(&loaded.state), []);
}

#[test]
#[ignore = "a measurement: 1,000,000 terminals"]
fn a_million_terminals_load_within_two_seconds() {
    use crate::time::{Clock as _, SystemClock};
    let dir = tempfile::tempdir().unwrap();
    let state = State::default();
    for number in 0..1_000_000u64 {
        let id = TerminalId::new(number.to_be_bytes());
        let index = super::super::directory::UtilityIndex::new(0);
        let new = HotEntry::new(id, index, crate::wire::otl::ident::Mode::CcmStatic);
        state.table.with_or_insert(&new, |_| ()).unwrap();
    }
    let clock = SystemClock::new();
    let info = write(&state, Lsn::new(64), dir.path(), &RealFs, 2).unwrap();
    let written_ms = clock.monotonic_ms();
    let loaded = load_latest(dir.path(), &RealFs, LinkKeyring::new()).unwrap();
    let loaded_ms = clock.monotonic_ms() - written_ms;
    println!(
        "{} octets, written in {written_ms} ms, loaded in {loaded_ms} ms",
        info.octets
    );
    assert_eq!(loaded.state.table.len(), 1_000_000);
    assert!(loaded_ms < 2_000);
}
