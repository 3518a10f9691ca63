//! The meter beside the terminal.

use crate::codec::record::{Register, Unit};

/// Valve states of the registry.
pub mod valve {
    /// Unknown.
    pub const UNKNOWN: u8 = 0;
    /// Open.
    pub const OPEN: u8 = 1;
    /// Closed by the centre.
    pub const CLOSED_BY_CENTRE: u8 = 2;
    /// Closed by the meter itself.
    pub const CLOSED_BY_METER: u8 = 3;
    /// Closed at the site.
    pub const CLOSED_LOCAL: u8 = 4;
    /// Reopening permitted, still closed.
    pub const REOPEN_PERMITTED: u8 = 5;
    /// Leak check before reopening.
    pub const LEAK_CHECK: u8 = 6;
    /// Closed in an emergency.
    pub const EMERGENCY: u8 = 7;
    /// Valve fault.
    pub const FAULT: u8 = 8;
    /// No valve.
    pub const NOT_FITTED: u8 = 9;
}

/// The meter did not do what it was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum MeterFault {
    /// It has no such function.
    #[error("the meter cannot do it")]
    NotCapable,
    /// It tried and failed.
    #[error("the meter tried and failed")]
    Failed,
}

/// What a terminal asks of a meter. All of it is answered by the meter itself, now.
pub trait Meter {
    /// Valve state, 0 to 9.
    fn valve(&mut self, now_ms: u64) -> u8;
    /// Cause of that state: 1 command, 2 safety function, 3 locally, 4 unknown.
    fn valve_cause(&self) -> u8;
    /// The register.
    fn register(&mut self, now_ms: u64) -> Option<Register>;
    /// Seconds without flow; `None` when the meter cannot tell.
    fn seconds_without_flow(&self, now_ms: u64) -> Option<u64>;
    /// Closes the valve for the centre.
    ///
    /// # Errors
    /// The meter cannot, or failed.
    fn close(&mut self, now_ms: u64) -> Result<(), MeterFault>;
    /// Lets the person at the meter reopen it.
    ///
    /// # Errors
    /// The meter cannot, or failed.
    fn permit_reopen(&mut self, now_ms: u64, minutes: u16) -> Result<(), MeterFault>;
    /// The terminal was restarted: a permission to reopen ends.
    fn restarted(&mut self, now_ms: u64);
    /// Opens the valve.
    ///
    /// # Errors
    /// The meter cannot, or failed.
    fn open(&mut self, now_ms: u64) -> Result<(), MeterFault>;
}

/// Time that the simulated leak check takes.
pub const LEAK_CHECK_MS: u64 = 120_000;

/// A simulated gas meter with a valve.
#[derive(Debug, Clone)]
pub struct SimMeter {
    state: u8,
    cause: u8,
    unit: Unit,
    register: u64,
    last_flow_ms: u64,
    permit_until_ms: Option<u64>,
    check_ends_ms: Option<u64>,
    leaking: bool,
    stuck: bool,
    motions: u32,
}

impl SimMeter {
    /// An open meter at a register.
    #[must_use]
    pub fn new(unit: Unit, register: u64) -> Self {
        Self {
            state: valve::OPEN,
            cause: 4,
            unit,
            register,
            last_flow_ms: 0,
            permit_until_ms: None,
            check_ends_ms: None,
            leaking: false,
            stuck: false,
            motions: 0,
        }
    }

    /// A meter without a valve.
    #[must_use]
    pub fn without_valve(unit: Unit, register: u64) -> Self {
        Self {
            state: valve::NOT_FITTED,
            ..Self::new(unit, register)
        }
    }

    /// Gas or water flows.
    pub fn consume(&mut self, now_ms: u64, amount: u64) {
        if amount > 0 {
            self.register = self.register.saturating_add(amount);
            self.last_flow_ms = now_ms;
        }
    }

    /// The pipe behind the meter leaks, or does no longer.
    pub fn set_leaking(&mut self, leaking: bool) {
        self.leaking = leaking;
    }

    /// The valve does not move any more.
    pub fn set_stuck(&mut self, stuck: bool) {
        self.stuck = stuck;
    }

    /// How often the valve moved.
    #[must_use]
    pub fn motions(&self) -> u32 {
        self.motions
    }

