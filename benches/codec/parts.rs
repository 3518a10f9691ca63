//! Each part of the codec alone.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput};
use kenshin::crypto::otl::{AeadMode, AnsweredFrame, LinkKey};
use kenshin::wire::otl::answer::{Answer, AnswerFlags};
use kenshin::wire::otl::framer::{TcpFramer, TcpPiece, tcp_prefix};
use kenshin::wire::otl::header::{AnswerHeader, Direction, FrameCounter, Header, Mode, Ns};
use kenshin::wire::otl::limits::FRAME_MAX;
use kenshin::wire::otl::meter::{Meter, Register, Unit};
use kenshin::wire::otl::record::{IntervalSeries, Record, RecordBody, StepMinutes};
use kenshin::wire::otl::series::{Segment, SegmentReason, Series};
use kenshin::wire::otl::stamp::{Stamp, Uncertainty};
use kenshin::wire::otl::uplink::UplinkBody;
use kenshin::wire::writer::Writer;

use crate::fixture::{self, HEADER_LEN, KEY_VERSION, NO_NONCES, ROUTINE, TAG_LEN};

/// Measures all parts.
pub(crate) fn run(criterion: &mut Criterion) {
    header(criterion);
    records(criterion);
    series(criterion);
    answer(criterion);
    framer(criterion);
}

fn header(criterion: &mut Criterion) {
    criterion.bench_function("header/parse", |bencher| {
        bencher.iter(|| Header::parse(black_box(&ROUTINE), Direction::FromTerminal));
    });
}

/// A plaintext with one record of each type, by the type's name, from the vectors.
fn plaintexts() -> BTreeMap<&'static str, Vec<u8>> {
    const VECTORS: &str = include_str!("../../protocol-spec/vectors/otl/records.toml");
    let table: toml::Table = VECTORS.parse().expect("the vectors are TOML");
    let master = fixture::master();
    let mut found = BTreeMap::new();
    for vector in table["vector"].as_array().expect("an array of vectors") {
        let octets = octets(vector["hex"].as_str().expect("hex"));
        let header = Header::parse(&octets, Direction::FromTerminal);
        let Ok(Header::Uplink(header)) = header else {
            continue;
        };
        let of_master = header.mode() == Mode::CcmStatic
            && header
                .key_version()
                .is_some_and(|version| version.get() == KEY_VERSION)
            && header.identity().octets() == fixture::identity(0);
        if !of_master {
            continue;
        }
        let cipher = fixture::uplink_cipher(&master, header.identity().octets());
        let plaintext = fixture::open(&octets, &cipher);
        let Ok(body) = UplinkBody::decode(&plaintext, HEADER_LEN, Mode::CcmStatic) else {
            continue;
        };
        if let [record] = body.records.as_slice() {
            let unpadded = plaintext.len() - usize::from(body.padding);
            let id = record.body.id();
            found
                .entry(id)
                .or_insert_with(|| plaintext[..unpadded].to_vec());
        }
    }
    found
}

fn octets(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks_exact(2);
    digits
        .map(|pair| {
            let pair = str::from_utf8(pair).expect("ASCII");
            u8::from_str_radix(pair, 16).expect("hex digits")
        })
        .collect()
}

fn decode(plaintext: &[u8]) -> UplinkBody {
    UplinkBody::decode(plaintext, HEADER_LEN, Mode::CcmStatic).expect("a valid plaintext")
}

fn encode(body: &UplinkBody, out: &mut Vec<u8>) {
    out.clear();
    body.encode(Mode::CcmStatic, &mut Writer::new(out, FRAME_MAX))
        .expect("room");
}

fn records(criterion: &mut Criterion) {
    let plaintexts = plaintexts();
    let mut group = criterion.benchmark_group("decode");
    group.measurement_time(Duration::from_millis(400));
    for (name, plaintext) in &plaintexts {
        group.bench_with_input(
            BenchmarkId::from_parameter(name),
            plaintext,
            |bencher, input| {
                bencher.iter(|| decode(black_box(input)));
            },
        );
    }
    group.finish();
    let mut group = criterion.benchmark_group("encode");
    group.measurement_time(Duration::from_millis(400));
    for (name, plaintext) in &plaintexts {
        let body = decode(plaintext);
        let mut out = Vec::with_capacity(FRAME_MAX);
        group.bench_with_input(BenchmarkId::from_parameter(name), &body, |bencher, body| {
            bencher.iter(|| encode(black_box(body), &mut out));
        });
    }
    group.finish();
}

