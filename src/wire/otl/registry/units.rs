//! Quantity classes, of `registries/units.toml`.

/// The id of a quantity class, 0 to 15; none for a class that is not assigned.
#[must_use]
pub const fn class_id(class: u8) -> Option<&'static str> {
    Some(match class {
        1 => "volume_m3",
        2 => "active_energy_wh",
        3 => "reactive_energy_varh",
        4 => "mass_kg",
        5 => "pressure_pa",
        6 => "flow_m3_per_h",
        7 => "power_w",
        8 => "temperature_degc",
        9 => "voltage_v",
        10 => "duration_s",
        11 => "heat_j",
        14 => "maker_private",
        15 => "count",
        _ => return None,
    })
}
