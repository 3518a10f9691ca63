use super::*;
use crate::crypto::MacMismatch;
use crate::crypto::otl::{AnsweredUplink, CommandHead, CommandInput, KeyOwner, ResultInput};

const NOW: u32 = 1_798_761_720;
const NOT_AFTER: u32 = NOW + 300;

/// The header of a mode 1 uplink of the terminal, with a ticket.
fn header(counter: u32) -> Vec<u8> {
    let head = [0x11, 0x28, 2];
    [&head[..], &IDENTITY, &counter.to_be_bytes(), &[9; 8]].concat()
}

fn server_nonce(seconds: u32) -> [u8; 8] {
    let mut nonce = [0x5E; 8];
    nonce[..4].copy_from_slice(&seconds.to_be_bytes());
    nonce
}

fn uplink(header: &[u8]) -> AnsweredUplink<'_> {
    AnsweredUplink {
        server_nonce: server_nonce(NOW),
        header,
        tag: &[7; 8],
    }
}

fn close_valve() -> Approval {
    Approval {
        kind: 0x01,
        meter: 0x10,
        precondition: 1,
        not_after_utc_s: NOT_AFTER,
        parameters: vec![1],
    }
}

fn config() -> Approval {
    Approval {
        kind: 0x30,
        precondition: 0,
        parameters: vec![0; 9],
        ..close_valve()
    }
}

fn read_register() -> Approval {
    Approval {
        kind: 0x20,
        precondition: 0,
        parameters: vec![],
        not_after_utc_s: u32::MAX,
        ..close_valve()
    }
}

fn request<'a>(
    sequence: u32,
    approval: &'a Approval,
    bound_to: Option<AnsweredUplink<'a>>,
) -> SignRequest<'a> {
    SignRequest {
        identity: IDENTITY,
        key_version: 1,
        sequence,
        kind: approval.kind,
        meter: approval.meter,
        precondition: approval.precondition,
        not_after_utc_s: approval.not_after_utc_s,
        parameters: &approval.parameters,
        bound_to,
    }
}

/// A journal that shows what went in, and can be made to fail.
#[derive(Clone, Debug, Default)]
struct TestJournal(std::sync::Arc<std::sync::Mutex<(Vec<Transition>, bool)>>);

impl Journal for TestJournal {
    fn record(&mut self, transition: &Transition) -> Result<(), JournalFailed> {
        let mut inner = self.0.lock().unwrap();
        if inner.1 {
            return Err(JournalFailed);
        }
        inner.0.push(transition.clone());
        Ok(())
    }
}

fn signer() -> (LocalSigner<TestJournal>, TestJournal) {
    let journal = TestJournal::default();
    (
        LocalSigner::new(
            command_ring(),
            Ledger::new(),
            journal.clone(),
            SignerClock::new(|| NOW),
        ),
        journal,
    )
}

fn approved(approvals: &[(u32, Approval)]) -> LocalSigner<TestJournal> {
    let (signer, _) = signer();
    for (sequence, approval) in approvals {
        signer
            .approve(IDENTITY, *sequence, approval.clone())
            .unwrap();
    }
    signer
}

/// CMD-1, CMD-18: what is signed is the command as approved, bound to the uplink.
// spec: CMD-1, CMD-18
#[test]
fn an_approved_command_is_signed_under_the_terminals_command_key() {
    let (approval, header) = (close_valve(), header(5));
    let signer = approved(&[(78, approval.clone())]);
    let bound_to = Some(uplink(&header));
    let mac = signer
        .sign_at(&request(78, &approval, bound_to), NOW)
        .unwrap();
    let owner = KeyOwner {
        utility: UTILITY.octets(),
        identity: IDENTITY,
    };
    let key = master::<Command>(0x41, 16)
        .derive_base(owner, 1)
        .command_key(owner, 1);
    let input = CommandInput {
        identity: IDENTITY,
        head: CommandHead {
            key_version: 1,
            sequence: 78,
            kind: 0x01,
            meter: 0x10,
            precondition: 1,
            not_after_utc_s: NOT_AFTER,
        },
        parameters: &[1],
        bound_to,
    };
    assert_eq!(key.verify(&input, &mac), Ok(()));
}

