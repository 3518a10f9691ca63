//! Every refusal of OTL, once: metric label, whose fault it is, what goes on the air, and the texts
//! for operators.
//!
//! The table agrees with `protocol-spec/registries/close-codes.toml`; a test compares them. A peer
//! that has not authenticated learns nothing from a refusal: all of them look the same on the air.

use crate::keyring::KeyError;
use crate::wire::error::{DecodeError, ErrorKind};

/// Whose fault a refusal is.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FaultGroup {
    /// The octets are malformed.
    Bytes,
    /// Another version, mode or form than this server speaks.
    Incompatible,
    /// The sender is not who it says, or not as it is registered.
    Authentication,
    /// Somebody who authenticated broke a rule.
    Peer,
    /// The server has more work than it can do.
    Overload,
    /// The server itself.
    Local,
}

/// What a refusal lets the other side see.
// spec: SES-10, ERR-4
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum OnAir {
    /// Silence on UDP, CLOSE 0 and the end of the connection on TCP: the same for all.
    Generic,
    /// It is said inside an authenticated answer.
    Answer,
    /// CLOSE with this code on TCP, silence on UDP; only after authentication.
    Close(u8),
    /// Nothing.
    Nothing,
}

macro_rules! refusals {
    ($(
        $name:ident = $code:literal, $id:literal, $group:ident, $air:expr,
        $en:literal, $ja:literal;
    )+) => {
        /// A reason to refuse a frame, a record or a connection.
        // spec: ERR-1
        #[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
        pub enum Reason {
            $(#[doc = $en] $name,)+
        }

        impl Reason {
            /// All reasons, in the order of their codes.
            pub const ALL: &'static [Self] = &[$(Self::$name,)+];

            /// The local number, for logs; never on the air.
            #[must_use]
            pub const fn code(self) -> u8 {
                match self { $(Self::$name => $code,)+ }
            }

            /// The metric label and error kind.
            #[must_use]
            pub const fn id(self) -> &'static str {
                match self { $(Self::$name => $id,)+ }
            }

            /// Whose fault it is.
            #[must_use]
            pub const fn group(self) -> FaultGroup {
                match self { $(Self::$name => FaultGroup::$group,)+ }
            }

            /// What the other side sees of it.
            #[must_use]
            pub const fn on_air(self) -> OnAir {
                match self { $(Self::$name => $air,)+ }
            }

            /// What it means, in English and Japanese, for operators.
            #[must_use]
            pub const fn texts(self) -> (&'static str, &'static str) {
                match self { $(Self::$name => ($en, $ja),)+ }
            }
        }
    };
}

