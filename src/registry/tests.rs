use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::app::boot::{Booted, boot};
use crate::crypto::key::{KeyOctets, Master};
use crate::keyring::{KeyState, LinkKeyring, UtilityId};
use crate::model::{Event, TerminalId};
use crate::store::fs::{Faults, SimFs, Space};
use crate::store::log::LogOptions;

mod gateways;

const GAS: UtilityId = UtilityId::new(*b"gasworks");
const CITY: UtilityId = UtilityId::new(*b"citygas2");

/// A registry on a disk in memory.
struct World {
    disk: SimFs,
    booted: Booted,
    registry: Registry,
}

fn ring() -> LinkKeyring {
    let mut ring = LinkKeyring::new();
    ring.add_utility(GAS, "gas");
    for (version, state) in [(1, KeyState::Active), (2, KeyState::New)] {
        let key = KeyOctets::from_slice(&[version; 16]).unwrap();
        ring.add_master(GAS, version, state, true, Master::new(key))
            .unwrap();
    }
    ring
}

impl World {
    fn on(disk: SimFs, allow_mode0: bool) -> Self {
        let options = LogOptions {
            floor_bytes: 0,
            urgent_floor_bytes: 0,
            ..LogOptions::default()
        };
        let fs = Arc::new(disk.clone());
        let booted = boot(fs, Path::new("/data"), options, 0, ring()).unwrap();
        let (state, log) = (Arc::clone(&booted.state), Arc::clone(&booted.log));
        let registry = Registry::new(state, log, Policy { allow_mode0 });
        Self {
            disk,
            booted,
            registry,
        }
    }

    /// With both utilities.
    fn new() -> Self {
        let world = Self::on(SimFs::new(), true);
        for (utility, name) in [(GAS, "Gas"), (CITY, "City")] {
            let name = Some(name.to_owned());
            let put = Command::UtilityPut {
                utility,
                name,
                allow_mode0: None,
            };
            world.registry.apply(put).unwrap();
        }
        world
    }

    /// What is there after a power cut.
    fn after_power_cut(self) -> Self {
        let disk = self.disk.crash(1);
        Self::on(disk, true)
    }

    fn end(&self) -> u64 {
        self.booted.log.durable_end().get()
    }

    fn refused(&self, command: Command) -> String {
        let before = self.end();
        let refusal = self.registry.apply(command).unwrap_err();
        assert_eq!(self.end(), before, "a refusal appends nothing");
        refusal.to_string()
    }

    fn add(&self, row: Row) -> Change {
        let move_utility = false;
        match self
            .registry
            .apply(Command::TerminalAdd { row, move_utility })
        {
            Ok(Reply::TerminalPut { change, .. }) => change,
            other => panic!("{other:?}"),
        }
    }

    fn show(&self, number: u64) -> TerminalView {
        let terminal = id(number);
        match self.registry.apply(Command::TerminalShow { terminal }) {
            Ok(Reply::Terminal { terminal }) => *terminal,
            other => panic!("{other:?}"),
        }
    }

    fn import(&self, rows: Vec<Row>, dry_run: bool) -> (u64, u64, u64) {
        let command = Command::TerminalImport {
            rows,
            dry_run,
            move_utility: false,
        };
        match self.registry.apply(command) {
            Ok(Reply::Imported { counts, .. }) => (counts.added, counts.changed, counts.unchanged),
            other => panic!("{other:?}"),
        }
    }

    fn promote(&self, number: u64, version: u8) {
        let event = Event::Promoted {
            terminal: id(number),
            version: Some(version),
            mode: None,
        };
        self.booted.append(&event).unwrap();
    }
}

fn id(number: u64) -> TerminalId {
    TerminalId::new((0x0007_0000_0000_0000 | number).to_be_bytes())
}

fn row(number: u64, utility: UtilityId, mode: u8) -> Row {
    Row {
        line: u32::try_from(number + 1).unwrap(),
        terminal: id(number),
        utility,
        mode,
        customer: None,
    }
}

const fn state_of(version: u8, state: KeyState, confirmed: bool) -> Command {
    Command::KeyState {
        utility: GAS,
        version,
        state,
        confirmed,
    }
}

