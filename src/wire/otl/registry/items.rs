//! Record types, session items and answer items, of `registries/record-types.toml`.

use crate::wire::otl::item::Registered;

/// The lowest number of a session item.
pub const SESSION_ITEM_FIRST: u8 = 0x70;

/// The session item that names the epoch that a terminal left.
pub const PREVIOUS_EPOCH: u8 = 0x70;

/// The session item that names an answer item that the terminal had to refuse.
// spec: ANS-20
pub const ANSWER_REFUSED: u8 = 0x72;

/// The answer item that asks a terminal to call later.
pub const COME_BACK: u8 = 1;
/// The answer item that gives a terminal its second of the day.
pub const SLOT: u8 = 2;
/// The answer item that raises a frame counter.
pub const FLOOR: u8 = 3;
/// The answer item that carries a command.
pub const COMMAND: u8 = 5;

/// The id of a record type; none for a number that is not registered.
#[must_use]
pub const fn record_id(number: u8) -> Option<&'static str> {
    Some(match number {
        0x01 => "everyday",
        0x02 => "register_reading",
        0x03 => "interval_series",
        0x04 => "interval_gauges",
        0x05 => "alarm_notice",
        0x06 => "valve_state",
        0x07 => "health",
        0x08 => "residual_gas",
        0x09 => "meter_exchange",
        0x0A => "meter_table",
        0x0B => "command_result",
        0x0C => "clock_change",
        0x0D => "opaque_payload",
        0x0E => "terminal_info",
        _ => return None,
    })
}

/// The id of a session item; none for a number that is not registered.
#[must_use]
pub const fn session_item_id(number: u8) -> Option<&'static str> {
    Some(match number {
        PREVIOUS_EPOCH => "previous_epoch",
        0x71 => "firmware_block_request",
        ANSWER_REFUSED => "answer_refused",
        _ => return None,
    })
}

/// The id of an answer item; none for a number that is not registered.
#[must_use]
pub const fn answer_item_id(number: u8) -> Option<&'static str> {
    Some(match number {
        COME_BACK => "come_back",
        SLOT => "slot",
        FLOOR => "floor",
        COMMAND => "command",
        6 => "firmware_block",
        7 => "identity_alias",
        _ => return None,
    })
}

/// The critical bit of a registered answer item.
#[must_use]
pub const fn answer_item_is_critical(number: u8) -> bool {
    matches!(number, FLOOR | COMMAND | 6 | 7)
}

/// What is registered about an item of an uplink.
// spec: FRM-20
pub(crate) fn uplink(number: u8) -> Option<Registered> {
    record_id(number)
        .or_else(|| session_item_id(number))
        .map(|id| Registered {
            critical: false,
            id,
        })
}

/// What is registered about an item of an answer.
// spec: FRM-20
pub(crate) fn answer(number: u8) -> Option<Registered> {
    answer_item_id(number).map(|id| Registered {
        critical: answer_item_is_critical(number),
        id,
    })
}