refusals! {
    Truncated = 1, "truncated", Bytes, OnAir::Generic,
        "the frame ends before its fields do",
        "フレームが途中で終わっている";
    TrailingBytes = 2, "trailing_bytes", Bytes, OnAir::Generic,
        "octets follow after the last field",
        "末尾に余分なオクテットがある";
    Oversize = 3, "oversize", Bytes, OnAir::Generic,
        "the frame or stream length is above 1,200 octets",
        "長さが1,200オクテットを超えている";
    BadValue = 4, "bad_value", Bytes, OnAir::Generic,
        "a field holds a value that its clause excludes",
        "値が許容範囲外";
    NonCanonical = 5, "non_canonical", Bytes, OnAir::Generic,
        "the value is right but not in its one encoding",
        "正規の符号化ではない";
    ReservedBits = 6, "reserved_bits", Bytes, OnAir::Generic,
        "a reserved bit or octet is set",
        "予約ビットが0でない";
    PaddingNotZero = 7, "padding_not_zero", Bytes, OnAir::Generic,
        "padding is not zero, or is not allowed here",
        "パディングが不正";
    UnknownFrameType = 8, "unknown_frame_type", Bytes, OnAir::Generic,
        "the frame type is not registered",
        "未登録のフレーム種別";
    WrongDirection = 9, "wrong_direction", Bytes, OnAir::Generic,
        "a frame of the other direction arrived",
        "方向が逆のフレーム";
    UnsupportedVersion = 20, "unsupported_version", Incompatible, OnAir::Generic,
        "the version is not 1: the terminal speaks a later or another protocol",
        "未対応のバージョン";
    UnknownMode = 21, "unknown_mode", Incompatible, OnAir::Generic,
        "the mode field is 4 to 7",
        "未知のセキュリティモード";
    IdentityFormUnsupported = 22, "identity_form_unsupported", Incompatible, OnAir::Generic,
        "the identity is an alias, which this version reserves",
        "未対応の識別子形式";
    ModeForbidsFrame = 23, "mode_forbids_frame", Incompatible, OnAir::Generic,
        "this frame type does not exist in mode 0",
        "このモードでは使えないフレーム";
    UnknownCriticalItem = 24, "unknown_critical_item", Incompatible, OnAir::Nothing,
        "an answer holds a critical item that the terminal does not know",
        "未知の必須項目";
    UnknownTerminal = 40, "unknown_terminal", Authentication, OnAir::Generic,
        "no terminal of this identity is registered",
        "未登録の端末";
    ModeMismatch = 41, "mode_mismatch", Authentication, OnAir::Generic,
        "the frame's mode is not the pinned one",
        "固定されたモードと異なる";
    Mode0Forbidden = 42, "mode0_forbidden", Authentication, OnAir::Generic,
        "the utility does not allow mode 0 for this terminal",
        "モード0は許可されていない";
    UnknownKeyVersion = 43, "unknown_key_version", Authentication, OnAir::Generic,
        "no key of this version can be derived",
        "未知の鍵バージョン";
    KeyWithdrawn = 44, "key_withdrawn", Authentication, OnAir::Generic,
        "the key version was withdrawn",
        "失効した鍵バージョン";
    KeyRetired = 45, "key_retired", Authentication, OnAir::Generic,
        "the terminal has been promoted to a newer key version",
        "旧鍵バージョン";
    KeyTooShort = 46, "key_too_short", Authentication, OnAir::Generic,
        "mode 3 needs a base key of 32 octets",
        "鍵長不足";
    TagMismatch = 47, "tag_mismatch", Authentication, OnAir::Generic,
        "the tag does not verify: a wrong key, or octets changed on the way",
        "認証タグ不一致";
    CounterStale = 60, "counter_stale", Peer, OnAir::Answer,
        "the frame verifies but its counter lies below the window; answered with FLOOR",
        "フレームカウンタが古い";
    CounterClone = 61, "counter_clone", Peer, OnAir::Nothing,
        "a counter was seen with another tag: a copy of the terminal, or its memory was set back",
        "カウンタ重複、複製端末の疑い";
    RecordConflict = 62, "record_conflict", Peer, OnAir::Answer,
        "a record's key is known with other content; quarantined",
        "記録番号の内容不一致";
    RecordUndecodable = 63, "record_undecodable", Peer, OnAir::Nothing,
        "a verified record cannot be decoded; quarantined",
        "記録を復号できない";
    Idle = 64, "idle", Peer, OnAir::Close(1),
        "the connection was silent for longer than allowed",
        "無通信による切断";
    Slow = 65, "slow", Peer, OnAir::Generic,
        "the connection did not deliver a verified frame in time",
        "時間内に認証済みフレームなし";
    TakenOver = 66, "taken_over", Peer, OnAir::Close(2),
        "the terminal verified on a newer connection",
        "新しい接続への引き継ぎ";
    ComeBack = 80, "come_back", Overload, OnAir::Answer,
        "the terminal was asked to come back later",
        "再接続待ちの指示";
    Shed = 81, "shed", Overload, OnAir::Generic,
        "the frame was dropped before authentication for want of capacity",
        "過負荷による破棄";
    Stopping = 90, "stopping", Local, OnAir::Close(3),
        "the server is stopping",
        "サーバ停止中";
    CommitFailed = 91, "commit_failed", Local, OnAir::Generic,
        "the records could not be made durable; nothing was acknowledged",
        "永続化失敗";
    RollbackSuspected = 92, "rollback_suspected", Local, OnAir::Nothing,
        "a terminal knows more than the server's state: restored from an older copy",
        "サーバ状態の巻き戻りの疑い";
    HistoryUnknown = 93, "history_unknown", Local, OnAir::Generic,
        "it cannot be said now whether a record is kept already; nothing was acknowledged",
        "既存記録との照合不能";
}

/// A frame that was refused: why, where, and whether it had verified by then.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{} at octet {offset}: {}", reason.id(), reason.texts().0)]
pub struct Refusal {
    /// Why.
    pub reason: Reason,
    /// The first octet that is wrong or missing, from the start of the frame.
    // spec: ERR-3
    pub offset: usize,
    /// Whether the tag had verified: only then may the sender hear more than silence.
    // spec: SES-10
    pub verified: bool,
}

