//! The development telegrams of public projects, whose licences keep them out of this repository:
//! `MBUS_DATA` (a server takes every `KENSHIN_` variable for a setting) names their directory.
//! Without it these tests say so and do nothing.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::print_stdout,
    reason = "a test stops at the first surprise"
)]

use std::fs;
use std::path::PathBuf;

use kenshin::wire::mbus::app::{Body, json};
use serde_json::Value;

fn data() -> Option<PathBuf> {
    let dir = std::env::var_os("MBUS_DATA").map(PathBuf::from);
    if dir.is_none() {
        println!("MBUS_DATA is not set: nothing was compared");
    }
    dir
}

fn octets(hex: &str) -> Vec<u8> {
    let digits: String = hex.chars().filter(|c| c.is_ascii_hexdigit()).collect();
    (0..digits.len() / 2)
        .map(|at| u8::from_str_radix(&digits[at * 2..at * 2 + 2], 16).unwrap())
        .collect()
}

/// CI field and application layer of a wired long frame, cut by hand.
fn wired(frame: &[u8]) -> (u8, &[u8]) {
    let end = frame.len() - 2;
    let ci = frame[6];
    let start = if ci == 0x72 { 19 } else { 7 };
    (ci, &frame[start.min(end)..end])
}

fn decode(ci: u8, is_wired: bool, payload: &[u8]) -> Value {
    let body = Body::read(ci, is_wired, payload).unwrap();
    let mut out = String::from("{");
    json::write_body(&mut out, ci, &body);
    out.push('}');
    serde_json::from_str(&out).unwrap_or_else(|e| panic!("{e}: {out}"))
}

/// What libmbus tells of one record.
#[derive(Debug)]
struct Expected {
    function: String,
    storage: u64,
    tariff: u64,
    subunit: u64,
    unit: String,
    quantity: String,
    value: String,
}

fn expected(xml: &str) -> Vec<Expected> {
    let records = xml.split("<DataRecord").skip(1);
    records
        .map(|record| {
            let text = |tag: &str| {
                let begin = record.find(&format!("<{tag}>"));
                begin.map_or_else(String::new, |begin| {
                    let rest = &record[begin + tag.len() + 2..];
                    rest[..rest.find('<').unwrap()].replace("&amp;", "&")
                })
            };
            let number = |tag: &str| text(tag).parse().unwrap_or(0);
            Expected {
                function: text("Function"),
                storage: number("StorageNumber"),
                tariff: number("Tariff"),
                subunit: number("Device"),
                unit: text("Unit"),
                quantity: text("Quantity"),
                value: text("Value"),
            }
        })
        .collect()
}

/// Records that libmbus tells wrongly, by file and number, with the reason.
const FAULTS: &[(&str, usize, &str)] = &[
    ("ELS_Elster-F96-Plus", 4, "BCD digits above 9 are no number"),
    ("ELS_Elster-F96-Plus", 5, "BCD digits above 9 are no number"),
    ("abb_f95", 2, "BCD digits above 9 are no number"),
    ("abb_f95", 3, "BCD digits above 9 are no number"),
    (
        "manual_frame2",
        0,
        "the value is in the unit of the file, litres",
    ),
    (
        "manual_frame2",
        1,
        "unit 3Eh is that of the first counter, and the value from before",
    ),
    (
        "sen_pollutherm",
        2,
        "VIF 7Bh is reserved, and its record is not empty",
    ),
];

/// Our unit for one of libmbus, and by how much libmbus multiplies ours.
fn factor(unit: &str, ours: &str) -> Option<f64> {
    let is_same = match unit {
        "m^3" => ours == "m3",
        "m^3/h" => ours == "m3/h",
        "-" | "" => true,
        text if text.ends_with("°C") || text.ends_with("Â°C") => ours == "degC",
        _ => unit == ours,
    };
    match (unit, ours) {
        ("s", "min") => Some(60.0),
        ("s", "h") => Some(3_600.0),
        ("s", "d") => Some(86_400.0),
        _ => is_same.then_some(1.0),
    }
}

fn quantity(theirs: &str) -> Option<&'static str> {
    Some(match theirs {
        "Energy" => "energy",
        "Volume" => "volume",
        "Power" => "power",
        "Volume flow" => "volume_flow",
        "Flow temperature" => "flow_temperature",
        "Return temperature" => "return_temperature",
        "Temperature difference" => "temperature_difference",
        "Fabrication No" => "fabrication_number",
        "On time" => "on_time",
        "Operating time" => "operating_time",
        "Averaging Duration" => "averaging_duration",
        "Actuality Duration" => "actuality_duration",
        "Error flags" => "error_flags",
        "Voltage" => "voltage",
        "Current" => "current",
        "Time point (date)" => "date",
        "Time point (date & time)" => "date_time",
        "Customer location" => "customer_location",
        "Firmware version" => "firmware_version",
        "Software version" => "software_version",
        "Manufacturer specific" => "manufacturer_specific",
        "Dimensionless" => "dimensionless",
        "Reset counter" => "reset_counter",
        "Digital Output" => "digital_output",
        "Special supplier information" => "supplier_information",
        "(Enhanced) Identification" => "enhanced_identification",
        "Medium" => "device_type",
        "Model / Version" => "model_version",
        "Parameter set identification" => "parameter_set_identification",
        _ => return None,
    })
}

