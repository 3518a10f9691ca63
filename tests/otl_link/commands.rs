//! Commands: what the holder of the link keys cannot do, and what restarts and restores cannot
//! undo.

use std::sync::atomic::Ordering;

use kenshin::crypto::otl::{AnsweredFrame, SessionNonces};
use kenshin::keyring::{CancelOutcome, SignRefusal};
use kenshin::session::otl::hand_over::HandOver;
use kenshin::wire::otl::answer::{Answer, AnswerFlags, AnswerItem};
use kenshin::wire::otl::command::CommandItem;
use kenshin::wire::otl::header::{AnswerHeader, Direction, Header, Ns, UplinkHeader};
use kenshin::wire::otl::ident::{KeyVersion, Mode};
use kenshin::wire::otl::meter::Meter;
use kenshin::wire::otl::record::Mac;
use kenshin::wire::otl::registry::commands::{CommandKind, Precondition};
use kenshin::wire::writer::Writer;
use simulator::meter::{Meter as _, valve};
use simulator::terminal::Event;

use super::world::{Fate, IDENTITY, World};

const MODES: [Mode; 3] = [Mode::CcmStatic, Mode::CcmSession, Mode::GcmSession];
const DAY_MS: u64 = 86_400_000;

fn valve_of(world: &mut World) -> u8 {
    let now = world.now_ms;
    world.terminal().meters_mut()[0].device.valve(now)
}

fn motions(world: &mut World) -> u32 {
    world.terminal().meters_mut()[0].device.motions()
}

fn settled(mode: Mode) -> World {
    let mut world = World::new(mode);
    world.settle();
    world.day();
    world.set_server_time(world.utc_s());
    world
}

// spec: CMD-1, CMD-4, CMD-13, CMD-14, CMD-15, CMD-17
#[test]
fn a_close_command_goes_with_the_first_answer_and_its_proven_result_comes_back_in_the_session() {
    for mode in MODES {
        let mut world = settled(mode);
        world.server.approve(1, CommandKind::VALVE_CLOSE, &[1]);
        world.day();
        assert_eq!(valve_of(&mut world), valve::CLOSED_BY_CENTRE, "{mode}");
        assert_eq!(world.server.proven, [(1, 1)], "{mode}");
        let longest = world
            .answers
            .iter()
            .map(|(_, answer)| answer.len())
            .max()
            .unwrap();
        assert!(longest <= 72, "{mode}: {longest} octets");
        world.check_all_in();
    }
}

// spec: CMD-19, CMD-20, CMD-21, CMD-7
#[test]
fn a_lost_answer_with_a_command_closes_the_valve_once_and_hands_nothing_over_twice() {
    for mode in MODES {
        let mut world = settled(mode);
        world.server.approve(1, CommandKind::VALVE_CLOSE, &[1]);
        let before = motions(&mut world);
        let answered = world.answers.len();
        LOSE_AT.with(|at| at.set(answered));
        world.down = |i| match i == LOSE_AT.with(std::cell::Cell::get) {
            true => Fate::Lose,
            false => Fate::Twice,
        };
        world.day();
        world.mend_link();
        world.day();
        assert_eq!(motions(&mut world) - before, 1, "{mode}");
        assert_eq!(world.server.proven, [(1, 1)], "{mode}");
    }
}

thread_local! {
    static LOSE_AT: std::cell::Cell<usize> = const { std::cell::Cell::new(usize::MAX) };
}

// spec: CMD-20, CMD-21
#[test]
fn a_command_whose_answers_were_all_lost_stays_in_doubt_and_is_spent_by_the_next_call() {
    let mut world = settled(Mode::CcmStatic);
    world.server.approve(1, CommandKind::VALVE_CLOSE, &[1]);
    world.push_day();
    world.down = |_| Fate::Lose;
    world.run_for(60_000);
    let last = world.server.durable.link.commands.last;
    assert!(last.is_none() || matches!(last, Some(HandOver::InDoubt { .. })));
    world.run_for(DAY_MS);
    world.mend_link();
    world.day();
    world.day();
    assert_eq!(valve_of(&mut world), valve::OPEN, "it never ran");
    assert!(matches!(
        world.server.durable.link.commands.last,
        Some(HandOver::Reported { outcome: None, .. })
    ));
}

// spec: CMD-22, CMD-18
#[test]
fn a_cancelled_command_is_never_handed_over() {
    let mut world = settled(Mode::CcmStatic);
    world.server.approve(1, CommandKind::VALVE_CLOSE, &[1]);
    assert_eq!(
        world.server.signer.cancel(IDENTITY, 1).unwrap(),
        CancelOutcome::NeverSigned
    );
    world.day();
    world.day();
    assert_eq!(valve_of(&mut world), valve::OPEN);
}