impl Refusal {
    /// A refusal before authentication.
    #[must_use]
    pub const fn at(reason: Reason, offset: usize) -> Self {
        Self {
            reason,
            offset,
            verified: false,
        }
    }

    /// A refusal of content whose tag had verified.
    #[must_use]
    pub fn verified(error: DecodeError) -> Self {
        Self {
            verified: true,
            ..Self::from(error)
        }
    }

    /// A frame that no buffer holds; the header check refuses it before.
    #[must_use]
    pub const fn too_long() -> Self {
        Self::at(Reason::Oversize, crate::wire::otl::limits::FRAME_MAX)
    }
}

impl From<ErrorKind> for Reason {
    fn from(kind: ErrorKind) -> Self {
        Self::ALL
            .iter()
            .copied()
            .find(|reason| reason.id() == kind.id())
            .unwrap_or(Self::BadValue)
    }
}

impl From<DecodeError> for Refusal {
    fn from(error: DecodeError) -> Self {
        Self::at(error.kind.into(), error.offset)
    }
}

impl From<KeyError> for Refusal {
    // spec: ERR-3
    fn from(error: KeyError) -> Self {
        match error {
            KeyError::UnknownTerminal => Self::at(Reason::UnknownTerminal, 3),
            KeyError::ModeMismatch => Self::at(Reason::ModeMismatch, 1),
            KeyError::Mode0Forbidden => Self::at(Reason::Mode0Forbidden, 1),
            KeyError::UnknownKeyVersion => Self::at(Reason::UnknownKeyVersion, 2),
            KeyError::KeyWithdrawn => Self::at(Reason::KeyWithdrawn, 2),
            KeyError::KeyRetired => Self::at(Reason::KeyRetired, 2),
            KeyError::KeyTooShort => Self::at(Reason::KeyTooShort, 2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // spec: ERR-1
    #[test]
    fn the_table_agrees_with_the_registry() {
        let root = env!("CARGO_MANIFEST_DIR");
        let path = format!("{root}/protocol-spec/registries/close-codes.toml");
        let text = std::fs::read_to_string(path).unwrap();
        let registry: toml::Table = text.parse().unwrap();
        let rows = registry["close"].as_array().unwrap();
        assert_eq!(rows.len(), Reason::ALL.len());
        for (row, reason) in rows.iter().zip(Reason::ALL) {
            assert_eq!(row["code"].as_integer(), Some(i64::from(reason.code())));
            assert_eq!(row["id"].as_str(), Some(reason.id()));
            assert_eq!(row["text_en"].as_str(), Some(reason.texts().0));
            assert_eq!(row["text_ja"].as_str(), Some(reason.texts().1));
            let group = format!("{:?}", reason.group()).to_lowercase();
            assert_eq!(row["group"].as_str(), Some(group.as_str()));
            let (on_air, code) = match reason.on_air() {
                OnAir::Generic => ("generic", None),
                OnAir::Answer => ("answer", None),
                OnAir::Close(code) => ("close", Some(i64::from(code))),
                OnAir::Nothing => ("none", None),
            };
            assert_eq!(row["on_air"].as_str(), Some(on_air));
            assert_eq!(
                row.get("close_code").and_then(toml::Value::as_integer),
                code
            );
        }
    }

    // spec: ERR-1
    #[test]
    fn every_error_of_bytes_and_keys_has_a_reason_of_its_own() {
        for kind in ErrorKind::ALL {
            assert_eq!(Reason::from(kind).id(), kind.id());
        }
        for error in KeyError::ALL {
            assert_eq!(Refusal::from(error).reason.id(), error.id());
        }
    }

    // spec: SES-10, ERR-4
    #[test]
    fn all_refusals_before_authentication_look_alike_on_the_air() {
        let groups = [
            FaultGroup::Bytes,
            FaultGroup::Incompatible,
            FaultGroup::Authentication,
        ];
        for reason in Reason::ALL
            .iter()
            .filter(|reason| groups.contains(&reason.group()))
        {
            // The one exception is a refusal by a terminal, which never says anything.
            let expected = if *reason == Reason::UnknownCriticalItem {
                OnAir::Nothing
            } else {
                OnAir::Generic
            };
            assert_eq!(reason.on_air(), expected, "{}", reason.id());
        }
    }
}