fn function(theirs: &str) -> &'static str {
    match theirs {
        "Maximum value" => "maximum",
        "Minimum value" => "minimum",
        "Value during error state" => "error",
        _ => "instantaneous",
    }
}

fn differs(ours: &Value, theirs: &Expected) -> Option<String> {
    let place = [
        ("storage", theirs.storage),
        ("tariff", theirs.tariff),
        ("subunit", theirs.subunit),
    ];
    for (key, want) in place {
        if ours[key] != want {
            return Some(format!("{key} {} is not {want}", ours[key]));
        }
    }
    if ours["function"] != function(&theirs.function) {
        return Some(format!("function {}", ours["function"]));
    }
    match quantity(&theirs.quantity) {
        Some(quantity) if ours["quantity"] != quantity => {
            return Some(format!("quantity {}", ours["quantity"]));
        }
        None if ours["quantity"] != "plain_text" || ours["unit"] != *theirs.quantity => {
            return Some(format!("quantity {} {}", ours["quantity"], ours["unit"]));
        }
        _ => {}
    }
    let value = ours["value"].as_str().unwrap_or("null");
    let Some(factor) = factor(&theirs.unit, ours["unit"].as_str().unwrap()) else {
        return Some(format!("unit {}", ours["unit"]));
    };
    if let (Ok(mine), Ok(want)) = (value.parse::<f64>(), theirs.value.parse::<f64>()) {
        let difference = (mine * factor - want).abs();
        return (difference > 0.000_000_6).then(|| format!("value {value}"));
    }
    let want = theirs.value.trim_end_matches('Z').replace(' ', "");
    let same = value.replace(' ', "") == want
        || format!("{value}:00") == want
        || (value.len() == 32 && want.eq_ignore_ascii_case(value));
    (!same).then(|| format!("value {value}"))
}

#[test]
fn wired_telegrams_have_the_values_that_libmbus_tells() {
    let Some(dir) = data() else {
        return;
    };
    let (mut files, mut records, mut excused) = (0, 0, 0);
    let mut wrong = Vec::new();
    for entry in fs::read_dir(dir.join("wired")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "hex") {
            continue;
        }
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let frame = octets(&fs::read_to_string(&path).unwrap());
        let xml = fs::read(path.with_extension("norm.xml")).unwrap();
        let theirs = expected(&String::from_utf8_lossy(&xml));
        let (ci, payload) = wired(&frame);
        let ours = decode(ci, true, payload);
        let mut listed = ours["records"].as_array().unwrap().iter();
        files += 1;
        for (index, theirs) in theirs.iter().enumerate() {
            if matches!(
                &*theirs.function,
                "Manufacturer specific" | "More records follow"
            ) {
                let hex = ours["opaque"][0]["hex"].as_str().unwrap();
                let want = theirs.value.replace(' ', "").to_lowercase();
                assert_eq!(hex, want, "{name} {index}");
                let more = ours["opaque"][0]["more_follows"] == true;
                assert_eq!(more, theirs.function == "More records follow", "{name}");
                records += 1;
                continue;
            }
            let Some(mine) = listed.next() else {
                wrong.push(format!("{name} {index}: missing"));
                continue;
            };
            records += 1;
            let is_fault = FAULTS
                .iter()
                .any(|(file, at, _)| *file == name && *at == index);
            match differs(mine, theirs) {
                Some(_) if is_fault => excused += 1,
                Some(how) => wrong.push(format!("{name} {index}: {how}; {theirs:?}")),
                None if is_fault => wrong.push(format!("{name} {index}: no fault")),
                None => {}
            }
        }
        if let Some(more) = listed.next() {
            wrong.push(format!("{name}: more than expected: {more}"));
        }
        if !ours["faults"].is_null() {
            wrong.push(format!("{name}: {}", ours["faults"]));
        }
    }
    println!("{files} files, {records} records, {excused} told wrongly by libmbus");
    assert!(
        wrong.is_empty(),
        "{} differ:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    assert_eq!((files, excused), (38, FAULTS.len()));
}