/// CMD-18: no approval, no MAC.
// spec: CMD-18
#[test]
fn an_unknown_approval_is_refused() {
    let (approval, header) = (close_valve(), header(5));
    let signer = approved(&[(78, approval.clone())]);
    let sign = |request: &SignRequest<'_>| signer.sign_at(request, NOW).unwrap_err();
    assert_eq!(
        sign(&request(79, &approval, Some(uplink(&header)))),
        SignRefusal::UnknownApproval
    );
    let other = SignRequest {
        identity: [1; 8],
        ..request(78, &approval, None)
    };
    assert_eq!(sign(&other), SignRefusal::UnknownApproval);
}

/// CMD-17: signed is what was approved, in every field.
// spec: CMD-17
#[test]
fn a_request_that_differs_from_its_approval_is_refused() {
    let (approval, header) = (close_valve(), header(5));
    let signer = approved(&[(78, approval.clone())]);
    let good = request(78, &approval, Some(uplink(&header)));
    for wrong in [
        SignRequest { kind: 0x02, ..good },
        SignRequest {
            meter: 0x20,
            ..good
        },
        SignRequest {
            precondition: 0,
            ..good
        },
        SignRequest {
            not_after_utc_s: NOT_AFTER + 1,
            ..good
        },
        SignRequest {
            parameters: &[2],
            ..good
        },
        SignRequest {
            parameters: &[],
            ..good
        },
    ] {
        assert_eq!(signer.sign_at(&wrong, NOW), Err(SignRefusal::NotAsApproved));
    }
    assert!(signer.sign_at(&good, NOW).is_ok());
}

/// CMD-18: the signer's own clock decides on not_after, and on the seconds of Ns within 30 s.
// spec: CMD-18
#[test]
fn the_signers_clock_decides_on_expiry_and_on_the_server_nonce() {
    let (approval, header) = (close_valve(), header(5));
    let signer = approved(&[(78, approval.clone())]);
    let at = |now, ns| {
        let bound_to = AnsweredUplink {
            server_nonce: server_nonce(ns),
            ..uplink(&header)
        };
        signer
            .sign_at(&request(78, &approval, Some(bound_to)), now)
            .map(|_| ())
    };
    assert_eq!(at(NOT_AFTER + 1, NOT_AFTER + 1), Err(SignRefusal::Expired));
    assert_eq!(at(NOW, NOW + 31), Err(SignRefusal::ClockDifference));
    assert_eq!(at(NOW, NOW - 31), Err(SignRefusal::ClockDifference));
    assert_eq!(at(NOW, NOW + 30), Ok(()));
    assert_eq!(at(NOW, NOW - 30), Ok(()));
    assert_eq!(at(NOT_AFTER, NOT_AFTER), Ok(()));
}

/// CMD-2, CMD-3.
// spec: CMD-2, CMD-3
#[test]
fn only_harmless_commands_are_signed_unbound() {
    let signer = approved(&[(1, read_register()), (2, config()), (3, close_valve())]);
    assert!(
        signer
            .sign_at(&request(1, &read_register(), None), NOW)
            .is_ok()
    );
    for (sequence, approval) in [(2, config()), (3, close_valve())] {
        let unbound = signer.sign_at(&request(sequence, &approval, None), NOW);
        assert_eq!(unbound, Err(SignRefusal::Unbound));
    }
}

/// SEC-4, FRS-3: a binding has to be an uplink of this terminal, in a mode with keys, with a
/// ticket.
// spec: SEC-4, FRS-3
#[test]
fn a_binding_that_is_no_ticketed_uplink_of_the_terminal_is_refused() {
    let (approval, header) = (close_valve(), header(5));
    let signer = approved(&[(78, approval.clone())]);
    let sign = |header: &[u8], tag: &[u8]| {
        let bound_to = Some(AnsweredUplink {
            header,
            tag,
            ..uplink(header)
        });
        signer
            .sign_at(&request(78, &approval, bound_to), NOW)
            .unwrap_err()
    };
    let changed = |at: usize, octet: u8| {
        let mut changed = header.clone();
        changed[at] = octet;
        changed
    };
    assert_eq!(sign(&changed(0, 0x12), &[7; 8]), SignRefusal::BadBinding);
    assert_eq!(sign(&changed(4, 1), &[7; 8]), SignRefusal::BadBinding);
    assert_eq!(sign(&changed(1, 0x48), &[7; 8]), SignRefusal::BadBinding);
    assert_eq!(sign(&changed(1, 0x08), &[7; 8]), SignRefusal::BadBinding);
    assert_eq!(sign(&header[..15], &[]), SignRefusal::BadBinding);
    assert_eq!(sign(&[], &[]), SignRefusal::BadBinding);
    assert_eq!(sign(&header, &[7; 16]), SignRefusal::BadBinding);
    let mut no_ticket = header.clone();
    no_ticket[15..].fill(0);
    assert_eq!(sign(&no_ticket, &[7; 8]), SignRefusal::NoTicket);
}

