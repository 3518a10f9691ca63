//! Small files that hold a secret.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;

use zeroize::Zeroizing;

/// The longest that is read, in octets.
const SECRET_MAX: usize = 4_096;

/// Reads a file that holds a secret. What is read is wiped when it is dropped.
///
/// # Errors
///
/// If it cannot be read, or is longer than 4,096 octets.
pub fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Room for all of it at once: growing would leave a copy of the secret behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(SECRET_MAX.saturating_mul(2)));
    let most = u64::try_from(SECRET_MAX).unwrap_or(u64::MAX);
    File::open(path)?
        .take(most.saturating_add(1))
        .read_to_end(&mut octets)?;
    if octets.len() > SECRET_MAX {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(octets)
}