/// What each frame that is to be refused gives: reason of the fault, or application error.
const REFUSED: &[(&str, &str)] = &[
    ("application_busy", "application_busy"),
    ("buffer_too_long", "buffer_too_long"),
    ("error", "unspecified"),
    ("premature_end_of_data1", "truncated_data"),
    ("premature_end_of_data2", "truncated_data"),
    ("premature_end_of_dif1", "truncated_dif"),
    ("premature_end_of_dif2", "truncated_dif"),
    ("premature_end_of_record", "premature_end_of_record"),
    ("premature_end_of_var_vif1", "truncated_plain_text_vif"),
    ("premature_end_of_vif1", "truncated_vif"),
    ("too_long_var_vif", "truncated_plain_text_vif"),
    ("too_many_dife", "too_many_dife"),
    ("too_many_difes", "too_many_dife"),
    ("too_many_readouts", "too_many_readouts"),
    ("too_many_records", "too_many_records"),
    ("too_many_vife", "too_many_vife"),
    ("too_many_vifes", "too_many_vife"),
    ("unimplemented_ci", "ci_not_implemented"),
    ("unspecified_error", "unspecified"),
];

#[test]
fn frames_to_refuse_give_the_reason_and_the_good_records_before() {
    let Some(dir) = data() else {
        return;
    };
    for (name, reason) in REFUSED {
        let path = dir.join("wired-errors").join(format!("{name}.hex"));
        let frame = octets(&fs::read_to_string(path).unwrap());
        let (ci, payload) = wired(&frame);
        let ours = decode(ci, true, payload);
        if ci == 0x70 {
            assert_eq!(ours["application_error"]["name"], **reason, "{name}");
            continue;
        }
        assert_eq!(ours["faults"][0]["reason"], **reason, "{name}: {ours}");
        assert_eq!(ours["faults"].as_array().unwrap().len(), 1, "{name}");
        assert!(ours["records"].as_array().unwrap().len() >= 2, "{name}");
    }
}

/// The file tells 04098668 thousandths of a cubic metre as 40968.68, -22 W as 2200 W, and a
/// temperature difference that the telegram does not have.
const DME: &str = "3E44A5119035246141";
/// DIF 8Eh DIFE 40h is subunit 1, and not storage number 1 as its file says.
const SUBUNIT: &str = "234433300602010014007A8E0000002F2F0EFD3A1147000000008E40FD3A341200000000";

#[test]
fn wireless_telegrams_in_clear_have_their_values() {
    let Some(dir) = data() else {
        return;
    };
    let text = fs::read_to_string(dir.join("wireless-vectors.json")).unwrap();
    let vectors: Vec<Value> = serde_json::from_str(&text).unwrap();
    let (mut telegrams, mut records, mut kept) = (0, 0, 0);
    for vector in &vectors {
        let input = vector["input"].as_str().unwrap();
        let telegram = octets(input);
        let is_clear = telegram[10] == 0x7A && telegram[14] & 0x1F == 0;
        if telegram[10] != 0x7A {
            continue;
        }
        // Those that were decrypted kept the configuration of mode 5.
        let payload = &telegram[15..];
        if !is_clear && payload[..2] != [0x2F, 0x2F] {
            continue;
        }
        let ours = decode(0x7A, false, payload);
        telegrams += 1;
        let listed = ours["records"].as_array().unwrap();
        for want in vector["expected"]["data_records"].as_array().unwrap() {
            let exponent = i32::try_from(want["exponent"].as_i64().unwrap_or(0)).unwrap();
            let (unit, by) = match want["unit"].as_str().unwrap() {
                "kWh" => ("Wh", 3),
                "kJ" => ("J", 3),
                "m^3" => ("m3", 0),
                "m^3/h" => ("m3/h", 0),
                "\u{b0}C" => ("degC", 0),
                "%RH" => ("%", 0),
                unit => (unit, 0),
            };
            let number = want["value"].as_f64().unwrap() * 10_f64.powi(exponent + by);
            let is_it = |mine: &&Value| {
                let value: f64 = mine["value"]
                    .as_str()
                    .unwrap_or("x")
                    .parse()
                    .unwrap_or(f64::NAN);
                // The file tells some kilowatts and kilowatt-hours without their kilo.
                let is_kilo = matches!(unit, "W" | "Wh" | "J");
                let is = |number: f64| (value - number).abs() < 1e-6 * number.abs().max(1.0);
                (is(number) || is_kilo && is(number * 1_000.0))
                    && mine["unit"] == unit
                    && (mine["storage"] == want["storage_number"] || input == SUBUNIT)
            };
            if listed.iter().any(|mine| is_it(&mine)) {
                records += 1;
            } else {
                if input.starts_with(DME)
                    && matches!(want["value"].as_u64(), Some(4_096_868 | 22 | 18))
                {
                    continue;
                }
                // Kept whole for whoever knows the maker's format.
                let is_makers = ours["opaque"][0]["kind"] == "manufacturer";
                assert!(is_makers, "{input}: {want} is not in {ours}");
                kept += 1;
            }
        }
    }
    println!("{telegrams} telegrams, {records} values, {kept} in the maker's own formats");
}