/// CMD-19: one uplink only; the same uplink again, under another Ns too.
// spec: CMD-19
#[test]
fn a_dangerous_command_is_signed_for_one_uplink_only() {
    let (approval, first, second) = (close_valve(), header(5), header(6));
    let signer = approved(&[(78, approval.clone())]);
    let one = signer
        .sign_at(&request(78, &approval, Some(uplink(&first))), NOW)
        .unwrap();
    let again = signer
        .sign_at(&request(78, &approval, Some(uplink(&first))), NOW)
        .unwrap();
    assert_eq!(one, again);
    let other_nonce = AnsweredUplink {
        server_nonce: server_nonce(NOW + 4),
        ..uplink(&first)
    };
    let another = signer
        .sign_at(&request(78, &approval, Some(other_nonce)), NOW + 4)
        .unwrap();
    assert_ne!(one, another);
    let other_uplink = signer.sign_at(&request(78, &approval, Some(uplink(&second))), NOW);
    assert_eq!(other_uplink, Err(SignRefusal::OtherUplink));
    let other_tag = AnsweredUplink {
        tag: &[8; 8],
        ..uplink(&first)
    };
    let other_tag = signer.sign_at(&request(78, &approval, Some(other_tag)), NOW);
    assert_eq!(other_tag, Err(SignRefusal::OtherUplink));
}

/// CMD-19 names dangerous commands: a setting may be given again to a later uplink.
// spec: CMD-19
#[test]
fn a_config_command_may_be_signed_for_a_later_uplink() {
    let (first, second) = (header(5), header(6));
    let signer = approved(&[(78, config())]);
    for header in [&first, &second] {
        assert!(
            signer
                .sign_at(&request(78, &config(), Some(uplink(header))), NOW)
                .is_ok()
        );
    }
}

/// CMD-20, CMD-24: no second dangerous command before a later uplink has reported on the first.
// spec: CMD-20, CMD-24
#[test]
fn a_newer_dangerous_command_waits_for_a_later_uplink() {
    let (approval, earlier, first, second) = (close_valve(), header(4), header(5), header(6));
    let signer = approved(&[(78, approval.clone()), (79, approval.clone())]);
    let sign = |sequence, header: &[u8]| {
        signer
            .sign_at(&request(sequence, &approval, Some(uplink(header))), NOW)
            .map(|_| ())
    };
    assert_eq!(sign(78, &first), Ok(()));
    assert_eq!(sign(79, &first), Err(SignRefusal::EarlierNotReported));
    assert_eq!(sign(79, &earlier), Err(SignRefusal::EarlierNotReported));
    assert_eq!(sign(79, &second), Ok(()));
    // The older one is handed over already: its uplink may be answered again.
    assert_eq!(sign(78, &first), Ok(()));
    assert_eq!(sign(78, &second), Err(SignRefusal::OtherUplink));
}

/// CMD-17: in ascending order.
// spec: CMD-17
#[test]
fn a_lower_sequence_is_not_signed_after_a_higher_one() {
    let (approval, first, second) = (close_valve(), header(5), header(6));
    let signer = approved(&[(78, approval.clone()), (79, approval.clone())]);
    assert!(
        signer
            .sign_at(&request(79, &approval, Some(uplink(&first))), NOW)
            .is_ok()
    );
    let lower = signer.sign_at(&request(78, &approval, Some(uplink(&second))), NOW);
    assert_eq!(lower, Err(SignRefusal::Superseded));
}

/// CMD-17: one approval is one sequence, and sequences go up.
// spec: CMD-17
#[test]
fn a_sequence_is_approved_once_and_in_ascending_order() {
    let signer = approved(&[(78, close_valve())]);
    for sequence in [0, 1, 77, 78] {
        let used = signer.approve(IDENTITY, sequence, close_valve());
        assert_eq!(used, Err(ApproveRefusal::SequenceUsed));
    }
    assert_eq!(signer.approve(IDENTITY, 79, close_valve()), Ok(()));
    assert_eq!(signer.approve([1; 8], 1, close_valve()), Ok(()));
    assert_eq!(
        signer.approve([2; 8], 0, close_valve()),
        Err(ApproveRefusal::SequenceUsed)
    );
}

