use std::net::IpAddr;

use super::*;
use crate::model::{Cidr, Fingerprint, Lsn};
use crate::store::state::snapshot;

fn named(gateway: &str) -> GatewayChange {
    GatewayChange {
        gateway: gateway.to_owned(),
        utility: Some(GAS),
        ..GatewayChange::default()
    }
}

fn ranges(all: &[&str]) -> Option<Vec<Cidr>> {
    Some(all.iter().map(|text| text.parse().unwrap()).collect())
}

fn token(text: &str) -> Option<Fingerprint> {
    Some(Fingerprint::of_token(text.as_bytes()))
}

impl World {
    fn put(&self, change: GatewayChange) -> (Change, GatewayView) {
        match self.registry.apply(Command::GatewayPut(change)) {
            Ok(Reply::GatewayPut { change, gateway }) => (change, gateway),
            other => panic!("{other:?}"),
        }
    }

    fn refused_gateway(&self, change: GatewayChange) -> String {
        self.refused(Command::GatewayPut(change))
    }

    fn names(&self, utility: Option<UtilityId>, after: Option<&str>, limit: u32) -> Vec<String> {
        let after = after.map(str::to_owned);
        let list = Command::GatewayList {
            utility,
            after,
            limit,
        };
        match self.registry.apply(list) {
            Ok(Reply::Gateways { gateways, .. }) => {
                gateways.into_iter().map(|one| one.gateway).collect()
            }
            other => panic!("{other:?}"),
        }
    }

    /// The names of the gateways of a token, an address and a certificate.
    fn found(&self, token: &str, address: &str, certificate: [u8; 32]) -> [Option<String>; 3] {
        let directory = self.booted.state.directory();
        let address: IpAddr = address.parse().unwrap();
        let found = [
            directory.gateway_by_token(token.as_bytes()),
            directory.gateway_by_address(address),
            directory.gateway_by_certificate(certificate),
        ];
        found.map(|one| one.map(|gateway| gateway.name().to_owned()))
    }
}

#[test]
fn a_gateway_is_put_once_changed_in_part_and_found_after_a_power_cut() {
    let world = World::new();
    let change = GatewayChange {
        token_sha256: token("the token of the roof"),
        addresses: ranges(&["198.51.100.0/24", "192.0.2.7", "192.0.2.7"]),
        ..named("roof")
    };
    let (what, first) = world.put(change.clone());
    assert_eq!(
        (what, first.token, first.addresses.len()),
        (Change::Added, true, 2)
    );
    let end = world.end();
    assert_eq!(world.put(change).0, Change::Unchanged);
    assert_eq!(world.end(), end, "nothing is appended");
    let (what, second) = world.put(GatewayChange {
        utility: None,
        certificate_sha256: Some(Fingerprint::new([7; 32])),
        ..named("roof")
    });
    assert_eq!(what, Change::Changed);
    assert_eq!((second.utility, second.token), (GAS, true));
    assert_eq!(second.addresses, first.addresses, "what is left out stays");
    assert!(second.version > first.version);

    let world = world.after_power_cut();
    let roof = || Some("roof".to_owned());
    let all = [roof(), roof(), roof()];
    assert_eq!(
        world.found("the token of the roof\n", "192.0.2.7", [7; 32]),
        all
    );
    assert_eq!(
        world.found("another token", "192.0.2.8", [8; 32]),
        [None, None, None]
    );
    let remove = Command::GatewayRemove {
        gateway: "roof".to_owned(),
    };
    world.registry.apply(remove.clone()).unwrap();
    let none = [None, None, None];
    assert_eq!(
        world.found("the token of the roof", "192.0.2.7", [7; 32]),
        none
    );
    assert!(world.refused(remove).contains("no gateway \"roof\""));
    assert_eq!(world.after_power_cut().names(None, None, 10), [""; 0]);
}

#[test]
fn what_belongs_to_another_gateway_is_refused_by_its_name() {
    let world = World::new();
    world.put(GatewayChange {
        token_sha256: token("the token of the roof"),
        certificate_sha256: Some(Fingerprint::new([7; 32])),
        addresses: ranges(&["192.0.2.16/28"]),
        ..named("roof")
    });
    let refused = |change| world.refused_gateway(change);
    let same_token = GatewayChange {
        token_sha256: token("the token of the roof"),
        ..named("hill")
    };
    assert!(refused(same_token).starts_with("roof has this token"));
    let same_certificate = GatewayChange {
        certificate_sha256: Some(Fingerprint::new([7; 32])),
        ..named("hill")
    };
    assert!(refused(same_certificate).starts_with("roof has this certificate"));
    for range in ["192.0.2.0/24", "192.0.2.17"] {
        let overlapping = GatewayChange {
            addresses: ranges(&["198.51.100.0/24", range]),
            ..named("hill")
        };
        let told = refused(overlapping);
        assert_eq!(
            told,
            format!("{range} and 192.0.2.16/28 of roof have addresses in common")
        );
    }
}

