//! Alarm notices: up to six alarms of one event, without any allocation.

use core::fmt;

use nom::number::complete::be_u8;

use crate::wire::error::{EncodeError, ErrorKind, OutOfRange};
use crate::wire::hex::Hex;
use crate::wire::otl::coded::coded;
use crate::wire::otl::limits::{ALARMS_MAX, PANEL_MAX};
use crate::wire::otl::meter::{Meter, RegisterValue, meter, register_value_if};
use crate::wire::otl::registry::alarms::AlarmCode;
use crate::wire::otl::registry::valve::ValveState;
use crate::wire::otl::stamp::{Stamp, stamp};
use crate::wire::otl::text::{Panel, is_printable};
use crate::wire::span::{Parsed, Span, array, field, ranged};
use crate::wire::writer::Writer;

use super::everyday::flags;

const REGISTER: u8 = 0x80;
const SNAPSHOT: u8 = 0x40;
const RESERVED: u8 = 0x30;

coded! {
    /// What happened to an alarm.
    // spec: REC-21
    pub enum AlarmState {
        /// 1: it began.
        Raised = 1 "raised",
        /// 2: it ended.
        Cleared = 2 "cleared",
        /// 3: it goes on.
        Present = 3 "present",
    }
}

/// One alarm of a notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// What it means.
    pub alarm: AlarmCode,
    /// What happened to it.
    pub state: AlarmState,
    /// The meter's own two characters, or zeros.
    // spec: REC-23
    pub code: [u8; 2],
}

/// The alarms of one event, 1 to 6.
// spec: REC-22
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Alarms {
    alarms: [Alarm; ALARMS_MAX],
    len: u8,
}

impl Alarms {
    /// Alarms of one event.
    ///
    /// # Errors
    ///
    /// [`OutOfRange`] for none and for more than six.
    pub fn new(alarms: &[Alarm]) -> Result<Self, OutOfRange> {
        let filler = *alarms
            .first()
            .ok_or(OutOfRange("count of alarms, 1 to 6"))?;
        let mut held = [filler; ALARMS_MAX];
        let target = held
            .get_mut(..alarms.len())
            .ok_or(OutOfRange("count of alarms, 1 to 6"))?;
        target.copy_from_slice(alarms);
        // What is not used is the same for equal lists, and is never shown.
        let len = u8::try_from(alarms.len()).map_err(|_| OutOfRange("count of alarms, 1 to 6"))?;
        Ok(Self { alarms: held, len })
    }

    /// The alarms, in the order of the notice.
    #[must_use]
    pub fn as_slice(&self) -> &[Alarm] {
        self.alarms.get(..usize::from(self.len)).unwrap_or(&[])
    }
}

impl fmt::Debug for Alarms {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.as_slice()).finish()
    }
}

/// The character of the flow category that a meter shows.
// spec: REC-21
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowCategory(u8);

impl FlowCategory {
    /// A category; none for an octet that is not printable ASCII.
    #[must_use]
    pub const fn new(octet: u8) -> Option<Self> {
        if is_printable(octet) {
            Some(Self(octet))
        } else {
            None
        }
    }

    /// The character.
    #[must_use]
    pub fn get(self) -> char {
        char::from(self.0)
    }
}

/// 0x05: alarms of one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AlarmNotice {
    /// When.
    pub stamp: Stamp,
    /// Which meter.
    pub meter: Meter,
    /// Whether this is the state at a moment and not an event.
    pub snapshot: bool,
    /// The state of the valve at the event.
    pub valve: ValveState,
    /// The flow category that the meter shows, if it shows one.
    pub flow_category: Option<FlowCategory>,
    /// The register at the event, if it is known.
    pub register: Option<RegisterValue>,
    /// What the display of the meter shows.
    pub panel: Panel,
    /// The alarms.
    pub alarms: Alarms,
}

impl AlarmNotice {
    pub(crate) fn encode(&self, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        self.stamp.encode(out)?;
        out.u8(self.meter.octet())?;
        let register = if self.register.is_some() { REGISTER } else { 0 };
        let snapshot = if self.snapshot { SNAPSHOT } else { 0 };
        out.u8(register | snapshot | self.valve.code())?;
        out.u8(self.flow_category.map_or(0, |category| category.0))?;
        RegisterValue::encode_option(self.register, out)?;
        out.u8(self.panel.len())?;
        out.octets(self.panel.as_bytes())?;
        out.u8(self.alarms.len)?;
        for alarm in self.alarms.as_slice() {
            out.octets(&[alarm.alarm.code(), alarm.state.code()])?;
            out.octets(&alarm.code)?;
        }
        Ok(())
    }
}

