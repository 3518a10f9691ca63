//! Reading a trace of `strace -f -y -xx`.
//!
//! Its lines are in the order in which the tracer saw calls begin and end: a call that ended before
//! another began stands in an earlier line.

use std::collections::{BTreeMap, BTreeSet};

/// Octets of a frame that tell it from others: most of its clear header.
const TELLING: usize = 16;
/// `.klog>` as the end of a file's name.
const LOG_FILE: &str = r"\x2e\x6b\x6c\x6f\x67>";

/// One call, and the lines of its beginning and its end.
#[derive(Debug)]
struct Call {
    text: String,
    began: usize,
    ended: usize,
}

/// An answer that left before its frame was durable: its line, and why that is known.
#[derive(Debug, Eq, PartialEq)]
pub(crate) struct Early {
    pub(crate) line: usize,
    pub(crate) why: &'static str,
}

/// The process that was started.
pub(crate) fn first_pid(trace: &str) -> u32 {
    trace.split_whitespace().next().unwrap().parse().unwrap()
}

fn calls(trace: &str) -> Vec<Call> {
    let mut begun: BTreeMap<&str, (String, usize)> = BTreeMap::new();
    let mut calls = Vec::new();
    for (line, text) in trace.lines().enumerate() {
        let Some((pid, text)) = text.split_once(' ') else {
            continue;
        };
        let text = text.trim_start();
        if let Some(beginning) = text.strip_suffix("<unfinished ...>") {
            begun.insert(pid, (beginning.to_owned(), line));
        } else if let Some((_, rest)) = text
            .strip_prefix("<... ")
            .and_then(|text| text.split_once(" resumed>"))
        {
            let (beginning, began) = begun.remove(pid).unwrap();
            calls.push(Call {
                text: beginning + rest,
                began,
                ended: line,
            });
        } else {
            calls.push(Call {
                text: text.to_owned(),
                began: line,
                ended: line,
            });
        }
    }
    calls
}

impl Call {
    fn is(&self, names: &[&str]) -> bool {
        let name = self.text.split('(').next().unwrap();
        names.contains(&name)
    }

    fn is_of_log(&self) -> bool {
        let file = self.text.split([',', ')']).next().unwrap();
        file.trim_end().ends_with(LOG_FILE)
    }

    /// Each peer's port with the octets that stand before the next one.
    fn datagrams(&self) -> Vec<(u16, String)> {
        let parts = self.text.split("msg_name=").skip(1);
        let datagram = |part: &str| {
            let port = part.split_once("sin_port=htons(")?.1.split_once(')')?.0;
            let octets = part.split("iov_base=\"").skip(1);
            let octets = octets.filter_map(|rest| Some(rest.split_once('"')?.0));
            Some((port.parse().ok()?, octets.collect()))
        };
        parts.filter_map(datagram).collect()
    }
}

/// The answers to these ports in their order: `Ok` with the line for one that left after a write of
/// its frame into the log and a sync that began after that and ended before.
pub(crate) fn acknowledgements(trace: &str, ports: &BTreeSet<u16>) -> Vec<Result<usize, Early>> {
    let calls = calls(trace);
    let named = |names: &'static [&'static str]| calls.iter().filter(move |call| call.is(names));
    let writes: Vec<&Call> = named(&["pwrite64"])
        .filter(|call| call.is_of_log())
        .collect();
    let syncs: Vec<&Call> = named(&["fdatasync"])
        .filter(|call| call.is_of_log() && call.text.trim_end().ends_with("= 0"))
        .collect();
    let received: Vec<(usize, u16, String)> = named(&["recvmmsg", "recvmsg"])
        .flat_map(|call| {
            let ended = call.ended;
            let each = call.datagrams().into_iter();
            each.map(move |(port, octets)| (ended, port, octets))
        })
        .collect();
    let judge = |line: usize, port: u16| {
        let early = |why| Err(Early { line, why });
        let mut frames = received.iter().rev();
        let frame = frames.find(|(ended, from, _)| *from == port && *ended < line);
        let Some((_, _, octets)) = frame else {
            return early("nothing was received");
        };
        let header = octets.get(..4 * TELLING).unwrap_or(octets);
        let mut of_frame = writes.iter().filter(|call| call.text.contains(header));
        let Some(write) = of_frame.next().filter(|call| call.ended < line) else {
            return early("its frame was not written before");
        };
        let covers = |sync: &&&Call| sync.began > write.ended && sync.ended < line;
        if syncs.iter().any(|sync| covers(&sync)) {
            Ok(line)
        } else {
            early("its frame was not synced before")
        }
    };
    let mut sent: Vec<(usize, u16)> = named(&["sendmmsg", "sendmsg"])
        .flat_map(|call| {
            let each = call.datagrams().into_iter();
            each.map(|(port, _)| (call.began, port))
        })
        .filter(|(_, port)| ports.contains(port))
        .collect();
    sent.sort_unstable();
    sent.into_iter()
        .map(|(line, port)| judge(line, port))
        .collect()
}

