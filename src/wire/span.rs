//! The input type of all parsers: octets that know where in the frame they stand.
//!
//! nom's own slices forget their place, and an error has to name it. A [`Span`] is a slice, the
//! offset of its first octet from the start of the frame, and, when a view is being made, the
//! list that takes the names of the fields. Reading costs no more than on a slice.

use core::fmt::Display;
use core::iter::{Copied, Enumerate};
use core::slice::Iter;

use nom::{IResult, Input, Needed, Parser};

use super::error::{DecodeError, ErrorKind};
use super::view::Notes;

/// What a parser of this layer returns: the rest and the value, or a refusal.
pub(crate) type Parsed<'a, T> = IResult<Span<'a>, T, DecodeError>;

/// Octets of a frame, and where they begin in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span<'a> {
    octets: &'a [u8],
    offset: usize,
    notes: Option<&'a Notes>,
}

impl<'a> Span<'a> {
    /// Octets that begin at `offset` of their frame.
    pub(crate) const fn new(octets: &'a [u8], offset: usize) -> Self {
        Self {
            octets,
            offset,
            notes: None,
        }
    }

    /// The same octets, whose fields are to be named in `notes`.
    pub(crate) const fn noted(self, notes: Option<&'a Notes>) -> Self {
        Self { notes, ..self }
    }

    /// The octets.
    pub(crate) const fn octets(self) -> &'a [u8] {
        self.octets
    }

    /// Where the first octet stands in the frame.
    pub(crate) const fn offset(self) -> usize {
        self.offset
    }

    /// Whether no octet is left.
    pub(crate) const fn is_empty(self) -> bool {
        self.octets.is_empty()
    }

    /// Where the first octet after these would stand.
    pub(crate) const fn end(self) -> usize {
        self.offset.saturating_add(self.octets.len())
    }

    /// The refusal "an octet is missing here", which names the first missing octet.
    // spec: ERR-3
    pub(crate) const fn truncated(self) -> DecodeError {
        DecodeError::new(self.end(), ErrorKind::Truncated, "")
    }

    /// A refusal of the first octet.
    pub(crate) const fn refuse<T>(self, kind: ErrorKind) -> Parsed<'a, T> {
        self.refuse_at(self.offset, kind)
    }

    /// A refusal of the octet at `offset` of the frame.
    pub(crate) const fn refuse_at<T>(self, offset: usize, kind: ErrorKind) -> Parsed<'a, T> {
        Err(nom::Err::Error(DecodeError::new(offset, kind, "")))
    }

    /// Whether the fields are to be named.
    pub(crate) const fn is_noted(self) -> bool {
        self.notes.is_some()
    }

    /// Names the octets from here to `rest`.
    pub(crate) fn note(self, rest: Span<'_>, name: &'static str, value: &dyn Display) {
        if let Some(notes) = self.notes {
            let len = rest.offset.saturating_sub(self.offset);
            notes.add(self.offset, len, name, value);
        }
    }

    /// Refuses octets that are left over where a value has ended.
    // spec: FRM-19
    pub(crate) const fn expect_end(self, context: &'static str) -> Result<(), DecodeError> {
        if self.octets.is_empty() {
            Ok(())
        } else {
            Err(DecodeError::new(
                self.offset,
                ErrorKind::TrailingBytes,
                context,
            ))
        }
    }
}

/// The refusal inside of nom's wrapper. Complete parsers never ask for more octets.
pub(crate) fn plain(error: nom::Err<DecodeError>) -> DecodeError {
    match error {
        nom::Err::Error(error) | nom::Err::Failure(error) => error,
        nom::Err::Incomplete(_) => DecodeError::new(0, ErrorKind::Truncated, ""),
    }
}

/// nom says that its input may panic on an index beyond the end; this one gives what there is.
impl<'a> Input for Span<'a> {
    type Item = u8;
    type Iter = Copied<Iter<'a, u8>>;
    type IterIndices = Enumerate<Self::Iter>;

