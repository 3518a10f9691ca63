//! The forms of values: what is read out of a raw one, and what is said of a wrong one.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use super::reader::{Raw, Wrong};
use super::sections::{FollowFrom, LogFormat, LogLevel, SinkKind};
use crate::keyring::UtilityId;
use crate::model::Lsn;
use crate::model::ids::{NAME_MAX, is_name, octets_of_hex};

fn text<'r>(raw: &'r Raw<'_>) -> Result<&'r str, Wrong> {
    match raw {
        Raw::File(value) => value
            .as_str()
            .ok_or_else(|| Wrong::new("a text is wanted here", "put the value in quotation marks")),
        Raw::Variable(value) => value
            .to_str()
            .ok_or_else(|| Wrong::new("it is no UTF-8 text", "use a text")),
    }
}

/// A whole number within a range.
pub(super) fn whole<T>(range: RangeInclusive<T>) -> impl FnOnce(&Raw<'_>) -> Result<T, Wrong>
where
    T: TryFrom<i64> + PartialOrd + std::fmt::Display,
{
    move |raw| {
        let number = match raw {
            Raw::File(value) => value.as_integer().map(|integer| {
                // Beyond 64 bits is beyond every range here.
                i64::from_str_radix(integer.as_str(), integer.radix()).unwrap_or(i64::MAX)
            }),
            Raw::Variable(value) => value.to_str().and_then(|text| text.parse().ok()),
        };
        let (least, most) = (range.start(), range.end());
        let remedy = format!("give a whole number from {least} to {most}");
        let Some(number) = number else {
            return Err(Wrong::new("it is no whole number", remedy));
        };
        T::try_from(number)
            .ok()
            .filter(|number| range.contains(number))
            .ok_or_else(|| Wrong::new("it is out of range", remedy))
    }
}

/// True or false.
pub(super) fn flag(raw: &Raw<'_>) -> Result<bool, Wrong> {
    let flag = match raw {
        Raw::File(value) => value.as_bool(),
        Raw::Variable(value) => value.to_str().and_then(|text| text.parse().ok()),
    };
    flag.ok_or_else(|| Wrong::new("it is neither true nor false", "give true or false"))
}

/// An address and a port, or `off`.
pub(super) fn address(raw: &Raw<'_>) -> Result<Option<SocketAddr>, Wrong> {
    let remedy = "give an address with its port, such as \"127.0.0.1:7511\", or \"off\"";
    let wrong = || Wrong::new("it is no address with a port", remedy);
    match text(raw).map_err(|_| wrong())? {
        "off" => Ok(None),
        text => text.parse().map(Some).map_err(|_| wrong()),
    }
}

/// A path, of any octets but none at all. One of the file is UTF-8.
pub(super) fn path(raw: &Raw<'_>) -> Result<PathBuf, Wrong> {
    let path = match raw {
        Raw::File(_) => PathBuf::from(text(raw)?),
        Raw::Variable(value) => PathBuf::from(value),
    };
    if path.as_os_str().is_empty() {
        return Err(Wrong::new("the path is empty", "give a path"));
    }
    Ok(path)
}

/// A name that stands in metrics, file names and commands.
pub(super) fn name(raw: &Raw<'_>) -> Result<String, Wrong> {
    let text = text(raw)?;
    if !is_name(text) {
        let remedy = format!("use 1 to {NAME_MAX} of a-z, 0-9 and -");
        return Err(Wrong::new("it is no name", remedy));
    }
    Ok(text.to_owned())
}

/// A utility by its 16 hexadecimal digits.
pub(super) fn utility(raw: &Raw<'_>) -> Result<UtilityId, Wrong> {
    octets_of_hex(text(raw)?)
        .map(UtilityId::new)
        .ok_or_else(|| Wrong::new("it is no utility", "give its 16 hexadecimal digits"))
}

/// Where something new begins to follow the log.
pub(super) fn from(raw: &Raw<'_>) -> Result<FollowFrom, Wrong> {
    match text(raw) {
        Ok("now") => return Ok(FollowFrom::Now),
        Ok("start") => return Ok(FollowFrom::Start),
        _ => {}
    }
    whole(0..=i64::MAX)(raw)
        .ok()
        .and_then(|position| u64::try_from(position).ok())
        .map(|position| FollowFrom::Position(Lsn::new(position)))
        .ok_or_else(|| {
            let remedy = "give \"now\", \"start\" or a position of the log as a whole number";
            Wrong::new("it is no place of the log", remedy)
        })
}

/// One of some names.
fn one_of<T: Copy>(names: &[(&str, T)], raw: &Raw<'_>) -> Result<T, Wrong> {
    let given = text(raw)?;
    let found = names.iter().find(|(name, _)| *name == given);
    found.map(|(_, value)| *value).ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| *name).collect();
        let remedy = format!("give one of: {}", names.join(", "));
        Wrong::new("it is not known", remedy)
    })
}

pub(super) fn sink_kind(raw: &Raw<'_>) -> Result<SinkKind, Wrong> {
    one_of(&[("ndjson", SinkKind::Ndjson)], raw)
}

pub(super) fn log_format(raw: &Raw<'_>) -> Result<LogFormat, Wrong> {
    one_of(&[("text", LogFormat::Text), ("json", LogFormat::Json)], raw)
}

pub(super) fn log_level(raw: &Raw<'_>) -> Result<LogLevel, Wrong> {
    let levels = [
        ("error", LogLevel::Error),
        ("warn", LogLevel::Warn),
        ("info", LogLevel::Info),
        ("debug", LogLevel::Debug),
        ("trace", LogLevel::Trace),
    ];
    one_of(&levels, raw)
}
