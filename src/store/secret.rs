//! Small files that hold a secret.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

/// The longest that is read, in octets.
const SECRET_MAX: usize = 4_096;

/// Reads a file that holds a secret, or may. What is read is wiped when it is dropped.
///
/// # Errors
///
/// If it cannot be read, or is longer than `most` octets.
pub fn read_at_most(path: &Path, most: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for all of it at once: growing would leave a copy of the secret behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(most.saturating_mul(2)));
    let limit = u64::try_from(most).unwrap_or(u64::MAX);
    File::open(path)?
        .take(limit.saturating_add(1))
        .read_to_end(&mut octets)?;
    if octets.len() > most {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(octets)
}

/// Reads a file that holds a secret. What is read is wiped when it is dropped.
///
/// # Errors
///
/// If it cannot be read, or is longer than 4,096 octets.
pub fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    read_at_most(path, SECRET_MAX)
}