const RECEIVED: &str = concat!(
    "7 recvmmsg(9<s>, [{msg_hdr={msg_name={sa_family=AF_INET, sin_port=htons(40), sin_addr=x}, ",
    r#"msg_iov=[{iov_base="\x01\x02\x03", iov_len=2}]}, msg_len=3}], 64, 0, NULL) = 1"#
);
const BEGINS_WRITE: &str =
    r#"8 pwrite64(5<\x61\x2e\x6b\x6c\x6f\x67>, "\x00\x01\x02\x03\x09", 5, 64 <unfinished ...>"#;
const ENDS_WRITE: &str = "8 <... pwrite64 resumed>) = 5";
const SYNC: &str = r"8 fdatasync(5<\x61\x2e\x6b\x6c\x6f\x67>) = 0";
const BEGINS_SYNC: &str = r"8 fdatasync(5<\x61\x2e\x6b\x6c\x6f\x67> <unfinished ...>";
const ENDS_SYNC: &str = "8 <... fdatasync resumed>) = 0";
const FAILED_SYNC: &str = r"8 fdatasync(5<\x61\x2e\x6b\x6c\x6f\x67>) = -1 EIO (text)";
const SENT: &str = concat!(
    "7 sendmmsg(9<s>, [{msg_hdr={msg_name={sa_family=AF_INET, sin_port=htons(40), sin_addr=x}, ",
    r#"msg_iov=[{iov_base="\x55", iov_len=1}]}, msg_len=1}], 1, 0) = 1"#
);

#[test]
fn an_answer_that_leaves_before_its_sync_is_found() {
    let judge = |lines: &[&str]| {
        let found = acknowledgements(&lines.join("\n"), &BTreeSet::from([40]));
        let found = found.into_iter().map(|one| one.map_err(|early| early.why));
        found.collect::<Vec<_>>()
    };
    let good = [RECEIVED, BEGINS_WRITE, ENDS_WRITE, SYNC, SENT];
    assert_eq!(judge(&good), [Ok(4)]);
    let interrupted = [
        RECEIVED,
        BEGINS_WRITE,
        ENDS_WRITE,
        BEGINS_SYNC,
        ENDS_SYNC,
        SENT,
    ];
    assert_eq!(judge(&interrupted), [Ok(5)]);
    let unsynced = Err("its frame was not synced before");
    for bad in [
        [RECEIVED, BEGINS_WRITE, ENDS_WRITE, SENT, SYNC],
        [RECEIVED, SYNC, BEGINS_WRITE, ENDS_WRITE, SENT],
        [RECEIVED, BEGINS_WRITE, SYNC, ENDS_WRITE, SENT],
        [RECEIVED, BEGINS_WRITE, ENDS_WRITE, FAILED_SYNC, SENT],
        [RECEIVED, BEGINS_WRITE, ENDS_WRITE, BEGINS_SYNC, SENT],
    ] {
        assert_eq!(judge(&bad), [unsynced]);
    }
    let unwritten = Err("its frame was not written before");
    assert_eq!(
        judge(&[RECEIVED, SENT, BEGINS_WRITE, ENDS_WRITE, SYNC]),
        [unwritten]
    );
    assert_eq!(judge(&[SENT, RECEIVED]), [Err("nothing was received")]);
}
