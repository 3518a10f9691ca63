//! The rules of a link one by one, on frames made here: what is committed, answered and left alone.

use std::num::NonZeroU32;

use kenshin::crypto::otl::SessionNonces;
use kenshin::session::otl::hand_over::WaitingCommand;
use kenshin::session::otl::link::{Link, LinkState};
use kenshin::session::otl::ns_mark::NsMark;
use kenshin::session::otl::open::{Opened, OpenedUplink, open};
use kenshin::session::otl::records::{Known, RecordIndex, RecordKey};
use kenshin::session::otl::step::{Commit, Step, Surroundings};
use kenshin::wire::otl::answer::{AnswerFlags, AnswerItem, ComeBack, WakeSlot};
use kenshin::wire::otl::header::UplinkHeader;
use kenshin::wire::otl::ident::{FrameCounter, Identity, KeyVersion, Mode, Ns};
use kenshin::wire::otl::meter::Meter;
use kenshin::wire::otl::registry::commands::{CommandKind, Outcome, Precondition};

use super::world::{IDENTITY, START_UTC_S, Server};

/// A store that knows nothing.
struct Empty;

impl RecordIndex for Empty {
    fn compare(&self, _: RecordKey, _: &[u8]) -> Known {
        Known::No
    }
}

/// A store that holds something else under every key.
struct Contradicting;

impl RecordIndex for Contradicting {
    fn compare(&self, _: RecordKey, _: &[u8]) -> Known {
        Known::Other
    }
}

/// A store that cannot be read.
struct Unreadable;

impl RecordIndex for Unreadable {
    fn compare(&self, _: RecordKey, _: &[u8]) -> Known {
        Known::Unknown
    }
}

static MARK: std::sync::LazyLock<NsMark> = std::sync::LazyLock::new(|| {
    NsMark::default()
        .started(START_UTC_S - 60)
        .advanced(START_UTC_S)
});

fn around() -> Surroundings<'static> {
    Surroundings {
        now_utc_s: START_UTC_S,
        waiting: None,
        commands_stopped: false,
        mark: &MARK,
    }
}

/// What a frame is made from.
#[derive(Clone)]
struct Made {
    counter: u32,
    alarm: bool,
    answer: bool,
    slot_version: u8,
    command: Option<(u8, u8)>,
    items: Vec<u8>,
    ticket: bool,
    octets: usize,
}

impl Made {
    fn new(counter: u32) -> Self {
        Self {
            counter,
            alarm: false,
            answer: true,
            slot_version: 0,
            command: None,
            items: vec![],
            ticket: true,
            octets: 128,
        }
    }
}

/// A health record with a sequence.
fn health(sequence: u8) -> Vec<u8> {
    let mut item = vec![0x07, 0, sequence];
    item.extend_from_slice(&[5]);
    item.extend_from_slice(&START_UTC_S.to_be_bytes());
    item.extend_from_slice(&[180, 90, 95, 3, 20, 0x10]);
    item.extend_from_slice(&[0, 0, 0, 1, 0, 0, 1, 0]);
    item[1] = (item.len() - 2) as u8;
    item
}

fn sealed(server: &Server, made: &Made) -> Vec<u8> {
    let header = UplinkHeader::ccm_static(
        made.alarm,
        made.answer,
        KeyVersion::new(1).unwrap(),
        Identity::new(IDENTITY),
        FrameCounter::new(made.counter).unwrap(),
        if made.ticket {
            Ns::from_parts(START_UTC_S - 9, 1)
        } else {
            Ns::ZERO
        },
    )
    .encode();
    let mut plaintext = vec![5];
    plaintext.extend_from_slice(&START_UTC_S.to_be_bytes());
    plaintext.extend_from_slice(&[0, 0, 0, 7, made.slot_version << 4]);
    match made.command {
        None => plaintext.push(0),
        Some((sequence, outcome)) => plaintext.extend_from_slice(&[sequence, outcome]),
    }
    plaintext.extend_from_slice(&made.items);
    plaintext.resize(made.octets - 23 - 8, 0);
    let opening = server
        .keys
        .opening_key(&IDENTITY, Mode::CcmStatic, 1)
        .unwrap();
    let cipher = opening.key.unwrap().uplink_cipher(SessionNonces::default());
    let tag = cipher.seal(header.as_slice(), &mut plaintext).unwrap();
    [header.as_slice(), &plaintext, tag.as_octets()].concat()
}