// spec: CMD-22, ROL-1, CMD-18
#[test]
fn a_server_restored_to_before_a_cancellation_does_not_run_the_cancelled_command() {
    for mode in MODES {
        let mut world = settled(mode);
        world.server.approve(1, CommandKind::VALVE_CLOSE, &[1]);
        let backup = world.server.backup();
        world.server.signer.cancel(IDENTITY, 1).unwrap();
        world.server.restore(backup);
        assert!(world.server.waiting.is_some(), "the link still offers it");
        world.day();
        world.day();
        assert_eq!(valve_of(&mut world), valve::OPEN, "{mode}");
        world.check_all_in();
    }
}

// spec: ROL-1, ROL-2, CMD-7
#[test]
fn a_server_restored_to_before_a_hand_over_does_not_run_the_command_twice() {
    for mode in MODES {
        let mut world = settled(mode);
        world.server.approve(1, CommandKind::VALVE_CLOSE, &[1]);
        let backup = world.server.backup();
        world.day();
        assert_eq!(motions(&mut world), 1);
        world.set_server_time(world.utc_s());
        world.server.restore(backup);
        world.day();
        world.day();
        assert_eq!(motions(&mut world), 1, "{mode}");
        assert!(world.server.durable.commands_stopped, "{mode}");
        assert!(world.server.durable.link.commands.highest >= 1);
    }
}

/// What the holder of the link keys, and of nothing else, can make: an answer with a command.
struct LinkHolder {
    header: UplinkHeader,
    uplink: Vec<u8>,
}

impl LinkHolder {
    fn hears(uplink: &[u8]) -> Self {
        let Header::Uplink(header) = Header::parse(uplink, Direction::FromTerminal).unwrap() else {
            panic!("an uplink");
        };
        Self {
            header,
            uplink: uplink.to_vec(),
        }
    }

    fn answer(&self, world: &World, ns: Ns, items: Vec<AnswerItem>) -> Vec<u8> {
        let mode = self.header.mode();
        let opening = world.server.keys.opening_key(&IDENTITY, mode, 1).unwrap();
        let nonces = SessionNonces {
            terminal_nonce: self.header.nt().map_or([0; 8], |nt| nt.0),
            ticket: self.header.ticket().unwrap().octets(),
        };
        let cipher = opening.key.unwrap().answer_cipher(nonces);
        let header = AnswerHeader::sealed(mode, self.header.counter(), ns)
            .unwrap()
            .encode();
        let flags = AnswerFlags {
            ack: true,
            ..AnswerFlags::default()
        };
        let mut frame = header.as_slice().to_vec();
        Answer::new(flags, 0, items)
            .unwrap()
            .encode(mode, &mut Writer::new(&mut frame, 1_200))
            .unwrap();
        let head = header.as_slice().len();
        let answered = AnsweredFrame {
            header: &self.uplink[..mode.uplink_header_len()],
            tag: &self.uplink[self.uplink.len() - mode.tag_len()..],
        };
        let tag = cipher
            .seal(header.as_slice(), answered, &mut frame[head..])
            .unwrap();
        frame.extend_from_slice(tag.as_octets());
        frame
    }
}

fn command(world: &World, sequence: u32, mac: [u8; 16]) -> CommandItem {
    CommandItem {
        key_version: KeyVersion::new(1).unwrap(),
        sequence: sequence.try_into().unwrap(),
        kind: CommandKind::VALVE_CLOSE,
        meter: Meter::from_octet(0),
        bound: true,
        precondition: Precondition::NONE,
        not_after_utc_s: world.utc_s() + 86_400,
        parameters: vec![1],
        mac: Mac(mac),
    }
}

fn uplink_of(world: &mut World) -> Vec<u8> {
    world.push_day();
    let now = world.now_ms;
    world.terminal().wake(now);
    world.terminal().run(now).unwrap().0.remove(0)
}

/// The commands that were executed or refused, as opposed to ignored.
fn recorded(world: &mut World) -> Vec<(u32, u8)> {
    let events = world.terminal().take_events();
    let command = |event: &Event| match event {
        Event::Command { sequence, outcome } => Some((*sequence, *outcome)),
        _ => None,
    };
    events.iter().filter_map(command).collect()
}

// spec: CMD-1, KEY-10
#[test]
fn whoever_holds_the_link_keys_cannot_forge_a_command() {
    for mode in MODES {
        let mut world = settled(mode);
        let uplink = uplink_of(&mut world);
        let holder = LinkHolder::hears(&uplink);
        let ns = Ns::from_parts(world.utc_s(), 1);
        for (i, mac) in [[0; 16], [0xFF; 16], [0x5A; 16]].into_iter().enumerate() {
            let item = AnswerItem::Command(command(&world, 10 + i as u32, mac));
            let answer = holder.answer(&world, ns, vec![item]);
            let now = world.now_ms + 500;
            world.terminal().handle(now, &answer).unwrap();
        }
        assert_eq!(valve_of(&mut world), valve::OPEN, "{mode}");
        assert_eq!(recorded(&mut world), [], "{mode}: no sequence was burnt");
        assert_eq!(world.terminal().command_mark(), None);
    }
}