/// 250 registers, the longest series, in an interval series record.
fn series(criterion: &mut Criterion) {
    let registers: Vec<Register> = (0_u64..250)
        .scan(1_234_567, |register, mark| {
            *register += (mark * mark * 7_919) % 311 * u64::from(mark % 4 != 0);
            Some(Register::new(*register).expect("in range"))
        })
        .collect();
    let segment = Segment {
        reason: SegmentReason::Start,
        first_mark: 1,
        registers: &registers,
    };
    let build = || Series::new(250, black_box(&[segment])).expect("a valid series");
    let mut body = decode(&fixture::plaintext());
    body.padding = 0;
    body.records = vec![Record {
        sequence: 1.try_into().expect("not 0"),
        body: RecordBody::IntervalSeries(IntervalSeries {
            stamp: Stamp::Set {
                uncertainty: Uncertainty::from_seconds(2),
                utc_s: 1_798_761_720,
            },
            meter: Meter::from_octet(0),
            unit: Unit::from_code(21).expect("a registered unit"),
            step: StepMinutes::new(30).expect("in range"),
            series: build(),
        }),
    }];
    let mut plaintext = Vec::new();
    encode(&body, &mut plaintext);
    let mut group = criterion.benchmark_group("series_250");
    group.throughput(Throughput::Elements(250));
    group.bench_function("decode", |bencher| {
        bencher.iter(|| decode(black_box(&plaintext)));
    });
    let mut out = Vec::with_capacity(FRAME_MAX);
    group.bench_function("encode", |bencher| {
        bencher.iter(|| encode(black_box(&body), &mut out));
    });
    group.bench_function("build", |bencher| bencher.iter(build));
    group.finish();
}

/// The everyday answer, ACK and FINAL, to the routine uplink.
fn answer(criterion: &mut Criterion) {
    let identity = fixture::identity(0);
    let base = fixture::master().derive_base(fixture::owner(identity), KEY_VERSION);
    let link = LinkKey::new(
        &base,
        fixture::owner(identity),
        AeadMode::CcmStatic,
        KEY_VERSION,
    )
    .expect("mode 1 takes both lengths");
    let flags = AnswerFlags {
        ack: true,
        is_final: true,
        ..AnswerFlags::default()
    };
    let answer = Answer::new(flags, 0, Vec::new()).expect("a valid answer");
    let counter = FrameCounter::new(100_001).expect("in range");
    let ns = Ns::from_parts(1_798_761_720, 1);
    let header = AnswerHeader::sealed(Mode::CcmStatic, counter, ns).expect("mode 1");
    let answered = AnsweredFrame {
        header: &ROUTINE[..HEADER_LEN],
        tag: &ROUTINE[ROUTINE.len() - TAG_LEN..],
    };
    let mut frame = Vec::with_capacity(FRAME_MAX);
    let mut seal = |cipher: &kenshin::crypto::otl::AnswerCipher| {
        frame.clear();
        let header = header.encode();
        frame.extend_from_slice(header.as_slice());
        answer
            .encode(Mode::CcmStatic, &mut Writer::new(&mut frame, FRAME_MAX))
            .expect("room");
        let (head, body) = frame.split_at_mut(header.as_slice().len());
        let tag = cipher.seal(head, answered, body).expect("a frame's length");
        frame.extend_from_slice(tag.as_octets());
        black_box(&frame);
    };
    let mut group = criterion.benchmark_group("answer_seal");
    let kept = link.answer_cipher(NO_NONCES);
    group.bench_function("key kept", |bencher| {
        bencher.iter(|| seal(black_box(&kept)))
    });
    group.bench_function("key derived", |bencher| {
        bencher.iter(|| seal(&black_box(&link).answer_cipher(NO_NONCES)));
    });
    group.finish();
}

/// A stream of routine frames, cut from whole segments and from pieces.
fn framer(criterion: &mut Criterion) {
    let prefix = tcp_prefix(&ROUTINE).expect("a frame's length");
    let stream = [prefix.as_slice(), &ROUTINE].concat().repeat(512);
    let mut group = criterion.benchmark_group("framer");
    group.throughput(Throughput::Bytes(stream.len().try_into().expect("short")));
    for chunk in [16_usize, 130, 1_448, 65_536] {
        group.bench_with_input(
            BenchmarkId::new("chunk", chunk),
            &stream,
            |bencher, stream| {
                bencher.iter(|| {
                    let mut framer = TcpFramer::new();
                    let pieces = stream.chunks(chunk).map(|part| feed(&mut framer, part));
                    assert_eq!(pieces.sum::<usize>(), 512);
                });
            },
        );
    }
    group.finish();
}

/// Feeds a part of a stream and counts the frames that it completes.
fn feed(framer: &mut TcpFramer, part: &[u8]) -> usize {
    let (mut rest, mut frames) = (part, 0);
    while !rest.is_empty() {
        let fed = framer.feed(rest).expect("a valid stream");
        if let Some(TcpPiece::Frame(frame)) = fed.piece {
            black_box(frame);
            frames += 1;
        }
        rest = &rest[fed.taken..];
    }
    frames
}