/// The octet of a flow category, for a view.
struct ShownCategory(Option<FlowCategory>);

impl fmt::Display for ShownCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(category) => write!(f, "{}", category.get()),
            None => f.write_str("none"),
        }
    }
}

/// The two characters of an alarm, for a view.
struct Code([u8; 2]);

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Hex(&self.0).fmt(f)
    }
}

// spec: REC-21, REC-22, REC-24, GEN-7
pub(crate) fn alarm_notice(input: Span<'_>) -> Parsed<'_, AlarmNotice> {
    let (rest, stamp) = stamp(input)?;
    let (rest, meter) = meter("meter")(rest)?;
    let flags_at = rest;
    if rest
        .octets()
        .first()
        .is_some_and(|flags| flags & RESERVED != 0)
    {
        return flags_at
            .refuse(ErrorKind::ReservedBits)
            .map_err(|error| error.map(|error| error.in_field("flags and valve state")));
    }
    let (rest, (flags, valve)) = flags(rest)?;
    let (rest, category) = field(
        "flow category",
        ranged(be_u8, |octet| match octet {
            0 => Some(ShownCategory(None)),
            _ => FlowCategory::new(octet).map(|category| ShownCategory(Some(category))),
        }),
    )(rest)?;
    let (rest, register) = register_value_if(flags & REGISTER != 0)(rest)?;
    let (rest, panel) = panel(rest)?;
    let (rest, alarms) = alarms(rest)?;
    let notice = AlarmNotice {
        stamp,
        meter,
        snapshot: flags & SNAPSHOT != 0,
        valve,
        flow_category: category.0,
        register,
        panel,
        alarms,
    };
    Ok((rest, notice))
}

fn panel(input: Span<'_>) -> Parsed<'_, Panel> {
    let (rest, len) = field(
        "panel length",
        ranged(be_u8, |len| (usize::from(len) <= PANEL_MAX).then_some(len)),
    )(input)?;
    text("panel", len)(rest)
}

/// Reads a text of a known length; a refusal stands at the first octet that is not printable.
// spec: REC-21
pub(super) fn text<'a, const N: usize>(
    name: &'static str,
    len: u8,
) -> impl FnMut(Span<'a>) -> Parsed<'a, crate::wire::otl::text::Text<N>> {
    move |input: Span<'a>| {
        let (rest, run) =
            nom::Parser::parse(&mut nom::bytes::complete::take(usize::from(len)), input).map_err(
                |error: nom::Err<crate::wire::error::DecodeError>| {
                    error.map(|error| error.in_field(name))
                },
            )?;
        let octets: &[u8] = run.octets();
        let bad = octets.iter().position(|octet| !is_printable(*octet));
        match crate::wire::otl::text::Text::new(octets) {
            Ok(text) => {
                input.note(rest, name, &text);
                Ok((rest, text))
            }
            Err(_) => input
                .refuse_at(
                    input.offset().saturating_add(bad.unwrap_or(0)),
                    ErrorKind::BadValue,
                )
                .map_err(|error| error.map(|error| error.in_field(name))),
        }
    }
}

fn alarms(input: Span<'_>) -> Parsed<'_, Alarms> {
    let (mut rest, len) = field(
        "alarm count",
        ranged(be_u8, |len| {
            (1..=ALARMS_MAX).contains(&usize::from(len)).then_some(len)
        }),
    )(input)?;
    let (after, filler) = alarm(rest)?;
    rest = after;
    let mut alarms = [filler; ALARMS_MAX];
    for place in alarms.iter_mut().take(usize::from(len)).skip(1) {
        (rest, *place) = alarm(rest)?;
    }
    Ok((rest, Alarms { alarms, len }))
}

fn alarm(input: Span<'_>) -> Parsed<'_, Alarm> {
    let (rest, alarm) = field(
        "alarm",
        ranged(be_u8, |code| Some(AlarmCode::from_code(code))),
    )(input)?;
    let (rest, state) = field("alarm state", ranged(be_u8, AlarmState::from_code))(rest)?;
    let (rest, Code(code)) = field("alarm code", ranged(array, |code| Some(Code(code))))(rest)?;
    Ok((rest, Alarm { alarm, state, code }))
}