fn opened(made: &Made) -> OpenedUplink {
    let server = Server::new(Mode::CcmStatic);
    match open(&sealed(&server, made), &server.keys).unwrap() {
        Opened::Uplink(uplink) => *uplink,
        Opened::Resync(_) | Opened::Unreadable(_) => panic!("an uplink"),
    }
}

fn commit(step: Step) -> Commit {
    match step {
        Step::Commit(commit) => *commit,
        other => panic!("a commit, not {other:?}"),
    }
}

fn link() -> Link {
    Link::new(LinkState::default())
}

// spec: GEN-4, ANS-1, ANS-2
#[test]
fn nothing_is_answered_before_the_commit_comes_back_and_nothing_at_all_if_it_failed() {
    let mut link = link();
    let made = Made {
        items: health(1),
        ..Made::new(5)
    };
    let first = commit(link.receive(opened(&made), &Empty, &around()));
    assert_eq!(first.records.len(), 1);
    assert_eq!(
        link.state().window.highest(),
        0,
        "nothing is noted before it is durable"
    );
    link.failed(&first);
    let again = commit(link.receive(opened(&made), &Empty, &around()));
    let plan = link.committed(again).unwrap();
    assert!(plan.flags.ack && plan.flags.is_final);
}

// spec: ANS-7
#[test]
fn a_repeat_while_the_commit_is_under_way_joins_it_and_is_answered_once() {
    let mut link = link();
    let made = Made {
        items: health(1),
        ..Made::new(5)
    };
    let first = commit(link.receive(opened(&made), &Empty, &around()));
    assert!(matches!(
        link.receive(opened(&made), &Empty, &around()),
        Step::Joined
    ));
    assert!(link.committed(first).is_some());
    let step = link.receive(opened(&made), &Empty, &around());
    assert!(matches!(step, Step::Answer(plan) if plan.flags.ack));
}

// spec: ANS-5, ANS-1, REC-31
#[test]
fn frames_that_ask_for_nothing_are_silent_and_the_last_answer_names_them() {
    let mut link = link();
    for counter in 5..8 {
        let items = health(counter as u8);
        let made = Made {
            answer: false,
            items,
            ..Made::new(counter)
        };
        let step = link.receive(opened(&made), &Empty, &around());
        assert_eq!(link.committed(commit(step)), None);
        assert!(matches!(
            link.receive(opened(&made), &Empty, &around()),
            Step::Silent
        ));
    }
    let last = commit(link.receive(opened(&Made::new(8)), &Empty, &around()));
    assert_eq!(link.committed(last).unwrap().map, 0b111);
}

// spec: REC-9, ANS-2, ANS-4
#[test]
fn a_contradiction_quarantines_the_record_and_acknowledges_no_part_of_the_frame() {
    let mut link = link();
    let made = Made {
        items: [health(1), health(2)].concat(),
        ..Made::new(5)
    };
    let first = commit(link.receive(opened(&made), &Contradicting, &around()));
    assert_eq!((first.records.len(), first.conflicts.len()), (0, 2));
    let plan = link.committed(first).unwrap();
    assert!(plan.flags.new_epoch && !plan.flags.ack && !plan.flags.is_final);
    let step = link.receive(opened(&made), &Empty, &around());
    assert!(matches!(step, Step::Answer(plan) if !plan.flags.ack && plan.flags.new_epoch));
    let next = commit(link.receive(opened(&Made::new(6)), &Empty, &around()));
    assert_eq!(link.committed(next).unwrap().map, 0, "nor does a later map");
}

// spec: REC-8, GEN-4
#[test]
fn a_frame_whose_records_cannot_be_judged_leaves_no_trace_and_is_new_again() {
    let mut link = link();
    let made = Made {
        items: health(1),
        ..Made::new(5)
    };
    let step = link.receive(opened(&made), &Unreadable, &around());
    assert!(matches!(step, Step::Unsure));
    assert_eq!(*link.state(), LinkState::default());
    let again = commit(link.receive(opened(&made), &Empty, &around()));
    assert_eq!(again.records.len(), 1);
}

// spec: REC-12, REC-7
#[test]
fn a_record_that_cannot_be_read_is_quarantined_and_its_frame_acknowledged() {
    let mut link = link();
    let mut broken = health(2);
    broken[9] = 101 + 100;
    let unknown = [0x5F, 2, 3, 0xAA];
    let items = [health(1), broken, unknown.to_vec()].concat();
    let first = commit(link.receive(
        opened(&Made {
            items,
            ..Made::new(5)
        }),
        &Empty,
        &around(),
    ));
    assert_eq!((first.records.len(), first.damaged.len()), (2, 1));
    assert_eq!(first.damaged[0].item.sequence, NonZeroU32::new(2));
    assert!(link.committed(first).unwrap().flags.ack);
}