// spec: CMD-1, CMD-4, CMD-18, CMD-19
#[test]
fn a_signed_command_cannot_be_moved_to_another_uplink_nonce_or_meter() {
    for mode in MODES {
        let mut world = settled(mode);
        world.server.approve(1, CommandKind::VALVE_CLOSE, &[1]);
        let first = uplink_of(&mut world);
        world.set_server_time(world.utc_s() + 1);
        let answer = world
            .server
            .receive(&first)
            .expect("an answer with the command");
        let signed = signed_command(&world, &first, &answer);
        // The answer never arrives; the terminal gives up and calls again later.
        world.up = |_| Fate::Lose;
        world.run_for(200_000);
        let second = uplink_of(&mut world);
        assert_ne!(first, second);
        let holder = LinkHolder::hears(&second);
        for (ns, meter) in [
            (signed.0, 0),
            (Ns::from_parts(world.utc_s(), 9), 0),
            (Ns::from_parts(world.utc_s(), 9), 0x01),
        ] {
            let moved = CommandItem {
                meter: Meter::from_octet(meter),
                ..signed.1.clone()
            };
            let answer = holder.answer(&world, ns, vec![AnswerItem::Command(moved)]);
            let at = world.now_ms + 1_000;
            world.terminal().handle(at, &answer).unwrap();
        }
        assert_eq!(valve_of(&mut world), valve::OPEN, "{mode}");
        assert_eq!(recorded(&mut world), [], "{mode}");
    }
}

/// The command in an answer, as who holds the link keys reads it.
fn signed_command(world: &World, uplink: &[u8], answer: &[u8]) -> (Ns, CommandItem) {
    let holder = LinkHolder::hears(uplink);
    let mode = holder.header.mode();
    let Header::Answer(header) = Header::parse(answer, Direction::FromServer).unwrap() else {
        panic!("an answer");
    };
    let opening = world.server.keys.opening_key(&IDENTITY, mode, 1).unwrap();
    let nonces = SessionNonces {
        terminal_nonce: holder.header.nt().map_or([0; 8], |nt| nt.0),
        ticket: holder.header.ticket().unwrap().octets(),
    };
    let cipher = opening.key.unwrap().answer_cipher(nonces);
    let (head, rest) = answer.split_at(14);
    let (ciphertext, tag) = rest.split_at(rest.len() - mode.tag_len());
    let mut plaintext = ciphertext.to_vec();
    let answered = AnsweredFrame {
        header: &uplink[..mode.uplink_header_len()],
        tag: &uplink[uplink.len() - mode.tag_len()..],
    };
    cipher.open(head, answered, &mut plaintext, tag).unwrap();
    let decoded = Answer::decode(&plaintext, 14, mode).unwrap();
    let command = decoded.items().iter().find_map(|item| match item {
        AnswerItem::Command(command) => Some(command.clone()),
        _ => None,
    });
    (header.ns().unwrap(), command.expect("a command"))
}

// spec: CMD-5, CMD-18
#[test]
fn setting_the_clock_back_makes_the_signer_refuse_and_so_no_expired_command_runs() {
    for mode in MODES {
        let mut world = settled(mode);
        world.server.approve(1, CommandKind::VALVE_CLOSE, &[1]);
        // Three days without a network later it is past its not_after by the signer's clock.
        world.up = |_| Fate::Lose;
        world.run_for(3 * DAY_MS);
        world.mend_link();
        let uplink = uplink_of(&mut world);
        let opened = LinkHolder::hears(&uplink);
        let command = world.server.waiting.clone().unwrap();
        let true_now = world.utc_s();
        for claimed in [command.not_after_utc_s - 10, true_now] {
            let request = kenshin::keyring::SignRequest {
                identity: IDENTITY,
                key_version: 1,
                sequence: 1,
                kind: command.kind.code(),
                meter: 0,
                precondition: 0,
                not_after_utc_s: command.not_after_utc_s,
                parameters: &command.parameters,
                bound_to: Some(kenshin::crypto::otl::AnsweredUplink {
                    server_nonce: Ns::from_parts(claimed, 3).octets(),
                    header: &uplink[..opened.header.mode().uplink_header_len()],
                    tag: &uplink[uplink.len() - opened.header.mode().tag_len()..],
                }),
            };
            let signer: &dyn kenshin::keyring::CommandSigner = &world.server.signer;
            world.server.signer_clock.store(true_now, Ordering::Relaxed);
            let refused = signer.sign(&request).unwrap_err();
            assert_eq!(refused, SignRefusal::Expired, "{mode}");
        }
        world.run_for(DAY_MS);
        assert_eq!(valve_of(&mut world), valve::OPEN, "{mode}");
    }
}