#[test]
fn what_was_answered_survives_a_power_cut_with_the_customer_number() {
    let world = World::new();
    let mut one = row(1, GAS, 1);
    one.customer = Some("C-001".to_owned());
    assert_eq!(world.add(one.clone()), Change::Added);
    assert_eq!(world.add(one), Change::Unchanged);
    let world = world.after_power_cut();
    let shown = world.show(1);
    assert_eq!(shown.customer.as_deref(), Some("C-001"));
    assert_eq!((shown.utility, shown.mode), (GAS, 1));
    assert_eq!((shown.registered, shown.key_version), (true, None));
    assert_eq!((shown.maker, shown.serial), (7, 1));
}

#[test]
fn an_import_that_is_repeated_appends_nothing() {
    let world = World::new();
    let mut rows: Vec<Row> = (1..=1_200).map(|number| row(number, GAS, 1)).collect();
    rows[5].utility = CITY;
    rows[7].customer = Some("C-7".to_owned());
    let before = world.end();
    assert_eq!(world.import(rows.clone(), true), (1_200, 0, 0));
    assert_eq!(world.end(), before, "a dry run appends nothing");
    assert_eq!(world.import(rows.clone(), false), (1_200, 0, 0));
    let after = world.end();
    assert_eq!(world.import(rows.clone(), false), (0, 0, 1_200));
    assert_eq!(world.end(), after);
    rows[8].mode = 2;
    rows[7].customer = Some(String::new());
    assert_eq!(world.import(rows.clone(), false), (0, 2, 1_198));
    let world = world.after_power_cut();
    assert_eq!(world.import(rows, false), (0, 0, 1_200));
}

#[test]
fn an_import_that_the_disk_stops_says_what_was_done_and_goes_on_later() {
    let world = World::new();
    let rows: Vec<Row> = (1..=10_000).map(|number| row(number, GAS, 1)).collect();
    let import = || Command::TerminalImport {
        rows: rows.clone(),
        dry_run: false,
        move_utility: false,
    };
    // Room for some of the events of each batch.
    world.disk.set_faults(Faults {
        space: Some(Space {
            free: 100_000,
            total: 1 << 30,
        }),
        ..Faults::default()
    });
    let done = match world.registry.apply(import()) {
        // The disk was faster than the registry.
        Ok(Reply::Imported { counts, .. }) => counts.added,
        Err(Refusal::BrokenOff { done, .. }) => done.added,
        other => panic!("{other:?}"),
    };
    assert!(done > 0);
    world.disk.set_faults(Faults::default());
    let world = world.after_power_cut();
    assert_eq!(world.import(rows.clone(), true), (10_000 - done, 0, done));
    assert_eq!(world.import(rows, false), (10_000 - done, 0, done));
}

#[test]
fn a_change_whose_sync_fails_is_said_to_be_in_doubt() {
    let world = World::new();
    world.disk.set_faults(Faults {
        fail_sync: Some(world.disk.counts().syncs + 1),
        ..Faults::default()
    });
    let add = Command::TerminalAdd {
        row: row(1, GAS, 1),
        move_utility: false,
    };
    let refused = world.registry.apply(add).unwrap_err();
    assert_eq!(refused.kind(), "unavailable");
    let told = refused.to_string();
    assert!(told.contains("not known"), "{told}");
    assert!(!told.contains("nothing was changed"), "{told}");
}

#[test]
fn one_wrong_row_keeps_all_others_out_and_is_named_with_its_line() {
    let world = World::new();
    world.add(row(9, CITY, 1));
    let unknown = UtilityId::new([9; 8]);
    let rows = vec![
        row(1, GAS, 1),
        row(2, unknown, 1),
        row(3, GAS, 4),
        row(4, GAS, 0),
        row(5, GAS, 3),
        row(1, GAS, 2),
        row(9, GAS, 1),
        Row {
            customer: Some("ガス".to_owned()),
            ..row(6, GAS, 1)
        },
    ];
    let command = Command::TerminalImport {
        rows,
        dry_run: false,
        move_utility: false,
    };
    let Err(Refusal::Rows { named, total }) = world.registry.apply(command) else {
        panic!("the rows are wrong");
    };
    let told: Vec<_> = named
        .iter()
        .map(|one| (one.line, one.column.as_deref().unwrap()))
        .collect();
    let expected = [
        (3, "utility"),
        (4, "mode"),
        (5, "mode"),
        (6, "mode"),
        (2, "terminal"),
        (10, "utility"),
        (7, "customer"),
    ];
    assert_eq!((told.as_slice(), total), (expected.as_slice(), 7));
    let terminal = id(1);
    let refused = world.refused(Command::TerminalShow { terminal });
    assert!(refused.contains("was ever registered"), "{refused}");
}