// spec: REP-9, REP-4
#[test]
fn a_frame_that_was_held_back_brings_its_records_and_not_its_report() {
    let mut link = link();
    let late = Made {
        command: None,
        items: health(1),
        ..Made::new(5)
    };
    let on_time = Made {
        command: Some((9, 1)),
        items: health(2),
        ..Made::new(6)
    };
    let newer = commit(link.receive(opened(&on_time), &Empty, &around()));
    assert!(newer.takes_report);
    link.committed(newer);
    let older = commit(link.receive(opened(&late), &Empty, &around()));
    assert!(!older.takes_report);
    assert_eq!(older.records.len(), 1);
    assert_eq!(older.report.unwrap().command, None);
    link.committed(older);
    assert_eq!(link.state().commands.highest, 9);
    assert_eq!(Outcome::DONE.code(), 1);
}

// spec: OVL-1, OVL-3, OVL-4
#[test]
fn a_terminal_is_sent_away_twice_at_most_never_with_an_alarm_and_never_with_an_ack() {
    let mut link = link();
    let time = ComeBack::from_units(100).unwrap();
    let uplink = opened(&Made {
        items: health(1),
        ..Made::new(5)
    });
    for _ in 0..2 {
        let plan = link.come_back(&uplink, time).unwrap();
        assert!(!plan.flags.ack);
        assert_eq!(plan.items, [AnswerItem::ComeBack(time)]);
    }
    assert_eq!(link.come_back(&uplink, time), None);
    let served = commit(link.receive(uplink, &Empty, &around()));
    link.committed(served);
    assert!(
        link.come_back(&opened(&Made::new(6)), time).is_some(),
        "the row has ended"
    );
    let alarm = opened(&Made {
        alarm: true,
        ..Made::new(7)
    });
    assert_eq!(link.come_back(&alarm, time), None);
}

// spec: ANS-18, ANS-20
#[test]
fn a_new_wake_slot_is_given_until_it_is_echoed_or_refused() {
    let slot = WakeSlot::new(3, 40_000).unwrap();
    let state = LinkState {
        slot: Some(slot),
        ..LinkState::default()
    };
    let mut link = Link::new(state);
    let mut items_for = |made: Made| {
        let commit = commit(link.receive(opened(&made), &Empty, &around()));
        link.committed(commit).unwrap().items
    };
    assert_eq!(items_for(Made::new(5)), [AnswerItem::Slot(slot)]);
    assert_eq!(
        items_for(Made {
            slot_version: 3,
            ..Made::new(6)
        }),
        []
    );
    // Session item 0x72, answer refused: number 2, SLOT.
    let refused = Made {
        items: vec![0x72, 1, 2],
        ..Made::new(7)
    };
    assert_eq!(items_for(refused), []);
}

// spec: SES-9
#[test]
fn commits_under_way_are_bounded() {
    let mut link = link();
    let mut shed = 0;
    for counter in 1..40 {
        let step = link.receive(opened(&Made::new(counter)), &Empty, &around());
        shed += usize::from(matches!(step, Step::Shed));
    }
    assert_eq!(shed, 39 - kenshin::session::otl::link::PENDING_MAX);
}

fn close_command(sequence: u32) -> WaitingCommand {
    WaitingCommand {
        key_version: KeyVersion::new(1).unwrap(),
        sequence: NonZeroU32::new(sequence).unwrap(),
        kind: CommandKind::VALVE_CLOSE,
        meter: Meter::from_octet(0),
        precondition: Precondition::NONE,
        not_after_utc_s: START_UTC_S + 3_600,
        parameters: vec![1],
    }
}

// spec: CMD-20, CMD-21
#[test]
fn of_two_uplinks_under_way_at_once_only_one_gets_a_command() {
    let mut link = link();
    let (first, second) = (close_command(1), close_command(2));
    let with = |waiting| Surroundings {
        waiting,
        ..around()
    };
    let one = commit(link.receive(opened(&Made::new(5)), &Empty, &with(Some(&first))));
    let two = commit(link.receive(opened(&Made::new(6)), &Empty, &with(Some(&second))));
    assert!(one.command.is_some());
    assert_eq!(two.command, None);
    link.committed(one);
    link.committed(two);
    assert_eq!(link.state().commands.highest, 1);
}

