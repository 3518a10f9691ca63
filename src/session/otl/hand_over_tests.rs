//! Each rule of the hand-over, one at a time.

use super::*;
use crate::wire::otl::report::{CommandEnd, Slots};
use crate::wire::otl::stamp::Uncertainty;

const NOW: u32 = 1_793_404_800;

fn command(sequence: u32, kind: CommandKind) -> WaitingCommand {
    WaitingCommand {
        key_version: KeyVersion::new(1).unwrap(),
        sequence: NonZeroU32::new(sequence).unwrap(),
        kind,
        meter: Meter::from_octet(0x11),
        precondition: Precondition::NONE,
        not_after_utc_s: NOW + 3_600,
        parameters: vec![1],
    }
}

fn stamp(age_s: u32) -> Stamp {
    let uncertainty = Uncertainty::from_code(5).unwrap();
    Stamp::Set {
        uncertainty,
        utc_s: NOW - age_s,
    }
}

fn fresh() -> UplinkFacts {
    UplinkFacts {
        clear_mode: false,
        has_ticket: true,
        is_highest: true,
        stamp: stamp(2),
    }
}

fn report(command: Option<(u32, Outcome)>) -> Report {
    Report {
        stamp: stamp(0),
        epoch: NonZeroU32::MIN,
        slots: Slots::new(0, 0).unwrap(),
        command: command.map(|(sequence, outcome)| CommandEnd {
            sequence: NonZeroU32::new(sequence).unwrap(),
            outcome,
        }),
    }
}

fn ask(state: &CommandState, kind: CommandKind, facts: &UplinkFacts) -> Result<(), NotNow> {
    state.may_hand_over(&command(7, kind), facts, NOW, false)
}

#[test]
fn a_fresh_uplink_gets_the_waiting_valve_command() {
    let state = CommandState::default();
    assert_eq!(ask(&state, CommandKind::VALVE_CLOSE, &fresh()), Ok(()));
}

// spec: SEC-4
#[test]
fn mode_0_gets_no_command_at_all() {
    let facts = UplinkFacts {
        clear_mode: true,
        ..fresh()
    };
    let state = CommandState::default();
    assert_eq!(
        ask(&state, CommandKind::VALVE_CLOSE, &facts),
        Err(NotNow::ClearMode)
    );
    assert_eq!(
        ask(&state, CommandKind::READ_REGISTER, &facts),
        Err(NotNow::ClearMode)
    );
}

// spec: FRS-3
#[test]
fn no_guarded_command_goes_to_an_uplink_that_may_have_been_held_back() {
    let state = CommandState::default();
    let unset = Stamp::Unset {
        uptime_s: 5,
        boot: 1,
    };
    let unknown = Stamp::Set {
        uncertainty: Uncertainty::UNKNOWN,
        utc_s: NOW,
    };
    for facts in [
        UplinkFacts {
            has_ticket: false,
            ..fresh()
        },
        UplinkFacts {
            is_highest: false,
            ..fresh()
        },
        UplinkFacts {
            stamp: stamp(66),
            ..fresh()
        },
        UplinkFacts {
            stamp: unset,
            ..fresh()
        },
        UplinkFacts {
            stamp: unknown,
            ..fresh()
        },
    ] {
        assert_eq!(
            ask(&state, CommandKind::VALVE_CLOSE, &facts),
            Err(NotNow::Unfresh)
        );
        assert_eq!(
            ask(&state, CommandKind::SET_RESIDUAL_LEVELS, &facts),
            Err(NotNow::Unfresh)
        );
        assert_eq!(ask(&state, CommandKind::READ_REGISTER, &facts), Ok(()));
    }
    let just = UplinkFacts {
        stamp: stamp(65),
        ..fresh()
    };
    assert_eq!(ask(&state, CommandKind::VALVE_CLOSE, &just), Ok(()));
}

// spec: CMD-17, CMD-20, CMD-21
#[test]
fn after_a_hand_over_nothing_dangerous_follows_before_the_terminal_reports() {
    let mut state = CommandState::default();
    state.note(command(7, CommandKind::VALVE_CLOSE).handed_over(), 100);
    let next = command(8, CommandKind::VALVE_PERMIT_REOPEN);
    assert_eq!(
        ask(&state, CommandKind::VALVE_CLOSE, &fresh()),
        Err(NotNow::Spent)
    );
    assert_eq!(
        state.may_hand_over(&next, &fresh(), NOW, false),
        Err(NotNow::InDoubt)
    );
    let harmless = command(8, CommandKind::READ_VALVE_STATE);
    assert_eq!(state.may_hand_over(&harmless, &fresh(), NOW, false), Ok(()));

    assert!(
        !state.take_report(100, true, &report(Some((7, Outcome::DONE)))),
        "not a later frame"
    );
    assert!(matches!(state.last, Some(HandOver::InDoubt { .. })));
    assert!(!state.take_report(101, true, &report(Some((7, Outcome::DONE)))));
    assert_eq!(state.may_hand_over(&next, &fresh(), NOW, false), Ok(()));
}

// spec: CMD-20
#[test]
fn a_report_that_does_not_name_the_command_spends_it() {
    let mut state = CommandState::default();
    state.note(command(7, CommandKind::VALVE_CLOSE).handed_over(), 100);
    state.take_report(101, true, &report(Some((6, Outcome::DONE))));
    let sequence = NonZeroU32::new(7).unwrap();
    assert_eq!(
        state.last,
        Some(HandOver::Reported {
            sequence,
            outcome: None
        })
    );
    assert_eq!(
        ask(&state, CommandKind::VALVE_CLOSE, &fresh()),
        Err(NotNow::Spent)
    );
}

// spec: ROL-1, ROL-2
#[test]
fn a_command_that_this_server_never_gave_is_a_sign_of_rollback_and_lifts_the_sequence() {
    let mut state = CommandState::default();
    assert!(state.take_report(5, true, &report(Some((7, Outcome::DONE)))));
    assert_eq!(state.highest, 7);
    assert_eq!(
        ask(&state, CommandKind::VALVE_CLOSE, &fresh()),
        Err(NotNow::Spent)
    );
    let stopped = state.may_hand_over(&command(8, CommandKind::VALVE_CLOSE), &fresh(), NOW, true);
    assert_eq!(stopped, Err(NotNow::Stopped));
}

#[test]
fn an_expired_command_stays_where_it_is() {
    let mut late = command(7, CommandKind::VALVE_CLOSE);
    late.not_after_utc_s = NOW - 1;
    let state = CommandState::default();
    assert_eq!(
        state.may_hand_over(&late, &fresh(), NOW, false),
        Err(NotNow::Expired)
    );
}

// spec: CMD-20
#[test]
fn a_frame_that_asks_for_nothing_leaves_a_command_in_doubt_unless_it_names_it() {
    let mut state = CommandState::default();
    state.note(command(7, CommandKind::VALVE_CLOSE).handed_over(), 100);
    state.take_report(101, false, &report(None));
    assert!(matches!(state.last, Some(HandOver::InDoubt { .. })));
    state.take_report(102, false, &report(Some((7, Outcome::DONE))));
    assert!(matches!(state.last, Some(HandOver::Reported { .. })));
}

// spec: ROL-2
#[test]
fn one_report_cannot_use_up_the_sequences() {
    let mut state = CommandState::default();
    assert!(state.take_report(5, true, &report(Some((u32::MAX, Outcome::DONE)))));
    assert_eq!(state.highest, 65_536);
}
