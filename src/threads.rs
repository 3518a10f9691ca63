//! Threads whose work can wait.

use rustix::process::setpriority_process;
use rustix::thread::gettid;

/// The niceness of work that can wait: a sixtieth of the share of a thread that serves terminals,
/// where both want to run, and all of an idle core.
const CAN_WAIT: i32 = 19;

/// Lets the calling thread run behind those that serve terminals: for what is read back from the
/// log, whose lag is shown and bounded by nothing but the log's retention.
///
/// A system that refuses it is served all the same, with less room for terminals under overload.
pub fn run_behind() {
    if let Err(error) = setpriority_process(Some(gettid()), CAN_WAIT) {
        tracing::debug!(%error, "The priority of a thread cannot be lowered.");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_calling_thread_runs_behind() {
        let niceness = || rustix::process::getpriority_process(Some(gettid())).unwrap();
        let before = niceness();
        let behind = std::thread::spawn(move || {
            run_behind();
            niceness()
        });
        assert_eq!(behind.join().unwrap(), before.max(CAN_WAIT));
        assert_eq!(niceness(), before);
    }
}
