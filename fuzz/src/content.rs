//! Plaintexts of all kinds of frames: decoding, encoding and the JSON form, and what holds of them.

use kenshin::wire::error::{DecodeError, EncodeError};
use kenshin::wire::otl::answer::{Answer, AnswerItem};
use kenshin::wire::otl::command::Parameters;
use kenshin::wire::otl::header::{FrameKind, Header, Mode};
use kenshin::wire::otl::json::{self, Security};
use kenshin::wire::otl::resync::{ResyncAnswer, ResyncBody};
use kenshin::wire::otl::uplink::{Salvage, UplinkBody};
use kenshin::wire::writer::Writer;

/// What is in a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Uplink(UplinkBody),
    Resync(ResyncBody),
    Answer(Answer),
    ResyncAnswer(ResyncAnswer),
    None,
}

impl Content {
    /// Decodes strictly.
    pub(crate) fn decode(
        kind: FrameKind,
        plaintext: &[u8],
        base_offset: usize,
        mode: Mode,
    ) -> Result<Self, DecodeError> {
        Ok(match kind {
            FrameKind::Uplink => Self::Uplink(UplinkBody::decode(plaintext, base_offset, mode)?),
            FrameKind::Resync => Self::Resync(ResyncBody::decode(plaintext, base_offset)?),
            FrameKind::Answer => Self::Answer(Answer::decode(plaintext, base_offset, mode)?),
            FrameKind::ResyncAnswer => {
                Self::ResyncAnswer(ResyncAnswer::decode(plaintext, base_offset)?)
            }
            FrameKind::CallNow | FrameKind::Close => Self::None,
        })
    }

    fn encode(&self, mode: Mode, out: &mut Writer<'_>) -> Result<(), EncodeError> {
        match self {
            Self::Uplink(body) => body.encode(mode, out),
            Self::Resync(body) => body.encode(mode, out),
            Self::Answer(body) => body.encode(mode, out),
            Self::ResyncAnswer(body) => body.encode(out),
            Self::None => Ok(()),
        }
    }

    /// The octets are the value's only encoding, and the encoder never writes beyond its limit.
    pub(crate) fn has_one_encoding(&self, plaintext: &[u8], mode: Mode) {
        let mut out = Vec::new();
        let encoded = self.encode(mode, &mut Writer::new(&mut out, plaintext.len()));
        assert_eq!(encoded, Ok(()), "what was decoded can be encoded");
        assert_eq!(out, plaintext, "each value has one encoding");
        if let Some(limit) = plaintext.len().checked_sub(1) {
            out.clear();
            let short = self.encode(mode, &mut Writer::new(&mut out, limit));
            assert_eq!(short, Err(EncodeError::NoRoom));
            assert!(out.len() <= limit, "the limit holds");
        }
        match self {
            Self::Answer(answer) => {
                let items = answer.items().to_vec();
                let again = Answer::new(answer.flags(), answer.map(), items);
                assert_eq!(again.as_ref(), Ok(answer));
                answer.items().iter().for_each(command);
            }
            Self::ResyncAnswer(answer) => {
                let again = ResyncAnswer::new(answer.floor(), answer.items().to_vec());
                assert_eq!(again.as_ref(), Ok(answer));
            }
            Self::Uplink(_) | Self::Resync(_) | Self::None => {}
        }
    }

    /// The JSON form of the value under some header.
    pub(crate) fn print(&self, header: &Header) {
        let security = Security {
            mode: header.mode(),
            verified: true,
        };
        print(&match self {
            Self::Uplink(body) => json::uplink(header, security, body),
            Self::Resync(body) => json::resync(header, security, body),
            Self::Answer(body) => json::answer(header, security, body),
            Self::ResyncAnswer(body) => json::resync_answer(header, security, body),
            Self::None => json::bare(header, security),
        });
    }
}

/// A command's parameters have one encoding.
fn command(item: &AnswerItem) {
    let AnswerItem::Command(command) = item else {
        return;
    };
    if let Some(parameters) = Parameters::decode(command.kind, &command.parameters) {
        assert_eq!(parameters.kind(), command.kind);
        assert_eq!(parameters.encode().as_ref(), Ok(&command.parameters));
    }
}

/// Strict and salvaging decoding agree: what is strictly valid has no damage, and what is not has
/// its first damage where the strict decoder stops.
pub(crate) fn salvage_agrees(
    plaintext: &[u8],
    base_offset: usize,
    mode: Mode,
) -> Option<(UplinkBody, Salvage)> {
    let strict = UplinkBody::decode(plaintext, base_offset, mode);
    let salvage = Salvage::decode(plaintext, base_offset, mode);
    let end = base_offset.saturating_add(plaintext.len());
    if let Err(error) = &strict {
        assert!((base_offset..=end).contains(&error.offset), "{error}");
        assert_ne!(error.to_string(), "");
    }
    match (strict, salvage) {
        (Ok(body), Ok(salvage)) => {
            assert_eq!(salvage.body, body);
            assert_eq!(salvage.damaged, []);
            Some((body, salvage))
        }
        (Err(error), Ok(salvage)) => {
            let first = salvage.damaged.first().map(|damaged| damaged.error);
            assert_eq!(
                first,
                Some(error),
                "the first damage stops the strict decoder"
            );
            let octets: usize = salvage.damaged.iter().map(|item| item.octets.len()).sum();
            assert!(octets <= plaintext.len(), "damage is kept once");
            Some((salvage.body.clone(), salvage))
        }
        (Err(strict), Err(salvage)) => {
            assert!(
                strict.offset <= salvage.offset,
                "salvage goes on at least as far"
            );
            None
        }
        (Ok(_), Err(error)) => panic!("strict decoding accepts what salvage refuses: {error}"),
    }
}

/// Writes a JSON value out.
pub(crate) fn print(value: &serde_json::Value) {
    let text = value.to_string();
    assert!(text.starts_with("{\"") && text.ends_with('}'), "one object");
}
