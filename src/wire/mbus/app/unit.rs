//! The units, once: base units, into which every power of ten is folded.

use core::fmt;

use super::named::named;

named! {
    /// The unit of a quantity before a VIFE divides or multiplies it.
    Unit {
        None = "",
        WattHour = "Wh",
        Joule = "J",
        Calorie = "cal",
        Btu = "BTU",
        VarHour = "varh",
        VoltAmpereHour = "VAh",
        CubicMetre = "m3",
        CubicFoot = "ft3",
        Gallon = "gal",
        Kilogram = "kg",
        Second = "s",
        Minute = "min",
        Hour = "h",
        Day = "d",
        Month = "month",
        Year = "year",
        Watt = "W",
        JoulePerHour = "J/h",
        BtuPerSecond = "BTU/s",
        Var = "var",
        VoltAmpere = "VA",
        CubicMetrePerHour = "m3/h",
        CubicMetrePerMinute = "m3/min",
        CubicMetrePerSecond = "m3/s",
        GallonPerHour = "gal/h",
        GallonPerMinute = "gal/min",
        KilogramPerHour = "kg/h",
        DegreeCelsius = "degC",
        DegreeFahrenheit = "degF",
        Kelvin = "K",
        Bar = "bar",
        Percent = "%",
        Hca = "HCA",
        Volt = "V",
        Ampere = "A",
        Hertz = "Hz",
        Degree = "deg",
        Currency = "currency",
        Baud = "baud",
        BitTime = "bit_time",
        DecibelMilliwatt = "dBm",
        // A record with VIFE 3Dh whose VIF has no unit in the table of such units.
        NonMetric = "non_metric",
    }
}

named! {
    /// What a VIFE divides the unit by, in base units.
    Per {
        Second = "/s",
        Minute = "/min",
        Hour = "/h",
        Day = "/d",
        Week = "/week",
        Month = "/month",
        Year = "/year",
        Revolution = "/revolution",
        CubicMetre = "/m3",
        Kilogram = "/kg",
        Kelvin = "/K",
        WattHour = "/Wh",
        Joule = "/J",
        Watt = "/W",
        KelvinCubicMetre = "/(K.m3)",
        Volt = "/V",
        Ampere = "/A",
    }
}

named! {
    /// What a VIFE multiplies the unit with.
    Times {
        Second = ".s",
        SecondPerVolt = ".s/V",
        SecondPerAmpere = ".s/A",
    }
}

/// A unit with what its VIFEs make of it: `Wh/m3`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct UnitTerm {
    /// The unit of the VIF.
    pub unit: Unit,
    /// Multiplied with this.
    pub times: Option<Times>,
    /// Divided by this.
    pub per: Option<Per>,
}

impl UnitTerm {
    /// A unit alone.
    #[must_use]
    pub const fn plain(unit: Unit) -> Self {
        Self {
            unit,
            times: None,
            per: None,
        }
    }

    /// Its texts, to be written one behind the other.
    #[must_use]
    pub const fn parts(self) -> [&'static str; 3] {
        let unit = match (self.unit, self.per, self.times) {
            (Unit::None, None, Some(_)) | (Unit::None, Some(_), _) => "1",
            _ => self.unit.id(),
        };
        let times = match self.times {
            Some(times) => times.id(),
            None => "",
        };
        let per = match self.per {
            Some(per) => per.id(),
            None => "",
        };
        [unit, times, per]
    }
}

impl fmt::Display for UnitTerm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts().iter().try_for_each(|part| f.write_str(part))
    }
}
