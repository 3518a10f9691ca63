//! The bounds of the link, all of them constants of the specification.
//!
//! No decoder allocates more than a small multiple of [`FRAME_MAX`], whatever the octets say.

/// The longest frame on any transport, in octets.
// spec: FRM-4
pub const FRAME_MAX: usize = 1_200;

/// The octets of a length on TCP.
pub const TCP_PREFIX_LEN: usize = 2;

/// The most octets that a TCP connection may buffer before a frame on it verified.
// spec: TCP-7
pub const TCP_BUFFER_MAX: usize = 1_202;

/// The length of every RESYNC frame, in octets.
// spec: FRM-14
pub const RESYNC_LEN: usize = 64;

/// The length of the header of a RESYNC, in octets.
pub const RESYNC_HEADER_LEN: usize = 27;

/// The length of the header of a RESYNC_ANSWER, in octets.
pub const RESYNC_ANSWER_HEADER_LEN: usize = 10;

/// The length of the header of a CALL_NOW, in octets.
pub const CALL_NOW_HEADER_LEN: usize = 15;

/// The length of a CLOSE, in octets.
// spec: FRM-16
pub const CLOSE_LEN: usize = 2;

/// The longest header of any frame: that of an UPLINK in modes 2 and 3.
pub const HEADER_MAX: usize = 31;

/// The longest tag of any mode.
pub const TAG_MAX: usize = 16;

/// The shortest report: a set clock, and no command so far.
pub const REPORT_MIN: usize = 11;

/// The plaintext of an ANSWER without items.
pub const ANSWER_MIN: usize = 3;

/// The plaintext of a RESYNC_ANSWER without items.
pub const RESYNC_ANSWER_MIN: usize = 4;

/// The largest register, 2^48 − 1.
// spec: REC-16
pub const REGISTER_MAX: u64 = 0xFFFF_FFFF_FFFF;

/// The largest step within a segment of a series, 2^32 − 1.
// spec: SER-1
pub const STEP_MAX: u32 = 0xFFFF_FFFF;

/// The largest gauge.
// spec: SER-8
pub const GAUGE_MAX: u16 = 65_533;

/// The marks of a day in an everyday record.
// spec: REC-17
pub const DAY_MARKS: u8 = 24;

/// The most marks of an interval series.
pub const INTERVAL_MARKS_MAX: u8 = 250;

/// The most alarms of one notice.
// spec: REC-22
pub const ALARMS_MAX: usize = 6;

/// The most characters of a meter's panel.
pub const PANEL_MAX: usize = 8;

/// The most characters of a meter's serial.
pub const SERIAL_MAX: usize = 16;

/// The most octets of data in a command result.
pub const RESULT_DATA_MAX: usize = 64;

/// The octets of a command or result MAC.
// spec: CMD-1, CMD-14
pub const MAC_LEN: usize = 16;

/// The smallest padded frame, and the least routine size, in octets.
// spec: FRM-10, FRM-11
pub const ROUTINE_MIN: usize = 128;

/// The lowest frame counter.
// spec: NON-5
pub const COUNTER_MIN: u32 = 1;

/// The highest frame counter.
// spec: NON-5
pub const COUNTER_MAX: u32 = 0xFFFF_0000;

/// The longest body of an item, in octets.
// spec: FRM-19
pub const ITEM_MAX: u64 = 1_200;

/// The longest record that a terminal may send, in octets, its item's head included.
// spec: REC-33
pub const RECORD_MAX: usize = 1_100;