#[test]
fn a_gateway_that_nobody_could_know_or_that_changes_its_utility_by_mistake_is_refused() {
    let world = World::new();
    let refused = |change| world.refused_gateway(change);
    assert!(refused(named("roof")).contains("needs a token"));
    assert!(refused(named("Roof")).contains("1 to 32 of a-z"));
    assert!(refused(named("")).contains("1 to 32 of a-z"));
    let with_token = |gateway| GatewayChange {
        token_sha256: token("the token of the roof"),
        ..named(gateway)
    };
    let nobody = GatewayChange {
        utility: None,
        ..with_token("roof")
    };
    assert!(refused(nobody).contains("say --utility"));
    let unknown = GatewayChange {
        utility: Some(UtilityId::new(*b"nobody  ")),
        ..with_token("roof")
    };
    assert!(refused(unknown).contains("no utility"));
    let many: Vec<Cidr> = (0..65)
        .map(|number| format!("192.0.2.{number}").parse().unwrap())
        .collect();
    let many = GatewayChange {
        addresses: Some(many),
        ..named("roof")
    };
    assert!(refused(many).contains("at most 64"));
    world.put(with_token("roof"));
    let moved = GatewayChange {
        utility: Some(CITY),
        ..with_token("roof")
    };
    assert!(refused(moved.clone()).contains("--move-utility"));
    let meant = GatewayChange {
        move_utility: true,
        ..moved
    };
    assert_eq!(world.put(meant).1.utility, CITY);
    let bare = GatewayChange {
        utility: None,
        drop_token: true,
        ..named("roof")
    };
    assert!(refused(bare).contains("needs a token"));
}

#[test]
fn gateways_are_listed_by_name_a_page_at_a_time() {
    let world = World::new();
    for (number, name) in ["c", "a", "b"].into_iter().enumerate() {
        world.put(GatewayChange {
            utility: Some(if name == "b" { CITY } else { GAS }),
            token_sha256: token(&number.to_string()),
            ..named(name)
        });
    }
    assert_eq!(world.names(None, None, 10), ["a", "b", "c"]);
    assert_eq!(world.names(Some(GAS), None, 10), ["a", "c"]);
    assert_eq!(world.names(None, Some("a"), 1), ["b"]);
    let too_many = Command::GatewayList {
        utility: None,
        after: None,
        limit: LIST_MAX + 1,
    };
    assert!(world.refused(too_many).contains("1 to 1000"));
}

#[test]
fn the_log_and_the_snapshot_hold_a_digest_and_no_token() {
    let world = World::new();
    world.put(GatewayChange {
        token_sha256: token("swordfish-swordfish-swordfish"),
        ..named("roof")
    });
    let dir = Path::new("/data/state");
    let end = Lsn::new(world.end());
    snapshot::write(&world.booted.state, end, dir, &*world.booted.fs, 2).unwrap();
    let event = Event::GatewayPut(crate::model::event::GatewayEntry {
        gateway: "roof".to_owned(),
        utility: GAS,
        token_sha256: token("swordfish-swordfish-swordfish"),
        certificate_sha256: None,
        addresses: Vec::new(),
    });
    let text = String::from_utf8(event.encode().unwrap()).unwrap();
    assert!(text.contains("token_sha256") && !text.contains("swordfish"));
    let world = World::on(world.disk.clone(), true);
    assert_ne!(world.booted.snapshot_end, Lsn::ZERO, "out of the snapshot");
    let found = world.found("swordfish-swordfish-swordfish", "::1", [0; 32]);
    assert_eq!(found[0].as_deref(), Some("roof"));
}

#[test]
fn counters_that_were_set_aside_are_never_given_again_after_a_crash() {
    use crate::crypto::key::Key128;
    use crate::keyring::mbus::{CounterKey, CounterLedger, KeyId, KeyVersion, Next};
    use crate::session::mbus::{Downlink, Profile, Unverified};
    use crate::wire::mbus::address::Address;
    let mut world = World::new();
    let meter = TerminalId::new([0x93, 0x15, 0x78, 0x56, 0x34, 0x12, 0x33, 3]);
    let key = CounterKey {
        meter: Address::from_link_order(meter.octets()),
        id: KeyId(0),
        version: KeyVersion(1),
    };
    let mut highest = 0;
    for _ in 0..3 {
        let marks: Vec<_> = world
            .booted
            .state
            .directory()
            .meter_counters
            .marks()
            .collect();
        let mut ledger = CounterLedger::restored(marks);
        let Next::Reserve(range) = ledger.next(key, 0) else {
            panic!("a counter that was not set aside")
        };
        let make_durable = |range| world.booted.append(&Event::from(range)).map(|_| ());
        let counter = ledger.take(key, 0, make_durable).unwrap();
        let number = counter.get();
        assert!(number <= range.up_to);
        // What is sent has it, and opens again.
        let downlink = Downlink {
            meter: key.meter,
            partner: Address::from_link_order([0x25, 0x15, 1, 0, 0, 0, 0x33, 0x31]),
            access_number: 7,
            counter,
            records: &[0x02, 0xFD, 0x17, 0, 0],
        };
        let sent = downlink.build(Profile::B, &Key128::from([7; 16]), Unverified::Refuse);
        let counters = number.to_le_bytes();
        assert!(sent.unwrap().windows(4).any(|octets| octets == counters));
        assert!(number > highest);
        highest = number;
        world = world.after_power_cut();
    }
}
