//! Command kinds, their classes, preconditions and outcomes, of `registries/commands.toml`.

use core::fmt;

use super::id_or_unknown;

/// What a command asks for. Any number can come from the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommandKind(u8);

/// How dangerous a command is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CommandClass {
    /// Moves a valve, a key or a mode.
    Dangerous,
    /// Changes a setting.
    Config,
    /// Changes nothing.
    Harmless,
}

impl CommandClass {
    /// The id in the registry.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Dangerous => "dangerous",
            Self::Config => "config",
            Self::Harmless => "harmless",
        }
    }

    /// Whether a command of this class has to be bound to one uplink.
    // spec: CMD-2, CMD-3
    #[must_use]
    pub const fn must_be_bound(self) -> bool {
        matches!(self, Self::Dangerous | Self::Config)
    }
}

impl CommandKind {
    /// 0x01: close the valve.
    pub const VALVE_CLOSE: Self = Self(0x01);
    /// 0x02: permit reopening after the meter's own leak check.
    pub const VALVE_PERMIT_REOPEN: Self = Self(0x02);
    /// 0x03: open the valve from afar; a capability, off by default.
    pub const VALVE_OPEN: Self = Self(0x03);
    /// 0x10: install a new key.
    pub const KEY_INSTALL: Self = Self(0x10);
    /// 0x11: change the security mode.
    pub const MODE_CHANGE: Self = Self(0x11);
    /// 0x20: read the register now.
    pub const READ_REGISTER: Self = Self(0x20);
    /// 0x21: read the valve state.
    pub const READ_VALVE_STATE: Self = Self(0x21);
    /// 0x22: send records again.
    pub const RESEND_RECORDS: Self = Self(0x22);
    /// 0x23: send the meter table.
    pub const SEND_METER_TABLE: Self = Self(0x23);
    /// 0x24: make a test call.
    pub const TEST_CALL: Self = Self(0x24);
    /// 0x30: set the thresholds of residual gas.
    pub const SET_RESIDUAL_LEVELS: Self = Self(0x30);

    /// All registered kinds.
    pub const REGISTERED: [Self; 11] = [
        Self::VALVE_CLOSE,
        Self::VALVE_PERMIT_REOPEN,
        Self::VALVE_OPEN,
        Self::KEY_INSTALL,
        Self::MODE_CHANGE,
        Self::READ_REGISTER,
        Self::READ_VALVE_STATE,
        Self::RESEND_RECORDS,
        Self::SEND_METER_TABLE,
        Self::TEST_CALL,
        Self::SET_RESIDUAL_LEVELS,
    ];

    /// The kind with a code, registered or not.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        Self(code)
    }

    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The id in the registry; none for a kind that it does not know.
    #[must_use]
    pub const fn id(self) -> Option<&'static str> {
        Some(match self {
            Self::VALVE_CLOSE => "valve_close",
            Self::VALVE_PERMIT_REOPEN => "valve_permit_reopen",
            Self::VALVE_OPEN => "valve_open",
            Self::KEY_INSTALL => "key_install",
            Self::MODE_CHANGE => "mode_change",
            Self::READ_REGISTER => "read_register",
            Self::READ_VALVE_STATE => "read_valve_state",
            Self::RESEND_RECORDS => "resend_records",
            Self::SEND_METER_TABLE => "send_meter_table",
            Self::TEST_CALL => "test_call",
            Self::SET_RESIDUAL_LEVELS => "set_residual_levels",
            _ => return None,
        })
    }

    /// The class. A kind that the registry does not know counts as dangerous.
    #[must_use]
    pub const fn class(self) -> CommandClass {
        match self.0 {
            0x20..=0x24 => CommandClass::Harmless,
            0x30 => CommandClass::Config,
            _ => CommandClass::Dangerous,
        }
    }

    /// The lengths of parameters that the kind permits, in octets; none if it is not registered.
    #[must_use]
    pub const fn parameter_lens(self) -> Option<&'static [usize]> {
        Some(match self {
            Self::VALVE_CLOSE | Self::MODE_CHANGE => &[1],
            Self::VALVE_PERMIT_REOPEN => &[2],
            Self::VALVE_OPEN
            | Self::READ_REGISTER
            | Self::READ_VALVE_STATE
            | Self::SEND_METER_TABLE
            | Self::TEST_CALL => &[0],
            Self::KEY_INSTALL => &[27, 43],
            Self::RESEND_RECORDS => &[10],
            Self::SET_RESIDUAL_LEVELS => &[9],
            _ => return None,
        })
    }
}