#[test]
fn mode_0_needs_both_the_utility_and_the_configuration() {
    let world = World::new();
    let wanted = || Command::TerminalAdd {
        row: row(1, GAS, 0),
        move_utility: false,
    };
    assert!(world.refused(wanted()).contains("the utility"));
    let allow = Command::UtilityPut {
        utility: GAS,
        name: None,
        allow_mode0: Some(true),
    };
    world.registry.apply(allow).unwrap();
    let disk = world.disk.crash(1);
    drop(world);
    let closed = World::on(disk, false);
    assert!(closed.refused(wanted()).contains("keys.allow_mode0"));
    let open = closed.after_power_cut();
    assert_eq!(open.add(row(1, GAS, 0)), Change::Added);
}

#[test]
fn a_terminal_changes_its_utility_only_if_that_is_said() {
    let world = World::new();
    world.add(row(1, GAS, 1));
    let set = |move_utility| Command::TerminalSet {
        terminal: id(1),
        utility: Some(CITY),
        mode: None,
        customer: None,
        move_utility,
    };
    assert!(world.refused(set(false)).contains("--move-utility"));
    world.registry.apply(set(true)).unwrap();
    assert_eq!(world.show(1).utility, CITY);
    let terminal = id(1);
    let remove = Command::TerminalRemove { terminal };
    world.registry.apply(remove).unwrap();
    let back = Command::TerminalAdd {
        row: row(1, GAS, 1),
        move_utility: false,
    };
    assert!(world.refused(back).contains("or was"));
}

#[test]
fn a_removed_terminal_is_shown_as_such_and_can_be_added_again() {
    let world = World::new();
    let mut one = row(1, GAS, 1);
    one.customer = Some("C-001".to_owned());
    world.add(one);
    let terminal = id(1);
    let remove = || Command::TerminalRemove { terminal };
    world.registry.apply(remove()).unwrap();
    let shown = world.show(1);
    assert_eq!((shown.registered, shown.customer), (false, None));
    let end = world.end();
    let again = world.registry.apply(remove()).unwrap();
    let unchanged = matches!(
        again,
        Reply::TerminalPut {
            change: Change::Unchanged,
            ..
        }
    );
    assert!(unchanged && world.end() == end);
    let set = Command::TerminalSet {
        terminal,
        utility: None,
        mode: Some(2),
        customer: None,
        move_utility: false,
    };
    assert!(world.refused(set).contains("no longer"));
    assert_eq!(world.add(row(1, GAS, 2)), Change::Added);
    let otherwise = Command::TerminalAdd {
        row: row(1, GAS, 1),
        move_utility: false,
    };
    assert!(world.refused(otherwise).contains("otherwise"));
}

#[test]
fn pages_hold_every_registered_terminal_once_in_order() {
    let world = World::new();
    let utility_of = |number: u64| if number.is_multiple_of(2) { GAS } else { CITY };
    // In no order.
    let numbers = (1..=250).map(|number| number * 7 % 251);
    let rows = numbers.map(|number| row(number, utility_of(number), 1));
    world.import(rows.collect(), false);
    let terminal = id(100);
    let remove = Command::TerminalRemove { terminal };
    world.registry.apply(remove).unwrap();
    for utility in [None, Some(GAS)] {
        let (mut after, mut all) = (None, Vec::new());
        for _ in 0..10 {
            let list = Command::TerminalList {
                utility,
                after,
                limit: 60,
            };
            let Ok(Reply::Terminals { terminals, next }) = world.registry.apply(list) else {
                panic!("a page");
            };
            assert!(terminals.len() <= 60);
            all.extend(terminals.iter().map(|one| one.terminal));
            after = next;
            if after.is_none() {
                break;
            }
        }
        let is_wanted = |number: &u64| {
            *number != 100 && utility.is_none_or(|utility| utility == utility_of(*number))
        };
        let expected: Vec<_> = (1..=250).filter(is_wanted).map(id).collect();
        assert_eq!(all, expected);
    }
    let list = Command::TerminalList {
        utility: None,
        after: None,
        limit: 1_001,
    };
    assert!(world.refused(list).contains("1 to 1000"));
}