/// ROL-2.
// spec: ROL-2
#[test]
fn a_reported_sequence_raises_the_floor() {
    let signer = approved(&[]);
    signer.raise_floor(IDENTITY, 500).unwrap();
    signer.raise_floor(IDENTITY, 400).unwrap();
    let used = signer.approve(IDENTITY, 500, close_valve());
    assert_eq!(used, Err(ApproveRefusal::SequenceUsed));
    assert_eq!(signer.approve(IDENTITY, 501, close_valve()), Ok(()));
}

#[test]
fn commands_that_no_terminal_would_run_are_not_approved() {
    let signer = approved(&[]);
    let refusal = |approval| signer.approve(IDENTITY, 1, approval).unwrap_err();
    let with = |kind, parameters: &[u8], precondition| Approval {
        kind,
        precondition,
        parameters: parameters.to_vec(),
        ..close_valve()
    };
    for kind in [0x00, 0x40, 0x41, 0xBF, 0xFF] {
        assert_eq!(refusal(with(kind, &[], 0)), ApproveRefusal::UnknownKind);
    }
    for (kind, parameters) in [
        (0x01, &[][..]),
        (0x01, &[0]),
        (0x01, &[6]),
        (0x02, &[0, 0]),
        (0x02, &[0x05, 0xA1]),
        (0x11, &[0]),
        (0x11, &[4]),
        (0x20, &[0]),
        (0xC0, &[0; 201]),
    ] {
        assert_eq!(
            refusal(with(kind, parameters, 2)),
            ApproveRefusal::BadParameters
        );
    }
    // CMD-26.
    for (kind, parameters) in [(0x02, &[5, 0xA0][..]), (0x03, &[])] {
        for precondition in [0, 1, 4, 127] {
            let refused = refusal(with(kind, parameters, precondition));
            assert_eq!(refused, ApproveRefusal::BadPrecondition);
        }
    }
    assert_eq!(
        refusal(with(0x01, &[1], 128)),
        ApproveRefusal::BadPrecondition
    );
    let unlimited = Approval {
        not_after_utc_s: u32::MAX,
        ..close_valve()
    };
    assert_eq!(refusal(unlimited), ApproveRefusal::NoTimeLimit);
    assert_eq!(signer.approve(IDENTITY, 1, with(0xC0, &[0; 40], 5)), Ok(()));
}

/// CMD-22: durable before confirmed, and nothing is signed after.
// spec: CMD-22
#[test]
fn nothing_is_signed_after_a_confirmed_cancellation() {
    let (signer, journal) = signer();
    let header = header(5);
    // What is harmless is signed without a trace, so that nobody knows whether it was.
    let (never, maybe) = (CancelOutcome::NeverSigned, CancelOutcome::MayHaveBeenSigned);
    for (sequence, approval, outcome) in [
        (1, read_register(), maybe),
        (2, config(), never),
        (3, close_valve(), never),
    ] {
        signer
            .approve(IDENTITY, sequence, approval.clone())
            .unwrap();
        assert_eq!(signer.cancel(IDENTITY, sequence), Ok(outcome));
        let last = journal.0.lock().unwrap().0.last().cloned();
        assert_eq!(
            last,
            Some(Transition::Cancelled {
                identity: IDENTITY,
                sequence
            })
        );
        for bound_to in [None, Some(uplink(&header))] {
            let sign = signer.sign_at(&request(sequence, &approval, bound_to), NOW);
            assert_eq!(sign, Err(SignRefusal::Cancelled));
        }
        // Asked again the answer is the same.
        assert_eq!(signer.cancel(IDENTITY, sequence), Ok(outcome));
    }
    assert_eq!(
        signer.cancel(IDENTITY, 9),
        Err(CancelRefusal::UnknownApproval)
    );
}

