use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

const LIMITS: AdmissionLimits = AdmissionLimits {
    failure_burst: 10,
    failures_per_s: 5,
    trials_per_s: 640,
    failures_per_s_total: 1_000_000,
    failures_per_s_port: 1_000_000,
    addresses_max: 64,
};

fn v4(last: u8, port: u16) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, last), port).into()
}

fn fail(admission: &Admission, peer: SocketAddr, times: usize, now_ms: u64) {
    for _ in 0..times {
        admission.settle(peer, Pass::Open, Verdict::FailedAuthentication, now_ms);
    }
}

#[test]
fn verified_frames_are_never_limited() {
    let admission = Admission::new(LIMITS);
    for _ in 0..100_000 {
        assert_eq!(admission.admit(v4(1, 1), 0), Pass::Open);
        admission.settle(v4(1, 1), Pass::Open, Verdict::Verified, 0);
    }
    assert_eq!(admission.remembered(), 0);
}

#[test]
fn an_address_is_suspect_after_its_burst_and_forgiven_with_time() {
    let admission = Admission::new(LIMITS);
    fail(&admission, v4(1, 1), 9, 0);
    assert_eq!(admission.admit(v4(1, 1), 0), Pass::Open);
    fail(&admission, v4(1, 1), 1, 0);
    assert_eq!(admission.admit(v4(1, 1), 0), Pass::Trial);
    assert_eq!(admission.admit(v4(2, 1), 0), Pass::Open, "another address");
    assert_eq!(admission.admit(v4(1, 1), 1_000), Pass::Open);
    assert_eq!(admission.remembered(), 1);
    assert_eq!(admission.admit(v4(1, 1), 2_000), Pass::Open);
    assert_eq!(admission.remembered(), 0);
}

#[test]
fn the_worst_offender_is_forgiven_after_twice_its_allowance() {
    let admission = Admission::new(LIMITS);
    fail(&admission, v4(1, 1), 1_000_000, 0);
    assert_eq!(admission.admit(v4(1, 1), 1_999), Pass::Trial);
    assert_eq!(admission.admit(v4(1, 1), 2_001), Pass::Open);
}

#[test]
fn a_flood_from_one_port_leaves_the_other_ports_of_the_address_alone() {
    let admission = Admission::new(LIMITS);
    fail(&admission, v4(1, 7), 20, 0);
    let mut tried = 0;
    for _ in 0..30_000 {
        let pass = admission.admit(v4(1, 7), 0);
        if pass == Pass::Trial {
            tried += 1;
            admission.settle(v4(1, 7), pass, Verdict::FailedAuthentication, 0);
        }
    }
    assert_eq!(tried, 10);
    for port in 8..7 + LANES {
        assert_eq!(admission.admit(v4(1, port), 0), Pass::Trial);
    }
}

#[test]
fn a_fleet_behind_a_flooded_address_keeps_its_share() {
    let admission = Admission::new(LIMITS);
    fail(&admission, v4(1, 7), 20, 0);
    let (mut served, mut tried) = (0_u32, 0_u32);
    // 6,400 frames of the flood and 640 of the fleet in each second, on all ports.
    for step in 0..64_000_u64 {
        let now_ms = step * 10_000 / 64_000;
        let port = u16::try_from(step * 31 % 60_000).unwrap();
        if admission.admit(v4(1, port), now_ms) == Pass::Trial {
            tried += 1;
            admission.settle(
                v4(1, port),
                Pass::Trial,
                Verdict::FailedAuthentication,
                now_ms,
            );
        }
        if step % 10 == 0 {
            let pass = admission.admit(v4(1, port), now_ms);
            if pass != Pass::Refused {
                served += 1;
                admission.settle(v4(1, port), pass, Verdict::Verified, now_ms);
            }
        }
    }
    assert!(tried <= 6_400 + 640, "{tried} trials in ten seconds");
    // 640 trials for 7,040 frames a second.
    assert!(served >= 560, "{served} of 6,400, the share is 582");
}