impl fmt::Display for CommandKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&id_or_unknown(self.id(), self.0))
    }
}

/// The largest precondition: it has seven bits.
const PRECONDITION_MAX: u8 = 0x7F;

/// What has to hold right before a command acts. Any number of seven bits can come from the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Precondition(u8);

impl Precondition {
    /// 0: nothing.
    pub const NONE: Self = Self(0);
    /// 1: the valve is open.
    pub const VALVE_OPEN: Self = Self(1);
    /// 2: the valve is closed by the centre.
    pub const VALVE_CLOSED_BY_CENTRE: Self = Self(2);
    /// 3: the valve is closed in any way.
    pub const VALVE_CLOSED: Self = Self(3);
    /// 4: no flow for 60 s.
    pub const NO_FLOW_60S: Self = Self(4);

    /// The precondition with a code, registered or not; none above 127.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        if code <= PRECONDITION_MAX {
            Some(Self(code))
        } else {
            None
        }
    }

    /// The code, at most 127.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The id in the registry; none for one that it does not know.
    #[must_use]
    pub const fn id(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "none",
            1 => "valve_open",
            2 => "valve_closed_by_centre",
            3 => "valve_closed",
            4 => "no_flow_60s",
            _ => return None,
        })
    }
}

impl fmt::Display for Precondition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&id_or_unknown(self.id(), self.0))
    }
}

/// What became of a command. Any number can come from the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Outcome(u8);

impl Outcome {
    /// 0: none yet.
    pub const NONE: Self = Self(0);
    /// 1: done.
    pub const DONE: Self = Self(1);
    /// 2: the precondition is not met.
    pub const REFUSED_PRECONDITION: Self = Self(2);
    /// 3: past its `not_after`.
    pub const REFUSED_EXPIRED: Self = Self(3);
    /// 4: not bound, or not the answer to the outstanding uplink.
    pub const REFUSED_UNBOUND: Self = Self(4);
    /// 5: the kind is not known.
    pub const REFUSED_UNKNOWN_KIND: Self = Self(5);
    /// 6: the terminal or meter cannot do it.
    pub const REFUSED_NOT_CAPABLE: Self = Self(6);
    /// 7: the parameters are bad.
    pub const REFUSED_BAD_PARAMETERS: Self = Self(7);
    /// 8: tried and failed.
    pub const FAILED: Self = Self(8);
    /// 9: begun, end not known.
    pub const BEGUN: Self = Self(9);
    /// 10: the key did not unwrap, or its key-encryption key is not known.
    pub const REFUSED_KEY_UNWRAP: Self = Self(10);
    /// 11: another meter is mounted in that slot.
    pub const REFUSED_OTHER_METER: Self = Self(11);

    /// The outcome with a code, registered or not.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        Self(code)
    }

    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The id in the registry; none for one that it does not know.
    #[must_use]
    pub const fn id(self) -> Option<&'static str> {
        Some(match self.0 {
            0 => "none",
            1 => "done",
            2 => "refused_precondition",
            3 => "refused_expired",
            4 => "refused_unbound",
            5 => "refused_unknown_kind",
            6 => "refused_not_capable",
            7 => "refused_bad_parameters",
            8 => "failed",
            9 => "begun",
            10 => "refused_key_unwrap",
            11 => "refused_other_meter",
            _ => return None,
        })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&id_or_unknown(self.id(), self.0))
    }
}
