//! File descriptors: as many as the system gives, and no more connections than they allow.
//!
//! Terminals open connections before anybody knows who they are. If these could take the last
//! descriptor, the log would be without one for its next file.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::config::Config;

/// Descriptors for everything but connections and what follows the log: the log, its readers,
/// snapshots, the runtime, and connections that were cut and have not ended yet.
const FILES: u64 = 256;
/// Descriptors of one that follows the log, in both lanes.
const FOLLOWER_FILES: u64 = 8;
/// Descriptors of one loop of datagrams.
const WORKER_FILES: u64 = 2;
/// Below so many connections of terminals a server does not start, if more are configured.
const CONNECTIONS_LEAST: u64 = 64;

/// The limit of open files leaves no room for terminals.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "the limit of open files is {limit}, and {wanted} are wanted: raise the hard limit \
     (LimitNOFILE= of systemd, `ulimit -Hn`), or lower tcp.max_connections, \
     api.max_connections and mbus.max_connections"
)]
pub struct TooFewFiles {
    /// What the system allows.
    pub limit: u64,
    /// What the configuration asks for.
    pub wanted: u64,
}

/// Raises the soft limit of open files to the hard one. Returns how many connections of terminals
/// may be open at once: the configured number, or fewer with a warning.
///
/// # Errors
///
/// [`TooFewFiles`].
pub fn provide(config: &Config, workers: u16) -> Result<u64, TooFewFiles> {
    if let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE)
        && soft < hard
    {
        // If it is refused, what is there has to do.
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard).ok();
    }
    // A system that does not tell has no limit that could be kept to.
    let limit = getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft);
    let wanted = match config.listen.tcp {
        Some(_) => u64::from(config.tcp.max_connections),
        None => 0,
    };
    let fitting = fitting(limit, wanted, others(config, workers))?;
    if fitting < wanted {
        tracing::warn!(
            limit,
            wanted,
            fitting,
            "The limit of open files allows fewer connections than tcp.max_connections: raise the \
             hard limit, as with LimitNOFILE= of systemd."
        );
    }
    Ok(fitting)
}

/// What is needed beside connections of terminals.
fn others(config: &Config, workers: u16) -> u64 {
    let followers = config.sinks.len().saturating_add(config.consumers.len());
    let followers = u64::try_from(followers).unwrap_or(u64::MAX);
    let http = match config.api.listen {
        Some(_) => u64::from(config.api.max_connections),
        None => 0,
    };
    FILES
        .saturating_add(http)
        .saturating_add(config.mbus.connections())
        .saturating_add(followers.saturating_mul(FOLLOWER_FILES))
        .saturating_add(u64::from(workers).saturating_mul(WORKER_FILES))
}

fn fitting(limit: u64, wanted: u64, others: u64) -> Result<u64, TooFewFiles> {
    let fitting = wanted.min(limit.saturating_sub(others));
    let is_enough = limit >= others && fitting >= wanted.min(CONNECTIONS_LEAST);
    let wanted = wanted.saturating_add(others);
    let refused = TooFewFiles { limit, wanted };
    is_enough.then_some(fitting).ok_or(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_leave_what_the_log_and_the_interface_need() {
        assert_eq!(fitting(20_000, 16_000, 400), Ok(16_000));
        assert_eq!(fitting(1_024, 16_000, 400), Ok(624));
        assert_eq!(fitting(u64::MAX, 16_000, 400), Ok(16_000));
        let config = Config::parse("[api]\nmax_connections = 100\n", []).unwrap();
        assert_eq!(others(&config, 2), 256 + 100 + 4);
    }

    #[test]
    fn a_limit_without_room_for_terminals_is_refused_with_what_to_do() {
        let error = fitting(450, 16_000, 400).unwrap_err();
        assert_eq!((error.limit, error.wanted), (450, 16_400));
        assert!(error.to_string().contains("LimitNOFILE"));
        assert!(fitting(300, 0, 400).is_err());
        assert_eq!(fitting(450, 0, 400), Ok(0), "no TCP, no connections");
        assert_eq!(fitting(450, 50, 400), Ok(50), "few may be wanted");
    }

    #[test]
    fn the_soft_limit_is_raised_to_the_hard_one() {
        let config = Config::parse("[tcp]\nmax_connections = 64\n", []).unwrap();
        let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(provide(&config, 1), Ok(64));
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap().0, hard);
    }
}
