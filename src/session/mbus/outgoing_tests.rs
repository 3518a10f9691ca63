use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;

/// What is durable, and whether the next reservation fails.
#[derive(Default)]
struct Disk {
    reserved: u32,
    fails: bool,
}

impl CounterReserve for Disk {
    type Error = &'static str;

    fn reserve(&mut self, up_to: u32) -> Result<(), &'static str> {
        if self.fails {
            return Err("full");
        }
        assert!(up_to > self.reserved);
        self.reserved = up_to;
        Ok(())
    }
}

#[derive(Clone, Copy, Debug)]
enum Step {
    Send,
    Restart,
    Hear(u32),
    Fail(bool),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        8 => Just(Step::Send),
        1 => Just(Step::Restart),
        1 => (0_u32..2_000).prop_map(Step::Hear),
        1 => any::<bool>().prop_map(Step::Fail),
    ];
    proptest::collection::vec(step, 1..200)
}

proptest! {
    #[test]
    fn no_counter_is_used_twice_whatever_fails_or_restarts(steps in steps(), block: u32) {
        let (mut disk, mut used, mut heard) = (Disk::default(), BTreeSet::new(), 0);
        let mut line = CounterLine::resume(0, block);
        for step in steps {
            match step {
                Step::Send => match line.next(&mut disk) {
                    Ok(counter) => {
                        let counter = counter.get();
                        prop_assert!(used.last().is_none_or(|last| *last < counter));
                        prop_assert!(used.insert(counter) && counter > heard);
                        prop_assert!(counter <= disk.reserved);
                        prop_assert!(disk.reserved - counter < RESERVATION_MAX);
                    }
                    Err(error) => {
                        prop_assert_eq!(error, CounterError::Reserve("full"));
                        prop_assert!(disk.fails);
                    }
                },
                Step::Restart => {
                    line = CounterLine::resume(disk.reserved, block);
                    heard = 0;
                }
                Step::Hear(counter) => {
                    line.raise_to(counter);
                    heard = heard.max(counter);
                }
                Step::Fail(fails) => disk.fails = fails,
            }
        }
    }

    #[test]
    fn no_access_number_comes_again_within_300_s(
        first: u8,
        waits in proptest::collection::vec(0_u32..6, 1..1_500),
    ) {
        let mut numbers = AccessNumbers::begin_at(first);
        let (mut now_s, mut used) = (1_000_u32, [0_u32; 256]);
        for wait in waits {
            now_s += wait;
            match numbers.take(now_s) {
                Ok(number) => {
                    let last = &mut used[usize::from(number)];
                    prop_assert!(*last == 0 || now_s - *last >= 300);
                    *last = now_s;
                }
                Err(NoAccessNumber { free_at_s }) => now_s = free_at_s,
            }
            prop_assert_eq!(AccessNumbers::decode(numbers.encode()), numbers);
        }
    }
}

#[test]
fn the_line_stops_at_its_end_and_asks_for_service_before() {
    let mut disk = Disk::default();
    let mut line = CounterLine::resume(0, 10);
    line.raise_to(SERVICE_ALARM_FROM - 1);
    assert!(!line.needs_service());
    assert_eq!(line.next(&mut disk), Ok(UniqueCounter(SERVICE_ALARM_FROM)));
    assert!(line.needs_service());
    line.raise_to(u32::MAX - 1);
    assert_eq!(line.next(&mut disk), Ok(UniqueCounter(u32::MAX)));
    assert_eq!(disk.reserved, u32::MAX);
    for _ in 0..3 {
        assert_eq!(line.next(&mut disk), Err(CounterError::Exhausted));
    }
    let mut resumed = CounterLine::resume(disk.reserved, 10);
    assert_eq!(resumed.next(&mut disk), Err(CounterError::Exhausted));
}

#[test]
fn the_first_counter_after_one_lost_reservation_is_at_most_100_above_the_last() {
    let mut disk = Disk::default();
    let mut line = CounterLine::resume(0, u32::MAX);
    let mut last = 0;
    while last != RESERVATION_MAX {
        last = line.next(&mut disk).unwrap().get();
    }
    // The next reservation is made, and the server stops before anything is sent.
    line.next(&mut disk).unwrap();
    let resumed = CounterLine::resume(disk.reserved, 1)
        .next(&mut disk)
        .unwrap();
    assert!(resumed.get() - last <= 100);
}

#[test]
fn a_clock_that_goes_back_frees_no_access_number() {
    let mut numbers = AccessNumbers::begin_at(0);
    (0..256).for_each(|_| assert!(numbers.take(5_000).is_ok()));
    for now_s in [5_000, 0, 5_299] {
        assert_eq!(
            numbers.take(now_s),
            Err(NoAccessNumber { free_at_s: 5_300 })
        );
    }
    assert_eq!(numbers.take(5_300), Ok(0));
}