    #[inline(always)]
    fn input_len(&self) -> usize {
        self.octets.len()
    }

    #[inline(always)]
    fn take(&self, index: usize) -> Self {
        self.take_split(index).1
    }

    #[inline(always)]
    fn take_from(&self, index: usize) -> Self {
        self.take_split(index).0
    }

    #[inline(always)]
    fn take_split(&self, index: usize) -> (Self, Self) {
        let (head, rest) = self
            .octets
            .split_at_checked(index)
            .unwrap_or((self.octets, &[]));
        let rest = Self {
            octets: rest,
            offset: self.offset.saturating_add(head.len()),
            notes: self.notes,
        };
        let head = Self {
            octets: head,
            ..*self
        };
        (rest, head)
    }

    #[inline(always)]
    fn position<P>(&self, predicate: P) -> Option<usize>
    where
        P: Fn(u8) -> bool,
    {
        self.octets.iter().position(|octet| predicate(*octet))
    }

    #[inline(always)]
    fn iter_elements(&self) -> Self::Iter {
        self.octets.iter().copied()
    }

    #[inline(always)]
    fn iter_indices(&self) -> Self::IterIndices {
        self.iter_elements().enumerate()
    }

    #[inline(always)]
    fn slice_index(&self, count: usize) -> Result<usize, Needed> {
        if count <= self.octets.len() {
            Ok(count)
        } else {
            Err(Needed::new(count.saturating_sub(self.octets.len())))
        }
    }
}

/// Reads a field: names it in errors and, when a view is made, in the view.
pub(crate) fn field<'a, P>(
    name: &'static str,
    mut parser: P,
) -> impl FnMut(Span<'a>) -> Parsed<'a, P::Output>
where
    P: Parser<Span<'a>, Error = DecodeError>,
    P::Output: Display,
{
    #[inline(always)]
    move |input: Span<'a>| match parser.parse(input) {
        Ok((rest, value)) => {
            input.note(rest, name, &value);
            Ok((rest, value))
        }
        Err(error) => Err(error.map(|error| error.in_field(name))),
    }
}

/// Turns what `parser` read into a checked type; a refusal stands at the first octet read.
pub(crate) fn refine<'a, P, T>(
    mut parser: P,
    check: impl Fn(P::Output) -> Result<T, ErrorKind>,
) -> impl FnMut(Span<'a>) -> Parsed<'a, T>
where
    P: Parser<Span<'a>, Error = DecodeError>,
{
    #[inline(always)]
    move |input: Span<'a>| {
        let (rest, raw) = parser.parse(input)?;
        match check(raw) {
            Ok(value) => Ok((rest, value)),
            Err(kind) => input.refuse(kind),
        }
    }
}

/// As [`refine`], for checks whose only refusal is `bad_value`.
pub(crate) fn ranged<'a, P, T>(
    parser: P,
    check: impl Fn(P::Output) -> Option<T>,
) -> impl FnMut(Span<'a>) -> Parsed<'a, T>
where
    P: Parser<Span<'a>, Error = DecodeError>,
{
    refine(parser, move |raw| check(raw).ok_or(ErrorKind::BadValue))
}

/// Reads exactly `N` octets.
#[inline]
pub(crate) fn array<const N: usize>(input: Span<'_>) -> Parsed<'_, [u8; N]> {
    match input.octets.first_chunk::<N>() {
        Some(octets) => Ok((input.take_from(N), *octets)),
        None => Err(nom::Err::Error(input.truncated())),
    }
}

/// Reads `count` octets as they are.
pub(crate) fn octets<'a>(
    name: &'static str,
    count: usize,
) -> impl FnMut(Span<'a>) -> Parsed<'a, &'a [u8]> {
    move |input: Span<'a>| {
        let (rest, run) = nom::bytes::complete::take(count)
            .parse(input)
            .map_err(|error: nom::Err<DecodeError>| error.map(|error| error.in_field(name)))?;
        input.note(rest, name, &super::hex::Hex(run.octets()));
        Ok((rest, run.octets()))
    }
}
