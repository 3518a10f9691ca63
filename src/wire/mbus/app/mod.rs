//! The application layer: records to exact values, compact and format frames, load profiles,
//! application errors.
//!
//! [`Body::read`] says what a payload is. [`Records`] walks records without a copy or allocation;
//! of each [`Record`], [`Record::meaning`] tells what VIF and VIFE say and [`Record::value`] the
//! value in base units. [`FormatCatalog`] keeps the formats of compact frames and expands them.
//! [`decode_records`] makes owned values of all that, and [`json`] text.
//!
//! # Nothing is lost and nothing is guessed
//!
//! A record that no table knows has the quantity `unknown`, its number and its octets. A date that
//! is none or of a clock that does not go right, a BCD number with a digit above 9 and a float that
//! is no number say so and keep what was sent. Octets of makers and of other protocols are kept
//! whole.

mod application_error;
mod body;
mod catalog;
mod compact;
mod date;
mod decimal;
mod fixed;
mod head;
pub mod json;
mod known;
mod meaning;
mod named;
mod owned;
mod profile;
mod quantity;
mod record;
mod tables;
mod times;
mod unit;
mod value;
mod vife;

pub use application_error::ApplicationError;
pub use body::{Body, OpaqueKind, RecordsKind};
pub use catalog::{DeviceKind, Expanded, FormatCatalog, Learned};
pub use compact::{CompactFrame, ExpandError, FormatFrame, full_frame_crc, heads_of, signature_of};
pub use date::{DateState, DateTime, Precision};
pub use decimal::Decimal;
pub use fixed::{FIXED_LEN, FixedCounter, FixedData, medium_name};
pub use meaning::Meaning;
pub use owned::{Decoded, ManufacturerData, OwnedRecord, OwnedValue, decode_records};
pub use profile::{Point, Points, Profile, ProfileFault, ProfilesLeft};
pub use quantity::Quantity;
pub use record::{Direction, FaultReason, Function, Item, Record, RecordFault, Records};
pub use tables::Coding;
pub use unit::{Per, Times, Unit, UnitTerm};
pub use value::{Digits, Invalid, Text, Value};
pub use vife::{Modifier, Modifiers, ObjectAction, ProfileKind, RecordError};

#[cfg(test)]
mod tests;