#[test]
fn a_trial_that_verifies_is_given_back() {
    let admission = Admission::new(LIMITS);
    fail(&admission, v4(1, 7), 20, 0);
    for _ in 0..1_000 {
        assert_eq!(admission.admit(v4(1, 7), 0), Pass::Trial);
        admission.settle(v4(1, 7), Pass::Trial, Verdict::Verified, 0);
    }
}

#[test]
fn an_address_is_told_suspect_without_using_up_a_trial() {
    let admission = Admission::new(LIMITS);
    assert!(!admission.is_suspect(v4(1, 1), 0));
    fail(&admission, v4(1, 1), 10, 0);
    for _ in 0..1_000 {
        assert!(admission.is_suspect(v4(1, 1), 0));
    }
    assert_eq!(admission.admit(v4(1, 1), 0), Pass::Trial);
    assert!(!admission.is_suspect(v4(1, 1), 1_000));
}

#[test]
fn of_addresses_that_failed_as_often_the_one_that_failed_longest_ago_makes_room() {
    let admission = Admission::new(AdmissionLimits {
        addresses_max: 8,
        failure_burst: 1,
        failures_per_s: 1,
        ..LIMITS
    });
    for last in 0..8 {
        fail(&admission, v4(last, 1), 1, 0);
    }
    fail(&admission, v4(9, 1), 1, 0);
    assert_eq!(admission.remembered(), 8);
    assert!(!admission.is_suspect(v4(0, 1), 0));
    assert!(admission.is_suspect(v4(1, 1), 0));
    assert!(admission.is_suspect(v4(9, 1), 0));
}

#[test]
fn when_all_fail_together_one_failure_makes_suspect() {
    let admission = Admission::new(AdmissionLimits {
        failures_per_s_total: 3,
        ..LIMITS
    });
    for last in 0..4 {
        fail(&admission, v4(last, 1), 1, 500);
    }
    assert_eq!(admission.admit(v4(1, 1), 500), Pass::Trial);
    assert_eq!(admission.admit(v4(9, 1), 500), Pass::Open);
    assert_eq!(admission.admit(v4(1, 1), 1_000), Pass::Open);
}

#[test]
fn addresses_of_ipv6_count_by_their_network_and_mapped_ones_as_ipv4() {
    let admission = Admission::new(LIMITS);
    let v6 = |net: u16, host: u16| -> SocketAddr {
        (Ipv6Addr::new(0x2001, 0xdb8, 0, net, 0, 0, 0, host), 1).into()
    };
    for host in 0..10 {
        fail(&admission, v6(1, host), 1, 0);
    }
    assert_eq!(admission.admit(v6(1, 99), 0), Pass::Trial);
    assert_eq!(admission.admit(v6(2, 0), 0), Pass::Open);
    fail(&admission, v4(1, 1), 10, 0);
    let mapped: SocketAddr = (Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped(), 1).into();
    assert_eq!(admission.admit(mapped, 0), Pass::Trial);
}

proptest! {
    #[test]
    fn the_table_never_grows_and_keeps_the_attacker(
        passers in prop::collection::vec(any::<u32>(), 1..2_000),
    ) {
        let admission = Admission::new(LIMITS);
        fail(&admission, v4(1, 1), 20, 0);
        for passer in passers {
            let peer = (Ipv4Addr::from_bits(passer), 1).into();
            if peer != v4(1, 1) {
                fail(&admission, peer, 1, 0);
            }
        }
        prop_assert!(admission.remembered() <= LIMITS.addresses_max);
        prop_assert_eq!(admission.admit(v4(1, 1), 0), Pass::Trial);
    }

    #[test]
    fn no_address_is_tried_more_often_than_stated(
        ports in prop::collection::vec(any::<u16>(), 1..3_000),
    ) {
        let admission = Admission::new(LIMITS);
        fail(&admission, v4(1, 1), 20, 0);
        let passed = ports
            .iter()
            .filter(|port| admission.admit(v4(1, **port), 0) != Pass::Refused)
            .count();
        prop_assert!(passed <= 640);
        prop_assert_eq!(admission.admit(v4(2, 1), 0), Pass::Open);
    }
}
