//! Alarm codes, of `registries/alarms.toml`.

use core::fmt;

use super::id_or_unknown;

/// What an alarm means. Any number can come from the wire, and is kept.
// spec: REC-24
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct AlarmCode(u8);

impl AlarmCode {
    /// An alarm that the terminal could not map.
    // spec: REC-23
    pub const UNKNOWN: Self = Self(255);

    /// The alarm with a code, registered or not.
    #[must_use]
    pub const fn from_code(code: u8) -> Self {
        Self(code)
    }

    /// The code.
    #[must_use]
    pub const fn code(self) -> u8 {
        self.0
    }

    /// The id in the registry; none for a code that it does not know.
    #[must_use]
    pub const fn id(self) -> Option<&'static str> {
        alarm_id(self.0)
    }
}

impl fmt::Display for AlarmCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&id_or_unknown(self.id(), self.0))
    }
}

const fn alarm_id(code: u8) -> Option<&'static str> {
    Some(match code {
        1 => "flow_excess_shutoff",
        2 => "use_time_shutoff",
        3 => "use_time_notice",
        4 => "extended_use_time",
        5 => "use_increase",
        6 => "use_decrease",
        7 => "no_use",
        8 => "large_appliance",
        10 => "external_sensor_shutoff",
        11 => "gas_alarm_shutoff",
        12 => "gas_alarm_2_shutoff",
        13 => "co_alarm_shutoff",
        14 => "gas_alarm_activated",
        15 => "gas_alarm_2_activated",
        16 => "co_alarm_activated",
        17 => "alarm_line_fault",
        18 => "alarm_unplugged",
        19 => "external_device_2_activated",
        20 => "seismic_shutoff",
        21 => "seismic_activated",
        30 => "pressure_drop_shutoff",
        31 => "pressure_sensor_activated",
        32 => "pressure_monitor_fault",
        33 => "lockup_pressure_abnormal",
        34 => "supply_pressure_high",
        35 => "supply_pressure_low",
        40 => "recheck_leak_shutoff",
        41 => "micro_leak_flow",
        42 => "micro_leak_pressure",
        43 => "leak_test_running",
        44 => "leak_test_failed",
        45 => "leak_test_impossible",
        46 => "leak_test_passed",
        50 => "valve_fault",
        51 => "valve_restored",
        52 => "centre_shutoff",
        53 => "emergency_shutoff",
        54 => "test_shutoff",
        55 => "security_normal",
        60 => "meter_battery_low",
        61 => "meter_battery_shutoff",
        62 => "measure_error_warn",
        63 => "measure_error_shutoff",
        64 => "reverse_flow_warn",
        65 => "reverse_flow_shutoff",
        66 => "verification_expiring",
        67 => "load_survey",
        68 => "reset_request",
        70 => "residual_level_1",
        71 => "residual_level_2",
        72 => "residual_level_3",
        73 => "cylinder_exchanged",
        74 => "changeover",
        75 => "prepaid_low",
        76 => "prepaid_shutoff",
        80 => "comm_battery_low",
        81 => "adapter_battery_low",
        90 => "free_text",
        91 => "other",
        255 => "unknown",
        _ => return None,
    })
}
