//! Reading telegrams in clear: a lazy walk, owned values, JSON; like with like.

use std::hint::black_box;

use kenshin::keyring::mbus::NoKeys;
use kenshin::session::mbus::{Fragments, Opened, Scratch, Step, open};
use kenshin::wire::mbus::app::{Body, Item, Records, decode_records, json};
use kenshin::wire::mbus::ci::HeaderKind;
use kenshin::wire::mbus::link::{self, Carriage};
use kenshin::wire::mbus::tpl::Header;
use m_bus_parser::mbus_data::MbusData;
use m_bus_parser::{DecodeOptions, OutputFormat, RenderOptions, WiredFrame};

use crate::corpus;
use crate::turns::{Contender, Extent, measure, median, ratio};

/// Passes over the telegrams in one turn.
const PASSES: usize = 8;

pub(crate) fn run(is_test: bool, is_wanted: &dyn Fn(&str) -> bool) {
    let all = corpus::frames();
    let frames: Vec<Vec<u8>> = all
        .iter()
        .filter(|frame| is_common(frame))
        .cloned()
        .collect();
    let records: usize = frames.iter().map(|frame| walk(frame)).sum();
    let octets: usize = frames.iter().map(Vec::len).sum();
    println!(
        "reading {} telegrams of {} that both read whole, {records} records, {octets} octets",
        frames.len(),
        all.len()
    );
    let frames = frames.as_slice();
    kind(
        "lazy_walk",
        1.3,
        (is_test, is_wanted),
        frames,
        &|frame| {
            black_box(walk(frame));
        },
        &|frame| {
            black_box(peer_walk(frame));
        },
    );
    kind(
        "owned_values",
        5.0,
        (is_test, is_wanted),
        frames,
        &|frame| {
            black_box(owned(frame));
        },
        &|frame| {
            let options = DecodeOptions::default();
            black_box(m_bus_parser::decode_bytes(frame, &options).unwrap());
        },
    );
    kind(
        "json",
        5.0,
        (is_test, is_wanted),
        frames,
        &|frame| {
            black_box(text(frame));
        },
        &|frame| {
            let options = RenderOptions::default();
            let json = m_bus_parser::render_bytes(frame, OutputFormat::Json, &options);
            black_box(json.unwrap());
        },
    );
}

fn kind(
    name: &str,
    required: f64,
    (is_test, is_wanted): (bool, &dyn Fn(&str) -> bool),
    frames: &[Vec<u8>],
    ours: &dyn Fn(&[u8]),
    peer: &dyn Fn(&[u8]),
) {
    if !is_wanted(name) {
        return;
    }
    let mut contenders = [
        contender("kenshin", frames, ours),
        contender("m-bus-parser", frames, peer),
    ];
    let costs = measure(&mut contenders, Extent::of(is_test));
    let (at_median, worst) = ratio(&costs[0], &costs[1]);
    for (contender, costs) in contenders.iter().zip(&costs) {
        let cost = median(costs);
        println!(
            "  {name:<14} {:<14} {cost:8.0} ns a telegram, {:9.0}/s",
            contender.name,
            1e9 / cost
        );
    }
    println!("  {name:<14} {at_median:.2} times the peer's rate, worst round {worst:.2}");
    println!("  {name:<14} at least {required} is wanted");
    let line = serde_json::json!({
        "bench": name, "ns": median(&costs[0]), "peer_ns": median(&costs[1]),
        "ratio": at_median, "worst": worst, "required": required,
    });
    println!("{line}");
}

/// Some passes over all telegrams.
fn contender<'a>(
    name: &'static str,
    frames: &'a [Vec<u8>],
    read: &'a dyn Fn(&[u8]),
) -> Contender<'a> {
    Contender {
        name,
        telegrams: frames.len() * PASSES,
        pass: Box::new(move || {
            for _ in 0..PASSES {
                frames.iter().for_each(|frame| read(frame));
            }
        }),
    }
}

/// Whether both sides read all records of a telegram.
fn is_common(frame: &[u8]) -> bool {
    let Ok(parsed) = MbusData::<WiredFrame<'_>>::try_from(frame) else {
        return false;
    };
    let Some(records) = parsed.data_records else {
        return false;
    };
    let peer: Vec<_> = records.collect();
    if peer.iter().any(Result::is_err)
        || m_bus_parser::decode_bytes(frame, &DecodeOptions::default()).is_err()
    {
        return false;
    }
    let mut ours = 0;
    for item in records_of(frame) {
        match item {
            Ok(_) => ours += 1,
            Err(_) => return false,
        }
    }
    ours == peer.len()
}

fn records_of(frame: &[u8]) -> Records<'_> {
    // A wired frame has no CRCs to leave out.
    let body = frame.get(6..frame.len() - 2).unwrap();
    let header = Header::read(body, 6, HeaderKind::Long, false).unwrap();
    match Body::read(header.ci, true, &body[header.len..]) {
        Ok(Body::Records { records, .. }) => records,
        other => panic!("{other:?}"),
    }
}

/// Ours, lazily: every record with its meaning and its value.
fn walk(frame: &[u8]) -> usize {
    let mut scratch = Vec::new();
    let link = link::read(frame, Carriage::Auto, &mut scratch).unwrap();
    let header = Header::read(link.body, link.body_offset, HeaderKind::Long, false).unwrap();
    let Ok(Body::Records { records, .. }) = Body::read(header.ci, true, &link.body[header.len..])
    else {
        panic!("records");
    };
    let mut count = 0;
    for item in records {
        if let Ok(Item::Record(record)) = item {
            let meaning = record.meaning();
            black_box(record.value(&meaning));
            black_box(meaning);
            count += 1;
        }
    }
    count
}

/// The peer's lazily, as its own bench does it.
fn peer_walk(frame: &[u8]) -> usize {
    let parsed = MbusData::<WiredFrame<'_>>::try_from(frame).unwrap();
    let mut count = 0;
    for record in parsed.data_records.into_iter().flatten().flatten() {
        if let Some(info) = record.value_information() {
            for label in info.labels() {
                black_box(label);
            }
            for unit in info.units() {
                black_box(unit);
            }
            black_box((info.decimal_scale_exponent, info.decimal_offset_exponent));
        }
        black_box(record);
        count += 1;
    }
    count
}

/// What a server does with a telegram in clear, up to its plaintext.
fn opened<T>(frame: &[u8], read: impl FnOnce(&Opened<'_>) -> T) -> T {
    let mut scratch = Scratch::default();
    let mut fragments = Fragments::default();
    let step = open(
        frame,
        Carriage::Auto,
        &NoKeys,
        &mut fragments,
        0,
        &mut scratch,
    );
    let Ok(Step::Opened(opened)) = step else {
        panic!("a telegram in clear");
    };
    read(&opened)
}

fn owned(frame: &[u8]) -> usize {
    opened(frame, |opened| {
        let Ok(Body::Records { records, .. }) =
            Body::read(opened.ci, opened.is_wired, opened.payload)
        else {
            panic!("records");
        };
        black_box(decode_records(records)).records.len()
    })
}

fn text(frame: &[u8]) -> String {
    opened(frame, |opened| {
        let body = Body::read(opened.ci, opened.is_wired, opened.payload).unwrap();
        let mut out = String::with_capacity(2_048);
        out.push('{');
        json::write_body(&mut out, opened.ci, &body);
        out.push('}');
        out
    })
}
