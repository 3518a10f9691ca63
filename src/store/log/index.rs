//! Where a segment's frames of a terminal, and of the alarm lane, stand.
//!
//! In memory an entry is 12 octets. On disk it is the file `<base>.kidx`, whose form is told in
//! `protocol-spec/log-format.md`. An index is no truth: one that is missing or damaged is made
//! again from its segment.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::frame::{Content, put, take};
use super::header::{self, HeaderState};
use super::scan::{self, Stop, to_u64};
use super::segment::{BLOCK, Segment};
use crate::model::{Lanes, TerminalId};
use crate::store::fs::{Access, Fs, FsFile};

/// Entries of a part of an index in memory that is not copied any more. What is copied, under a
/// lock that the commit thread wants, is the last part and a pointer for each other one: 15 KiB.
const PART: usize = 1_024;
/// The bit of an entry's place that says that the frame is of the alarm lane.
const ALARM: u32 = 1 << 31;
const MAGIC: [u8; 8] = *b"KENSHIDX";
const VERSION: u16 = 1;
const HEADER_LEN: usize = 48;
/// Octets of a terminal in the table: the terminal, and the number of its first place.
const ROW: usize = 12;

#[derive(Clone, Copy, Debug)]
struct Entry {
    terminal: [u8; 8],
    /// Octets from the file's beginning, and [`ALARM`].
    place: u32,
}

/// The index of a segment in memory, in the order of the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries {
    full: Vec<Arc<Vec<Entry>>>,
    tail: Vec<Entry>,
}