/// CMD-21, CMD-22: a cancellation after the signature stops repeats, and says that it may have come
/// too late.
// spec: CMD-21, CMD-22
#[test]
fn a_late_cancellation_says_that_the_command_may_have_been_handed_over() {
    let (approval, header) = (close_valve(), header(5));
    let signer = approved(&[(78, approval.clone())]);
    let bound = request(78, &approval, Some(uplink(&header)));
    signer.sign_at(&bound, NOW).unwrap();
    assert_eq!(
        signer.cancel(IDENTITY, 78),
        Ok(CancelOutcome::MayHaveBeenSigned)
    );
    assert_eq!(signer.sign_at(&bound, NOW), Err(SignRefusal::Cancelled));
    assert_eq!(
        signer.cancel(IDENTITY, 78),
        Ok(CancelOutcome::MayHaveBeenSigned)
    );
}

#[test]
fn an_ended_command_is_neither_signed_nor_cancelled() {
    let (approval, header) = (close_valve(), header(5));
    let signer = approved(&[(78, approval.clone())]);
    signer.end(IDENTITY, 78).unwrap();
    let sign = signer.sign_at(&request(78, &approval, Some(uplink(&header))), NOW);
    assert_eq!(sign, Err(SignRefusal::Ended));
    assert_eq!(signer.cancel(IDENTITY, 78), Err(CancelRefusal::Ended));
}

/// CMD-19, CMD-22: without durability there is no MAC, no confirmation, and no second try.
// spec: CMD-19, CMD-22
#[test]
fn after_a_failed_journal_nothing_is_signed_approved_or_cancelled() {
    let (signer, journal) = signer();
    let (approval, header) = (close_valve(), header(5));
    signer.approve(IDENTITY, 78, approval.clone()).unwrap();
    journal.0.lock().unwrap().1 = true;
    let bound = request(78, &approval, Some(uplink(&header)));
    assert_eq!(signer.sign_at(&bound, NOW), Err(SignRefusal::JournalFailed));
    journal.0.lock().unwrap().1 = false;
    assert_eq!(signer.sign_at(&bound, NOW), Err(SignRefusal::JournalFailed));
    assert_eq!(
        signer.cancel(IDENTITY, 78),
        Err(CancelRefusal::JournalFailed)
    );
    let approve = signer.approve(IDENTITY, 79, approval.clone());
    assert_eq!(approve, Err(ApproveRefusal::JournalFailed));
    assert_eq!(journal.0.lock().unwrap().0.len(), 1);
}

/// A signer that starts again on its own journal knows what it signed: CMD-19.
// spec: CMD-19
#[test]
fn a_ledger_is_the_fold_of_its_journal() {
    let (signer, journal) = signer();
    let (approval, first, second) = (close_valve(), header(5), header(6));
    signer.approve(IDENTITY, 78, approval.clone()).unwrap();
    signer
        .sign_at(&request(78, &approval, Some(uplink(&first))), NOW)
        .unwrap();
    signer.approve(IDENTITY, 79, config()).unwrap();
    signer.cancel(IDENTITY, 79).unwrap();

    let mut folded = Ledger::new();
    for transition in &journal.0.lock().unwrap().0 {
        let text = serde_json::to_string(transition).unwrap();
        folded.apply(&serde_json::from_str(&text).unwrap());
    }
    assert_eq!(folded.snapshot(), signer.snapshot().unwrap());
    let reopened = Ledger::reopen(folded.snapshot());
    let sign = |header: &[u8]| {
        reopened
            .plan_sign(&request(78, &approval, Some(uplink(header))), NOW)
            .map(|_| ())
    };
    assert_eq!(sign(&first), Ok(()));
    assert_eq!(sign(&second), Err(SignRefusal::OtherUplink));
}