// spec: KEY-8
#[test]
fn key_states_go_forward_and_reach_the_ring_that_opens_frames() {
    let world = World::new();
    let state = |version| {
        let keys = world.booted.state.keys();
        let found = keys.masters(GAS).find(|one| one.version == version);
        found.unwrap().state
    };
    let last = world.refused(state_of(1, KeyState::Expired, false));
    assert!(last.contains("0 other ACTIVE"), "{last}");
    world
        .registry
        .apply(state_of(2, KeyState::Active, false))
        .unwrap();
    world
        .registry
        .apply(state_of(1, KeyState::Expired, false))
        .unwrap();
    assert_eq!((state(1), state(2)), (KeyState::Expired, KeyState::Active));
    assert!(
        world
            .refused(state_of(1, KeyState::New, true))
            .contains("EXPIRED")
    );
    world
        .registry
        .apply(state_of(1, KeyState::Withdrawn, false))
        .unwrap();
    let end = world.end();
    world
        .registry
        .apply(state_of(1, KeyState::Withdrawn, false))
        .unwrap();
    assert_eq!(world.end(), end, "it was so already");
    let back = world.refused(state_of(1, KeyState::Active, true));
    assert!(back.contains("for good"), "{back}");
    assert!(
        world
            .refused(state_of(7, KeyState::Active, true))
            .contains("version 7")
    );
    let world = world.after_power_cut();
    let keys = world.booted.state.keys();
    let states: Vec<_> = keys.masters(GAS).map(|one| one.state).collect();
    assert_eq!(states, [KeyState::Withdrawn, KeyState::Active]);
}

#[test]
fn a_withdrawal_that_shuts_terminals_out_has_to_be_confirmed() {
    let world = World::new();
    let last = world.refused(state_of(1, KeyState::Withdrawn, false));
    assert!(
        last.contains("0 other ACTIVE versions") && last.contains("--yes"),
        "{last}"
    );
    world
        .registry
        .apply(state_of(2, KeyState::Active, false))
        .unwrap();
    world.add(row(1, GAS, 1));
    world.promote(1, 1);
    let used = world.refused(state_of(1, KeyState::Withdrawn, false));
    assert!(used.contains("1 last verified under version 1"), "{used}");
    world
        .registry
        .apply(state_of(1, KeyState::Withdrawn, true))
        .unwrap();
}

// spec: ROT-7
#[test]
fn only_a_version_that_was_left_behind_can_be_admitted_again() {
    let world = World::new();
    world.add(row(1, GAS, 1));
    let readmit = |version| Command::KeyReadmit {
        terminal: id(1),
        version,
    };
    assert!(world.refused(readmit(1)).contains("none yet"));
    world.promote(1, 2);
    assert!(world.refused(readmit(2)).contains("only a version below"));
    world.registry.apply(readmit(1)).unwrap();
    assert_eq!(world.show(1).readmitted_version, Some(1));
    world
        .registry
        .apply(state_of(2, KeyState::Active, false))
        .unwrap();
    world
        .registry
        .apply(state_of(1, KeyState::Withdrawn, true))
        .unwrap();
    assert!(world.refused(readmit(1)).contains("WITHDRAWN"));
}

#[test]
fn a_log_that_takes_nothing_is_told_and_changes_nothing() {
    let world = World::new();
    world.booted.log.close().unwrap();
    let refused = world.registry.apply(Command::TerminalAdd {
        row: row(1, GAS, 1),
        move_utility: false,
    });
    assert_eq!(refused.unwrap_err().kind(), "unavailable");
    let terminal = id(1);
    let shown = world.registry.apply(Command::TerminalShow { terminal });
    assert!(matches!(shown, Err(Refusal::UnknownTerminal(_))));
}

#[test]
fn names_and_policies_stay_where_nothing_is_said_of_them() {
    let world = World::new();
    let put = |name: Option<&str>, allow_mode0| Command::UtilityPut {
        utility: GAS,
        name: name.map(str::to_owned),
        allow_mode0,
    };
    world.registry.apply(put(None, Some(true))).unwrap();
    world.registry.apply(put(Some("Gas Works"), None)).unwrap();
    let utility = GAS;
    let Ok(Reply::Utility { utility: shown }) =
        world.registry.apply(Command::UtilityShow { utility })
    else {
        panic!("it is there");
    };
    assert_eq!((&*shown.name, shown.allow_mode0), ("Gas Works", true));
    assert!(
        world
            .refused(put(Some("a\u{1b}[2J"), None))
            .contains("control")
    );
    let new = Command::UtilityPut {
        utility: UtilityId::new([1; 8]),
        name: None,
        allow_mode0: None,
    };
    assert!(world.refused(new).contains("--name"));
}
