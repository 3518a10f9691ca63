//! A real disk that tells what is asked of it, and as much room as it is told to.

use std::fmt;

use parking_lot::Mutex;

use super::*;
use crate::store::fs::{Access, FsFile, HeldLock, Space};

#[derive(Default)]
struct Told {
    opened: Vec<PathBuf>,
    looks: u64,
    /// After so many looks, so much room is left.
    limit: Option<(u64, u64)>,
    at_look: Option<Box<dyn FnMut() + Send>>,
}

#[derive(Default)]
pub(super) struct Disk(Mutex<Told>);

impl fmt::Debug for Disk {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Disk")
    }
}

impl Disk {
    /// There is plenty of room for so many looks from now on, and then so much.
    pub(super) fn room_for_looks(&self, looks: u64, free: u64) {
        let mut told = self.0.lock();
        told.looks = 0;
        told.limit = Some((looks, free));
    }

    pub(super) fn at_each_look(&self, work: impl FnMut() + Send + 'static) {
        self.0.lock().at_look = Some(Box::new(work));
    }

    pub(super) fn opened(&self) -> Vec<PathBuf> {
        self.0.lock().opened.clone()
    }
}

impl Fs for Disk {
    fn create_dir(&self, dir: &Path) -> io::Result<()> {
        RealFs.create_dir(dir)
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn FsFile>> {
        RealFs.create(path)
    }

    fn open(&self, path: &Path, access: Access) -> io::Result<Arc<dyn FsFile>> {
        self.0.lock().opened.push(path.to_owned());
        RealFs.open(path, access)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        RealFs.list(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealFs.rename(from, to)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        RealFs.remove(path)
    }

    fn sync_dir(&self, dir: &Path) -> io::Result<()> {
        RealFs.sync_dir(dir)
    }

    fn lock(&self, path: &Path) -> io::Result<HeldLock> {
        RealFs.lock(path)
    }

    fn space(&self, _dir: &Path) -> io::Result<Space> {
        let mut told = self.0.lock();
        if let Some(work) = &mut told.at_look {
            work();
        }
        let plenty = 1 << 40;
        let free = match told.limit {
            Some((looks, free)) if told.looks >= looks => free,
            _ => plenty,
        };
        told.looks += 1;
        Ok(Space {
            free,
            total: plenty,
        })
    }
}