// spec: CMD-18
#[test]
fn a_server_whose_clock_is_set_back_gets_no_signature_for_an_expired_or_a_present_command() {
    for mode in MODES {
        for back_s in [31, 3_600, 4 * 86_400] {
            let mut world = settled(mode);
            world.server.approve(1, CommandKind::VALVE_CLOSE, &[1]);
            world.up = |_| Fate::Lose;
            if back_s > 86_400 {
                // By the true time the command has expired.
                world.run_for(3 * DAY_MS);
            }
            let uplink = uplink_of(&mut world);
            let true_now = world.utc_s() + 1;
            world.set_server_time(true_now);
            world.server.now_utc_s = true_now - back_s;
            world.server.durable.mark = Default::default();
            world.server.durable.mark = world.server.durable.mark.clone().started(true_now);
            if let Some(answer) = world.server.receive(&uplink) {
                let now = world.now_ms + 2_000;
                world.terminal().handle(now, &answer).unwrap();
            }
            assert_eq!(valve_of(&mut world), valve::OPEN, "{mode}, {back_s} s back");
            assert_eq!(recorded(&mut world), [], "{mode}, {back_s} s back");
        }
    }
}

// spec: CMD-5
#[test]
fn a_terminal_judges_not_after_by_the_nonce_under_the_mac_and_not_by_its_own_clock() {
    let mut world = settled(Mode::CcmStatic);
    // Its own clock is set back by a week: by that, nothing has expired.
    let now = world.now_ms;
    let past = world.utc_s() - 7 * 86_400;
    world.terminal().set_clock(now, past).unwrap();
    let uplink = uplink_of(&mut world);
    let header = LinkHolder::hears(&uplink);
    let ns = Ns::from_parts(world.utc_s(), 5);
    let mut expired = command(&world, 1, [0; 16]);
    expired.not_after_utc_s = world.utc_s() - 60;
    // The signer's own key makes the MAC, so that only not_after speaks against it.
    let key = super::world::command_keys()
        .command_key(&IDENTITY, 1)
        .unwrap();
    expired.mac = Mac(super::world::mac_of(
        &key,
        &expired,
        ns,
        &uplink,
        &header.header,
    ));
    let answer = header.answer(&world, ns, vec![AnswerItem::Command(expired)]);
    let at = world.now_ms + 500;
    world.terminal().handle(at, &answer).unwrap();
    assert_eq!(recorded(&mut world), [(1, 3)]);
    assert_eq!(valve_of(&mut world), valve::OPEN);
}

// spec: CMD-14, CMD-15
#[test]
fn whoever_holds_the_link_keys_cannot_forge_a_result() {
    let mut world = settled(Mode::CcmStatic);
    world.server.approve(1, CommandKind::VALVE_CLOSE, &[1]);
    world.day();
    let key = (world.terminal().store().epoch(), 0);
    let result = world
        .server
        .durable
        .records
        .iter()
        .find(|((epoch, _), octets)| *epoch == key.0 && octets[0] == 0x0B)
        .map(|(key, octets)| (*key, octets.clone()))
        .expect("the result is kept");
    let ((epoch, sequence), octets) = result;
    let check = |body: &[u8], epoch: u32, sequence: u32, mac: [u8; 16]| {
        let check = kenshin::keyring::ResultCheck {
            key_version: 1,
            input: kenshin::crypto::otl::ResultInput {
                identity: IDENTITY,
                store_epoch: epoch,
                record_sequence: sequence,
                record_type: 0x0B,
                body,
            },
            mac,
        };
        let signer: &dyn kenshin::keyring::CommandSigner = &world.server.signer;
        signer.verify_result(&check)
    };
    let keys = super::world::command_keys();
    let true_mac = keys
        .result_key(&IDENTITY, 1)
        .unwrap()
        .mac(&kenshin::crypto::otl::ResultInput {
            identity: IDENTITY,
            store_epoch: epoch,
            record_sequence: sequence,
            record_type: 0x0B,
            body: &octets[1..],
        });
    assert!(check(&octets[1..], epoch, sequence, true_mac).is_ok());
    for mac in [[0; 16], [0xFF; 16]] {
        assert!(check(&octets[1..], epoch, sequence, mac).is_err());
    }
    // Nor can a true one be turned into another, or moved to another place.
    for i in 1..octets.len() {
        let mut other = octets.clone();
        other[i] ^= 1;
        assert!(check(&other[1..], epoch, sequence, true_mac).is_err());
    }
    assert!(check(&octets[1..], epoch ^ 1, sequence, true_mac).is_err());
    assert!(check(&octets[1..], epoch, sequence + 1, true_mac).is_err());
}