// spec: ROL-1, ROL-2, FRS-4
#[test]
fn the_very_frame_that_shows_a_rollback_gets_no_dangerous_command() {
    let command = close_command(50);
    let with = Surroundings {
        waiting: Some(&command),
        ..around()
    };
    let named = Made {
        command: Some((9, 1)),
        ..Made::new(5)
    };
    let first = commit(link().receive(opened(&named), &Empty, &with));
    assert!(first.rollback_suspected);
    assert_eq!(first.command, None);
    // The mark of this server ends before the second of the ticket.
    let old = NsMark::default().started(START_UTC_S - 1_000);
    let with = Surroundings { mark: &old, ..with };
    let second = commit(link().receive(opened(&Made::new(5)), &Empty, &with));
    assert!(second.rollback_suspected);
    assert_eq!(second.command, None);
}

// spec: REP-3, ANS-1
#[test]
fn a_clone_that_calls_while_the_first_frame_is_under_way_costs_both_their_ack() {
    let mut link = link();
    let mine = Made {
        items: health(1),
        ..Made::new(5)
    };
    let other = Made {
        items: health(2),
        ..Made::new(5)
    };
    let first = commit(link.receive(opened(&mine), &Empty, &around()));
    assert!(matches!(
        link.receive(opened(&other), &Empty, &around()),
        Step::Clone { .. }
    ));
    let plan = link.committed(first).unwrap();
    assert!(!plan.flags.ack && !plan.flags.new_epoch);
    assert_eq!(link.state().window.map_below(6), 0);
}

// spec: REC-12, ANS-4
#[test]
fn a_verified_frame_that_cannot_be_read_at_all_is_answered_without_ack_and_items() {
    let server = Server::new(Mode::CcmStatic);
    let beyond = Made {
        items: vec![0x01, 0x7F, 1],
        ..Made::new(5)
    };
    let unreadable = open(&sealed(&server, &beyond), &server.keys).unwrap();
    let Opened::Unreadable(uplink) = unreadable else {
        panic!("it cannot be read")
    };
    assert!(uplink.refusal.verified);
    let mut link = link();
    let first = commit(link.receive_unreadable(&uplink, &around()));
    assert!(first.unreadable.is_some());
    let plan = link.committed(first).unwrap();
    assert_eq!(plan.flags, AnswerFlags::default());
    assert_eq!((plan.map, plan.items.len()), (0, 0));
    // Its counter is used up: a repeat hears the same, another frame under it is a clone.
    let again = link.receive_unreadable(&uplink, &around());
    assert!(matches!(again, Step::Answer(plan) if plan.flags == AnswerFlags::default()));
    let other = link.receive(opened(&Made::new(5)), &Empty, &around());
    assert!(matches!(other, Step::Clone { .. }));
}

// spec: REP-8, REP-9
#[test]
fn a_clear_frame_cannot_move_the_command_sequence() {
    let header = UplinkHeader::clear(
        false,
        true,
        Identity::new(IDENTITY),
        FrameCounter::new(5).unwrap(),
    );
    let mut frame = header.encode().as_slice().to_vec();
    frame.push(5);
    frame.extend_from_slice(&START_UTC_S.to_be_bytes());
    frame.extend_from_slice(&[0, 0, 0, 7, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0x0F, 1]);
    let server = Server::new(Mode::Clear);
    let Opened::Uplink(uplink) = open(&frame, &server.keys).unwrap() else {
        panic!("an uplink")
    };
    let mut link = link();
    let step = commit(link.receive(*uplink, &Empty, &around()));
    assert!(!step.rollback_suspected);
    link.committed(step);
    assert_eq!(link.state().commands.highest, 0);
}

// spec: FRM-6, FRM-12, FRS-2
#[test]
fn what_is_odd_about_a_frame_is_kept_and_marked() {
    let server = Server::new(Mode::CcmStatic);
    let frame = sealed(
        &server,
        &Made {
            alarm: true,
            ..Made::new(5)
        },
    );
    let Opened::Uplink(uplink) = open(&frame, &server.keys).unwrap() else {
        panic!("an uplink")
    };
    assert!(uplink.alarm_bit_wrong());
    assert!(!uplink.off_ladder);
    let mut link = link();
    let first = commit(link.receive(*uplink, &Empty, &around()));
    assert!(!first.freshness_unproven);
    let unproven = Made {
        ticket: false,
        octets: 130,
        ..Made::new(6)
    };
    let uplink = opened(&unproven);
    assert!(uplink.off_ladder && !uplink.alarm_bit_wrong());
    let second = commit(link.receive(uplink, &Empty, &around()));
    assert!(second.freshness_unproven);
    assert!(link.committed(second).unwrap().flags.unproven);
}