impl Entries {
    /// Notes a frame, `offset` octets from the file's beginning.
    pub(super) fn note(&mut self, offset: u64, content: &Content<'_>) {
        let is_alarm = content.lanes.meets(Lanes::ALARM);
        if content.terminal.is_none() && !is_alarm {
            return;
        }
        // A segment is shorter than 2 GiB: see `LogOptions::segment_bytes`.
        let offset = u32::try_from(offset).unwrap_or(ALARM) & !ALARM;
        self.tail.push(Entry {
            terminal: content.terminal.unwrap_or_default().octets(),
            place: offset | if is_alarm { ALARM } else { 0 },
        });
        if self.tail.len() >= PART {
            self.full.push(Arc::new(std::mem::take(&mut self.tail)));
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Entry> {
        let full = self.full.iter().flat_map(|part| part.iter());
        full.chain(&self.tail)
    }

    /// The places of a terminal's frames, in the order of the log.
    fn of_terminal(&self, terminal: TerminalId) -> Vec<u32> {
        let wanted = terminal.octets();
        let entries = self.iter().filter(|entry| entry.terminal == wanted);
        entries.map(|entry| entry.place & !ALARM).collect()
    }

    fn alarms(&self) -> Vec<u32> {
        let alarms = self.iter().filter(|entry| entry.place & ALARM != 0);
        alarms.map(|entry| entry.place & !ALARM).collect()
    }

    /// The octets of the index file of a segment of this length.
    fn encode(&self, base: u64, segment_len: u64) -> Vec<u8> {
        let mut sorted: Vec<Entry> = self.iter().copied().collect();
        sorted.retain(|entry| entry.terminal != [0; 8]);
        sorted.sort_by_key(|entry| (entry.terminal, entry.place & !ALARM));
        let alarms = self.alarms();
        let mut rows = Vec::new();
        let mut terminals = 0;
        let mut last = None;
        for (number, entry) in (0_u32..).zip(&sorted) {
            if last != Some(entry.terminal) {
                last = Some(entry.terminal);
                terminals += 1;
                rows.extend_from_slice(&entry.terminal);
                rows.extend_from_slice(&number.to_le_bytes());
            }
        }
        let mut head = [0; HEADER_LEN];
        let mut rest = head.as_mut_slice();
        put(&mut rest, &MAGIC);
        put(&mut rest, &VERSION.to_le_bytes());
        put(&mut rest, &[0; 6]);
        put(&mut rest, &base.to_le_bytes());
        put(&mut rest, &segment_len.to_le_bytes());
        for count in [terminals, to_u32(sorted.len()), to_u32(alarms.len())] {
            put(&mut rest, &count.to_le_bytes());
        }
        let mut octets = head.to_vec();
        octets.append(&mut rows);
        for entry in &sorted {
            octets.extend_from_slice(&(entry.place & !ALARM).to_le_bytes());
        }
        for place in alarms {
            octets.extend_from_slice(&place.to_le_bytes());
        }
        let crc = crc32c::crc32c(&octets);
        octets.extend_from_slice(&crc.to_le_bytes());
        octets
    }
}

fn to_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// Where a segment's index is.
#[derive(Debug)]
pub(super) enum IndexState {
    /// Perhaps on disk, perhaps damaged.
    Unknown,
    /// In memory, and perhaps not on disk.
    Memory(Entries),
    /// On disk, and checked.
    Disk(IndexFile),
}

/// An index file whose check held when it was opened.
#[derive(Clone, Debug)]
pub(super) struct IndexFile {
    path: PathBuf,
    terminals: u32,
    places: u32,
    alarms: u32,
}

impl IndexFile {
    /// Reads all of an index file and checks it; none if it is not the index of that segment.
    pub(super) fn check(
        fs: &dyn Fs,
        path: &Path,
        base: u64,
        segment_len: u64,
    ) -> io::Result<Option<Self>> {
        let file = match fs.open(path, Access::Read) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut head = [0; HEADER_LEN];
        file.read_at(0, &mut head)?;
        let Some(index) = Self::parse(path, &head, base, segment_len) else {
            return Ok(None);
        };
        let len = index
            .alarms_at()
            .saturating_add(u64::from(index.alarms) * 4);
        if file.len()? != len.saturating_add(4) {
            return Ok(None);
        }
        let mut crc = 0;
        let mut block = vec![0; BLOCK];
        let mut at = 0;
        while at < len {
            let wanted = usize::try_from(len - at).unwrap_or(BLOCK).min(BLOCK);
            let place = block.get_mut(..wanted).unwrap_or_default();
            if file.read_at(at, place)? != wanted {
                return Ok(None);
            }
            crc = crc32c::crc32c_append(crc, place);
            at = at.saturating_add(to_u64(wanted));
        }
        let mut told = [0; 4];
        file.read_at(len, &mut told)?;
        Ok((u32::from_le_bytes(told) == crc).then_some(index))
    }

    fn parse(path: &Path, mut head: &[u8], base: u64, segment_len: u64) -> Option<Self> {
        let is_ours = take(&mut head)? == MAGIC
            && u16::from_le_bytes(take(&mut head)?) == VERSION
            && take::<6>(&mut head)? == [0; 6]
            && u64::from_le_bytes(take(&mut head)?) == base
            && u64::from_le_bytes(take(&mut head)?) == segment_len;
        is_ours.then_some(())?;
        Some(Self {
            path: path.to_owned(),
            terminals: u32::from_le_bytes(take(&mut head)?),
            places: u32::from_le_bytes(take(&mut head)?),
            alarms: u32::from_le_bytes(take(&mut head)?),
        })
    }

    fn places_at(&self) -> u64 {
        to_u64(HEADER_LEN).saturating_add(u64::from(self.terminals) * to_u64(ROW))
    }

    fn alarms_at(&self) -> u64 {
        self.places_at().saturating_add(u64::from(self.places) * 4)
    }

    fn row(&self, file: &dyn FsFile, number: u32) -> io::Result<([u8; 8], u32)> {
        // After the last row stands what a row of its number would tell: the end of the places.
        if number >= self.terminals {
            return Ok(([u8::MAX; 8], self.places));
        }
        let mut octets = [0; ROW];
        let at = to_u64(HEADER_LEN).saturating_add(u64::from(number) * to_u64(ROW));
        file.read_at(at, &mut octets)?;
        let mut rest = octets.as_slice();
        let terminal = take(&mut rest).unwrap_or_default();
        let first = take(&mut rest).unwrap_or_default();
        Ok((terminal, u32::from_le_bytes(first)))
    }

    fn of_terminal(&self, fs: &dyn Fs, terminal: TerminalId) -> io::Result<Vec<u32>> {
        let file = fs.open(&self.path, Access::Read)?;
        let (mut low, mut high) = (0, self.terminals);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.row(&*file, middle)?.0 < terminal.octets() {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        let (found, first) = self.row(&*file, low)?;
        if low >= self.terminals || found != terminal.octets() {
            return Ok(Vec::new());
        }
        let (_, end) = self.row(&*file, low + 1)?;
        let at = self.places_at().saturating_add(u64::from(first) * 4);
        read_places(&*file, at, end.saturating_sub(first))
    }

    fn all_alarms(&self, fs: &dyn Fs) -> io::Result<Vec<u32>> {
        let file = fs.open(&self.path, Access::Read)?;
        read_places(&*file, self.alarms_at(), self.alarms)
    }
}

fn read_places(file: &dyn FsFile, at: u64, count: u32) -> io::Result<Vec<u32>> {
    let octets = usize::try_from(u64::from(count) * 4).unwrap_or(0);
    let mut places = vec![0; octets];
    if file.read_at(at, &mut places)? != octets {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let (places, _) = places.as_chunks();
    Ok(places.iter().copied().map(u32::from_le_bytes).collect())
}

impl Segment {
    /// Whether its index can be used without reading it whole first.
    pub(super) fn has_index_at_hand(&self) -> bool {
        !matches!(&*self.index.lock(), IndexState::Unknown)
    }

    /// The places of a terminal's frames, in the order of the log.
    pub(super) fn places_of(&self, fs: &dyn Fs, terminal: TerminalId) -> io::Result<Vec<u32>> {
        if terminal == TerminalId::default() {
            return Ok(Vec::new());
        }
        self.with_index(
            fs,
            |entries| entries.of_terminal(terminal),
            |index| index.of_terminal(fs, terminal),
        )
    }

    /// The places of the alarm lane's frames, in the order of the log.
    pub(super) fn alarm_places(&self, fs: &dyn Fs) -> io::Result<Vec<u32>> {
        self.with_index(fs, Entries::alarms, |index| index.all_alarms(fs))
    }

    fn with_index(
        &self,
        fs: &dyn Fs,
        in_memory: impl FnOnce(&Entries) -> Vec<u32>,
        on_disk: impl FnOnce(&IndexFile) -> io::Result<Vec<u32>>,
    ) -> io::Result<Vec<u32>> {
        loop {
            // Copied: the commit thread may want the lock.
            let (entries, index) = match &*self.index.lock() {
                IndexState::Memory(entries) => (Some(entries.clone()), None),
                IndexState::Disk(index) => (None, Some(index.clone())),
                IndexState::Unknown => (None, None),
            };
            match (entries, index) {
                (Some(entries), _) => return Ok(in_memory(&entries)),
                (None, Some(index)) => return on_disk(&index),
                // The commit thread may drop what it has no room for at any time.
                (None, None) => self.make_index(fs)?,
            }
        }
    }

    fn make_index(&self, fs: &dyn Fs) -> io::Result<()> {
        // Not under the lock of the state, which whoever only asks whether it is at hand takes.
        let _one_at_a_time = self.index_making.lock();
        if !self.has_index_at_hand() {
            let found = self.find_index(fs)?;
            *self.index.lock() = found;
        }
        Ok(())
    }

    /// The index on disk if it is good, else one made from the segment and left on disk.
    fn find_index(&self, fs: &dyn Fs) -> io::Result<IndexState> {
        let Some(end) = self.sealed_end.get() else {
            // By a bug: while a segment is active its index is in memory.
            return Err(io::Error::other("an active segment without its index"));
        };
        let len = end.saturating_sub(self.base);
        if let Some(index) = IndexFile::check(fs, &self.index_path, self.base, len)? {
            return Ok(IndexState::Disk(index));
        }
        let entries = self.entries_from_file(fs)?;
        match self.write_index(fs, &entries, len) {
            Ok(index) => Ok(IndexState::Disk(index)),
            Err(error) => {
                tracing::warn!(%error, path = %self.index_path.display(), "Index not written.");
                Ok(IndexState::Memory(entries))
            }
        }
    }

    /// Reads a segment whole. Frames after damage are not in the result: whoever reads the segment
    /// learns of the damage.
    fn entries_from_file(&self, fs: &dyn Fs) -> io::Result<Entries> {
        let file = fs.open(&self.path, Access::Read)?;
        let mut octets = [0; 64];
        file.read_at(0, &mut octets)?;
        let mut entries = Entries::default();
        let HeaderState::Good(header) = header::parse(&octets) else {
            return Err(io::ErrorKind::InvalidData.into());
        };
        let mut note = |offset, frame: &super::frame::Frame<'_>| {
            entries.note(offset, &frame.content);
        };
        let found = scan::scan(&*file, self.base, header.crc, &mut note)?;
        if found.stop == Stop::Footer {
            Ok(entries)
        } else {
            Err(io::ErrorKind::InvalidData.into())
        }
    }

    /// Writes the index of this sealed segment to disk.
    pub(super) fn save_index(&self, fs: &dyn Fs) -> io::Result<()> {
        let Some(end) = self.sealed_end.get() else {
            return Ok(());
        };
        let entries = match &*self.index.lock() {
            IndexState::Memory(entries) => entries.clone(),
            IndexState::Unknown | IndexState::Disk(_) => return Ok(()),
        };
        let index = self.write_index(fs, &entries, end.saturating_sub(self.base))?;
        *self.index.lock() = IndexState::Disk(index);
        Ok(())
    }

    fn write_index(&self, fs: &dyn Fs, entries: &Entries, len: u64) -> io::Result<IndexFile> {
        let octets = entries.encode(self.base, len);
        let unfinished = self.unfinished_index_path();
        match fs.remove(&unfinished) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = fs.create(&unfinished)?;
        file.write_all_at(0, &octets)?;
        // The name may become durable before the directory is synced, and must not promise octets
        // that are not there.
        file.sync_data()?;
        fs.rename(&unfinished, &self.index_path)?;
        let index = IndexFile::parse(&self.index_path, &octets, self.base, len);
        index.ok_or_else(|| io::ErrorKind::InvalidData.into())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;
    use crate::model::Lane;
    use crate::store::fs::SimFs;
    use crate::store::log::{
        Append, CommitLog, CommitObserver, DurableFrame, LogOptions, Refused, Ticket,
    };

    const TERMINAL: TerminalId = TerminalId::new([7; 8]);

    struct Nobody;

    impl CommitObserver for Nobody {
        fn durable(&mut self, _: &[DurableFrame<'_>]) {}

        fn refused(&mut self, _: &Ticket, _: Refused) {}
    }

    #[test]
    fn an_index_that_is_dropped_while_it_is_asked_for_is_made_again_and_never_empty() {
        let options = LogOptions {
            floor_bytes: 0,
            urgent_floor_bytes: 0,
            segment_bytes: 16_384,
            ..LogOptions::default()
        };
        let (fs, dir) = (Arc::new(SimFs::new()), Path::new("/log"));
        let log = CommitLog::open(fs.clone(), dir, options, Box::new(Nobody)).unwrap();
        for _ in 0..200 {
            let append = Append {
                kind: 1,
                lanes: Lane::Bulk.into(),
                urgent: false,
                terminal: Some(TERMINAL),
                payload: vec![0; 200],
                guard: None,
                ticket: None,
            };
            log.append_and_wait(append).unwrap();
        }
        let segment = Arc::clone(&log.shared.segments.snapshot()[0]);
        let all = segment.places_of(&*fs, TERMINAL).unwrap();
        assert!(all.len() > 10, "{}", all.len());
        let is_over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    *segment.index.lock() = IndexState::Unknown;
                    std::thread::yield_now();
                }
            });
            let places = (0..2_000).map(|_| segment.places_of(&*fs, TERMINAL).ok());
            let differ = places.filter(|places| places.as_ref() != Some(&all));
            let differ = differ.count();
            is_over.store(true, Ordering::Relaxed);
            assert_eq!(differ, 0);
        });
    }
}
