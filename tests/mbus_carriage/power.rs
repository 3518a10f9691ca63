//! Promises P1 and P2 on a simulated disk: whatever the disk does, a telegram that was answered OK
//! is in the log once, however often and through however many gateways it comes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use kenshin::app::boot::{Booted, boot};
use kenshin::ingest::mbus::MbusIntake;
use kenshin::keyring::LinkKeyring;
use kenshin::net::mbus::contract::{Answer, Heard, TelegramHandler as _, Transport};
use kenshin::store::fs::{Faults, SimFs};
use kenshin::store::log::LogOptions;
use kenshin::time::{Clock, SystemClock};
use simulator::random::{Random as _, Seeded};
use tokio::sync::oneshot;

use super::world::{GAS, gateway, kept, octets, parts_of};

/// Worlds with power cuts.
const SEEDS: u64 = 150;
/// Telegrams of a life of the server.
const TELEGRAMS: u32 = 12;

/// A server without sockets.
struct Life {
    booted: Booted,
    intake: MbusIntake,
}

impl Life {
    fn new(fs: &SimFs) -> Self {
        let options = LogOptions {
            floor_bytes: 0,
            urgent_floor_bytes: 0,
            ..LogOptions::default()
        };
        let dir = Path::new("/data");
        let booted = boot(Arc::new(fs.clone()), dir, options, 1, LinkKeyring::new()).unwrap();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
        let intake = MbusIntake::new(parts_of(&booted, &clock)).unwrap();
        Self { booted, intake }
    }

    /// Hands a telegram over; its answer comes through what is returned.
    fn hand_over(&self, name: &str, counter: u32) -> oneshot::Receiver<Answer> {
        let payload = if counter.is_multiple_of(5) {
            "alarm"
        } else {
            "x"
        };
        let telegram = octets(7, 1, counter, payload.as_bytes());
        let (answer, answered) = oneshot::channel();
        let heard = Heard {
            transport: Transport::Tcp,
            telegram: &telegram,
            heard_utc_ms: None,
            rssi_dbm: None,
        };
        self.intake.receive(&gateway(name, GAS), heard, answer);
        answered
    }
}

/// Whether an answer says that a telegram is durable.
fn is_ok(answered: oneshot::Receiver<Answer>) -> bool {
    matches!(answered.blocking_recv(), Ok(Answer::Durable { .. }))
}

#[test]
fn no_telegram_is_answered_ok_after_a_failed_sync() {
    let fs = SimFs::new();
    let life = Life::new(&fs);
    assert!(is_ok(life.hand_over("roof", 1)));
    fs.set_faults(Faults {
        fail_sync: Some(fs.counts().syncs + 1),
        ..Faults::default()
    });
    let (first, copy) = (life.hand_over("roof", 2), life.hand_over("hill", 2));
    assert!(!is_ok(first) && !is_ok(copy));
    assert!(
        !is_ok(life.hand_over("roof", 3)),
        "the log is closed for good"
    );
    drop(life);
    let fs = fs.crash(7);
    let life = Life::new(&fs);
    assert!(
        is_ok(life.hand_over("roof", 2)),
        "it is taken by the next process"
    );
    let counters: Vec<_> = kept(&life.booted).iter().map(|one| one.counter).collect();
    assert_eq!(counters, [Some(1), Some(2)]);
}

#[test]
fn what_was_answered_ok_is_there_once_when_the_power_goes_at_any_moment() {
    let mut told = 0;
    for seed in 0..SEEDS {
        let mut random = Seeded::new(seed);
        let mut fs = SimFs::new();
        let mut safe = BTreeSet::new();
        for begin in [1, 5, 9] {
            let life = Life::new(&fs);
            fs.set_faults(Faults {
                power_cut: Some(fs.counts().changes + 1 + u64::from(random.u32() % 40)),
                ..Faults::default()
            });
            // Some of them were safe before, and each comes through two gateways at once.
            for counter in begin..begin + TELEGRAMS {
                let answers = [
                    life.hand_over("roof", counter),
                    life.hand_over("hill", counter),
                ];
                if answers
                    .into_iter()
                    .filter_map(|one| is_ok(one).then_some(()))
                    .count()
                    > 0
                {
                    safe.insert(counter);
                }
            }
            drop(life);
            fs = fs.crash(random.next_u64());
        }
        let life = Life::new(&fs);
        let mut times: BTreeMap<u32, u32> = BTreeMap::new();
        for one in kept(&life.booted) {
            *times.entry(one.counter.unwrap()).or_default() += 1;
        }
        for counter in &safe {
            assert_eq!(
                times.get(counter),
                Some(&1),
                "seed {seed}, counter {counter}"
            );
        }
        assert!(
            times.values().all(|times| *times == 1),
            "seed {seed}: {times:?}"
        );
        told += safe.len();
    }
    println!("{SEEDS} seeds, {told} telegrams answered OK, 0 lost, 0 twice");
    assert!(told > usize::try_from(SEEDS).unwrap());
}
