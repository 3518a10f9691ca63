//! Valve states, of `registries/valve-states.toml`.

use crate::wire::otl::coded::coded;

coded! {
    /// The state of the shutoff valve of a meter. Codes from 10 on are refused.
    // spec: REC-21
    pub enum ValveState {
        /// 0: not known.
        Unknown = 0 "unknown",
        /// 1: open.
        Open = 1 "open",
        /// 2: closed by the centre.
        ClosedByCentre = 2 "closed_by_centre",
        /// 3: closed by the meter itself.
        ClosedByMeter = 3 "closed_by_meter",
        /// 4: closed at the site.
        ClosedLocal = 4 "closed_local",
        /// 5: closed; may be reopened at the site.
        ReopenPermitted = 5 "reopen_permitted",
        /// 6: the leak check before reopening runs; gas may pass.
        LeakCheckRunning = 6 "leak_check_running",
        /// 7: closed in an emergency.
        EmergencyClosed = 7 "emergency_closed",
        /// 8: the valve may have failed.
        Fault = 8 "fault",
        /// 9: there is no valve.
        NotFitted = 9 "not_fitted",
    }
}