/// ROL-1, CMD-22: a restored copy runs nothing twice, and nothing that was cancelled since.
// spec: ROL-1, CMD-22
#[test]
fn a_restored_ledger_signs_nothing_until_a_person_releases_it() {
    let (approval, header) = (close_valve(), header(5));
    let old = approved(&[(1, read_register()), (2, config()), (3, approval.clone())]);
    let copy = old.snapshot().unwrap();
    let text = serde_json::to_string(&copy).unwrap();
    old.cancel(IDENTITY, 2).unwrap();
    old.sign_at(&request(3, &approval, Some(uplink(&header))), NOW)
        .unwrap();

    let restored = Ledger::restore(serde_json::from_str(&text).unwrap());
    assert_eq!(restored.held(&IDENTITY).collect::<Vec<_>>(), [1, 2, 3]);
    let signer = LocalSigner::new(
        command_ring(),
        restored,
        VolatileJournal,
        SignerClock::new(|| NOW),
    );
    for (sequence, approval) in [(1, read_register()), (2, config()), (3, approval.clone())] {
        let sign = signer.sign_at(&request(sequence, &approval, Some(uplink(&header))), NOW);
        assert_eq!(sign, Err(SignRefusal::Held));
    }
    assert_eq!(
        signer.cancel(IDENTITY, 2),
        Ok(CancelOutcome::MayHaveBeenSigned)
    );
    assert_eq!(
        signer.cancel(IDENTITY, 2),
        Ok(CancelOutcome::MayHaveBeenSigned)
    );
    signer.release(IDENTITY, 3).unwrap();
    assert!(
        signer
            .sign_at(&request(3, &approval, Some(uplink(&header))), NOW)
            .is_ok()
    );
}

/// P5 and CMD-17: old entries go, their sequences stay used.
// spec: CMD-17
#[test]
fn forgotten_entries_leave_their_sequence_used() {
    let (approval, header) = (close_valve(), header(5));
    let signer = approved(&[
        (78, approval.clone()),
        (79, approval.clone()),
        (80, config()),
    ]);
    signer
        .sign_at(&request(78, &approval, Some(uplink(&header))), NOW)
        .unwrap();
    signer.cancel(IDENTITY, 80).unwrap();
    signer.forget(NOT_AFTER).unwrap();
    assert!(
        signer
            .sign_at(&request(78, &approval, Some(uplink(&header))), NOW)
            .is_ok()
    );
    signer.forget(NOT_AFTER + 1).unwrap();
    // What is in doubt stays.
    assert!(
        signer
            .sign_at(&request(78, &approval, Some(uplink(&header))), NOW)
            .is_ok()
    );
    let forgotten = signer.sign_at(&request(79, &approval, Some(uplink(&header))), NOW);
    assert_eq!(forgotten, Err(SignRefusal::UnknownApproval));
    let used = signer.approve(IDENTITY, 80, approval);
    assert_eq!(used, Err(ApproveRefusal::SequenceUsed));
}

/// CMD-14, CMD-15: results count only with a MAC under the command key that they name.
// spec: CMD-14, CMD-15
#[test]
fn results_are_verified_under_the_version_that_they_name() {
    let owner = KeyOwner {
        utility: UTILITY.octets(),
        identity: IDENTITY,
    };
    let input = ResultInput {
        identity: IDENTITY,
        store_epoch: 1,
        record_sequence: 2,
        record_type: 6,
        body: b"body",
    };
    let mac = master::<Command>(0x42, 16)
        .derive_base(owner, 2)
        .result_key(owner, 2)
        .mac(&input);
    let signer = approved(&[]);
    let check = ResultCheck {
        key_version: 2,
        input,
        mac,
    };
    assert_eq!(signer.verify_result(&check), Ok(()));
    let other_version = ResultCheck {
        key_version: 1,
        ..check
    };
    assert_eq!(
        signer.verify_result(&other_version),
        Err(ResultRefusal::Mac(MacMismatch))
    );
    let withdrawn = ResultCheck {
        key_version: 3,
        ..check
    };
    assert_eq!(
        signer.verify_result(&withdrawn),
        Err(ResultRefusal::Key(KeyError::KeyWithdrawn))
    );
    let changed = ResultCheck {
        input: ResultInput {
            body: b"bodz",
            ..input
        },
        ..check
    };
    assert_eq!(
        signer.verify_result(&changed),
        Err(ResultRefusal::Mac(MacMismatch))
    );
}

/// CMD-18: a key that is not at hand leaves the ledger as it was.
// spec: CMD-18
#[test]
fn a_missing_command_key_is_told_and_signs_nothing() {
    let (approval, header) = (close_valve(), header(5));
    let signer = approved(&[(78, approval.clone())]);
    let before = signer.snapshot().unwrap();
    for (key_version, error) in [
        (3, KeyError::KeyWithdrawn),
        (9, KeyError::UnknownKeyVersion),
    ] {
        let wrong = SignRequest {
            key_version,
            ..request(78, &approval, Some(uplink(&header)))
        };
        assert_eq!(signer.sign_at(&wrong, NOW), Err(SignRefusal::Key(error)));
    }
    assert_eq!(signer.snapshot().unwrap(), before);
}