    /// The meter's safety function closes the valve.
    // spec: CMD-12
    pub fn safety_close(&mut self, emergency: bool) {
        let state = if emergency {
            valve::EMERGENCY
        } else {
            valve::CLOSED_BY_METER
        };
        self.shut(state, 2);
    }

    /// Somebody closes the valve by hand.
    // spec: CMD-12
    pub fn close_by_hand(&mut self) {
        self.shut(valve::CLOSED_LOCAL, 3);
    }

    /// The button at the meter: begins the leak check if reopening is permitted.
    // spec: CMD-11
    pub fn press_reopen(&mut self, now_ms: u64) -> bool {
        self.advance(now_ms);
        if self.state != valve::REOPEN_PERMITTED {
            return false;
        }
        self.state = valve::LEAK_CHECK;
        self.check_ends_ms = Some(now_ms + LEAK_CHECK_MS);
        true
    }

    fn shut(&mut self, state: u8, cause: u8) {
        if matches!(self.state, valve::OPEN | valve::LEAK_CHECK | valve::UNKNOWN) {
            self.motions += 1;
        }
        self.state = state;
        self.cause = cause;
        self.check_ends_ms = None;
        self.permit_until_ms = None;
    }

    /// Ends the leak check and the permission when their time has come.
    // spec: CMD-11
    fn advance(&mut self, now_ms: u64) {
        if let Some(ends) = self.check_ends_ms
            && now_ms >= ends
        {
            self.check_ends_ms = None;
            self.permit_until_ms = None;
            self.motions += 1;
            (self.state, self.cause) = if self.leaking {
                (valve::CLOSED_BY_METER, 2)
            } else {
                (valve::OPEN, 3)
            };
        }
        if let Some(until) = self.permit_until_ms
            && now_ms >= until
            && self.check_ends_ms.is_none()
        {
            self.permit_until_ms = None;
            if self.state == valve::REOPEN_PERMITTED {
                self.state = valve::CLOSED_BY_CENTRE;
            }
        }
    }
}

impl Meter for SimMeter {
    fn valve(&mut self, now_ms: u64) -> u8 {
        self.advance(now_ms);
        self.state
    }

    fn valve_cause(&self) -> u8 {
        self.cause
    }

    fn register(&mut self, _now_ms: u64) -> Option<Register> {
        Some(Register {
            unit: self.unit,
            value: self.register,
        })
    }

    fn seconds_without_flow(&self, now_ms: u64) -> Option<u64> {
        Some(now_ms.saturating_sub(self.last_flow_ms) / 1_000)
    }

    fn close(&mut self, now_ms: u64) -> Result<(), MeterFault> {
        self.advance(now_ms);
        if self.state == valve::NOT_FITTED {
            return Err(MeterFault::NotCapable);
        }
        if self.stuck {
            self.state = valve::FAULT;
            return Err(MeterFault::Failed);
        }
        self.shut(valve::CLOSED_BY_CENTRE, 1);
        Ok(())
    }

    fn permit_reopen(&mut self, now_ms: u64, minutes: u16) -> Result<(), MeterFault> {
        self.advance(now_ms);
        match self.state {
            valve::NOT_FITTED => Err(MeterFault::NotCapable),
            2..=5 | valve::EMERGENCY => {
                self.permit_until_ms = Some(now_ms + u64::from(minutes) * 60_000);
                self.state = valve::REOPEN_PERMITTED;
                Ok(())
            }
            _ => Err(MeterFault::Failed),
        }
    }

    // spec: CMD-11
    fn restarted(&mut self, now_ms: u64) {
        self.advance(now_ms);
        self.permit_until_ms = None;
        self.check_ends_ms = None;
        if matches!(self.state, valve::REOPEN_PERMITTED | valve::LEAK_CHECK) {
            self.state = valve::CLOSED_BY_CENTRE;
        }
    }

    fn open(&mut self, now_ms: u64) -> Result<(), MeterFault> {
        self.advance(now_ms);
        if self.state == valve::NOT_FITTED {
            return Err(MeterFault::NotCapable);
        }
        if self.stuck {
            return Err(MeterFault::Failed);
        }
        if self.state != valve::OPEN {
            self.motions += 1;
        }
        self.state = valve::OPEN;
        self.cause = 1;
        self.permit_until_ms = None;
        self.check_ends_ms = None;
        Ok(())
    }
}
