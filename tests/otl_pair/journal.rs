//! The log that a person can read.

use kenshin::session::otl::machine::MachineEvent;
use kenshin::wire::otl::header::Header;
use kenshin::wire::otl::ident::Direction;

/// Lines, one an event.
#[derive(Debug, Default)]
pub(crate) struct Journal {
    lines: Vec<String>,
    is_off: bool,
}

impl Journal {
    pub(crate) fn off() -> Self {
        Self {
            lines: Vec::new(),
            is_off: true,
        }
    }

    /// Notes what happened to whom.
    pub(crate) fn note(&mut self, now_ms: u64, who: &str, what: &str) {
        if self.is_off {
            return;
        }
        let seconds = now_ms / 1_000;
        let (day, hour) = (seconds / 86_400, seconds / 3_600 % 24);
        let (minute, second, ms) = (seconds / 60 % 60, seconds % 60, now_ms % 1_000);
        let line = format!("d{day} {hour:02}:{minute:02}:{second:02}.{ms:03}  {who:<8}  {what}");
        self.lines.push(line.trim_end().to_owned());
    }

    /// A heading between parts of a story.
    pub(crate) fn heading(&mut self, text: &str) {
        if !self.is_off {
            self.lines.push(format!("-- {text}"));
        }
    }

    pub(crate) fn take(&mut self) -> String {
        let mut text = std::mem::take(&mut self.lines).join("\n");
        text.push('\n');
        text
    }
}

/// A frame by what anybody on the way can see of it.
pub(crate) fn describe(frame: &[u8], from: Direction) -> String {
    let len = frame.len();
    match Header::parse(frame, from) {
        Ok(Header::Uplink(header)) => {
            let alarm = if header.alarm() { " ALARM" } else { "" };
            let asks = if header.answer() { " asks" } else { "" };
            let counter = header.counter().get();
            format!("UPLINK {counter}, {len} octets{alarm}{asks}")
        }
        Ok(Header::Resync(_)) => format!("RESYNC, {len} octets"),
        Ok(Header::Answer(header)) => {
            let counter = header.counter().get();
            format!("ANSWER to {counter}, {len} octets")
        }
        Ok(Header::ResyncAnswer(_)) => format!("RESYNC_ANSWER, {len} octets"),
        Ok(Header::CallNow(header)) => {
            format!("CALL_NOW {}, {len} octets", header.call_counter())
        }
        Ok(Header::Close(_)) => format!("CLOSE {}", frame[1]),
        Err(error) => format!("garbage, {len} octets: {error}"),
    }
}

/// A machine's event in words.
pub(crate) fn event(event: MachineEvent) -> String {
    match event {
        MachineEvent::Repeat { counter } => format!("knows {counter}: a repeat"),
        MachineEvent::Joined { counter } => format!("joins {counter} to what is under way"),
        MachineEvent::Behind { counter } => format!("finds {counter} behind"),
        MachineEvent::Clone { counter } => format!("finds a clone of {counter}"),
        MachineEvent::CameBack { seconds } => format!("has no room: come back in {seconds} s"),
        MachineEvent::Shed { counter } => format!("drops {counter}"),
        MachineEvent::Unsure { counter } => format!("drops {counter}: cannot tell what is kept"),
        MachineEvent::Moved => "moves the terminal to the newer connection".to_owned(),
        MachineEvent::Silent { counter } => format!("says nothing to {counter} in this second"),
        MachineEvent::CommitFailed => "could not make it durable, says nothing".to_owned(),
        MachineEvent::Called { call_counter } => format!("calls with counter {call_counter}"),
        other => format!("{other:?}"),
    }
}
