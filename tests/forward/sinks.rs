//! Cursors: durable, never back, and each sink for itself.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;
use std::time::Duration;

use kenshin::forward::command::{Command, CommandError, Reply, apply};
use kenshin::forward::lane::{LaneError, LaneTask};
use kenshin::forward::{
    Attachment, Begin, Delivery, DeliveryError, Forwarder, LaneBatch, SinkError, Sinks,
};
use kenshin::model::{Event, Lane, Lanes, Lsn, Zone};
use kenshin::store::fs::{Faults, Fs as _, SimFs};
use kenshin::store::log::{CommitLog, ReadError};
use kenshin::store::ndjson::{NdjsonFiles, NdjsonFolder, Rotation};
use kenshin::store::state::directory::SinkCursors;
use kenshin::time::{TestClock, UtcSeconds};

use super::world::{
    GAS, Gate, Memory, WATER, add, alarm, attach, damage, durable_cursors, everyday, gated_log_on,
    log_on, parse_lines, plaintext_of, until,
};

const STOP: Duration = Duration::from_secs(8);

fn sinks_on(log: &Arc<CommitLog>) -> Arc<Sinks> {
    Arc::new(Sinks::new(Arc::clone(log), &durable_cursors(log)))
}

fn run(sinks: &Arc<Sinks>, name: &str, begin: Begin, memory: &Memory) -> Forwarder {
    let forwarder = Forwarder::start(Arc::clone(sinks), Zone::JAPAN).unwrap();
    let sink = attach(sinks, name, begin);
    for lane in [Lane::Alarm, Lane::Bulk] {
        forwarder
            .run(&sink, lane, Box::new(memory.clone()))
            .unwrap();
    }
    forwarder
}

#[test]
fn a_sink_goes_on_after_a_restart_where_its_durable_cursor_is() {
    let fs = SimFs::new();
    let log = log_on(&fs);
    let (memory, first) = (Memory::default(), plaintext_of(" record_everyday_vacant"));
    let forwarder = run(&sinks_on(&log), "files", Begin::Now, &memory);
    add(&log, GAS, &first);
    add(&log, GAS, &alarm());
    until("both are delivered", || memory.ids().len() == 2);
    forwarder.stop(STOP);
    log.close().unwrap();
    let log = log_on(&fs);
    let memory = Memory::default();
    let forwarder = run(&sinks_on(&log), "files", Begin::Now, &memory);
    add(&log, GAS, &plaintext_of(" record_health"));
    until("the third is delivered", || memory.ids().len() == 1);
    forwarder.stop(STOP);
    assert_eq!(memory.lines.lock()[0]["kind"], "health");
}

#[test]
fn what_was_delivered_before_its_cursor_was_durable_comes_again_under_the_same_ids() {
    let fs = SimFs::new();
    let log = log_on(&fs);
    let sinks = sinks_on(&log);
    attach(&sinks, "files", Begin::Now);
    add(&log, GAS, &everyday());
    let before = durable_cursors(&log);
    let memory = Memory::default();
    let forwarder = run(&sinks, "files", Begin::Now, &memory);
    until("it is delivered", || memory.ids().len() == 1);
    forwarder.stop(STOP);
    // As if the process had ended between the sink's sync and the cursor's.
    let again = Memory::default();
    let sinks = Arc::new(Sinks::new(Arc::clone(&log), &before));
    let forwarder = run(&sinks, "files", Begin::Now, &again);
    until("it is delivered again", || !again.ids().is_empty());
    forwarder.stop(STOP);
    assert_eq!(memory.ids(), again.ids());
}

#[test]
fn a_dead_sink_delays_only_itself_is_shown_and_recovers() {
    let fs = SimFs::new();
    let log = log_on(&fs);
    let sinks = sinks_on(&log);
    let (dead, well) = (Memory::default(), Memory::default());
    dead.fails.store(true, Ordering::SeqCst);
    let first = run(&sinks, "dead", Begin::Now, &dead);
    let second = run(&sinks, "well", Begin::Now, &well);
    for _ in 0..3 {
        add(&log, GAS, &everyday());
    }
    until("the other is served", || well.ids().len() == 3);
    until("the failure is shown", || sinks.list()[0].bulk.errors > 0);
    let status = sinks.list().swap_remove(0);
    assert!(status.bulk.failing.unwrap().contains("the sink is dead"));
    assert!(status.kept < log.durable_end() && status.lag_octets > 0);
    dead.fails.store(false, Ordering::SeqCst);
    until("it is served too", || dead.ids().len() == 3);
    assert_eq!(dead.ids(), well.ids());
    first.stop(STOP);
    second.stop(STOP);
    assert_eq!(sinks.list()[0].bulk.failing, None);
}

#[test]
fn a_dead_bulk_lane_does_not_delay_alarms() {
    let log = log_on(&SimFs::new());
    let sinks = sinks_on(&log);
    let (alarms, bulk) = (Memory::default(), Memory::default());
    bulk.fails.store(true, Ordering::SeqCst);
    let forwarder = Forwarder::start(Arc::clone(&sinks), Zone::JAPAN).unwrap();
    let sink = attach(&sinks, "files", Begin::Now);
    forwarder
        .run(&sink, Lane::Bulk, Box::new(bulk.clone()))
        .unwrap();
    forwarder
        .run(&sink, Lane::Alarm, Box::new(alarms.clone()))
        .unwrap();
    add(&log, GAS, &everyday());
    add(&log, GAS, &alarm());
    until("the alarm is delivered", || alarms.ids().len() == 1);
    assert!(bulk.ids().is_empty());
    forwarder.stop(STOP);
}

#[test]
fn an_idle_server_writes_no_cursors() {
    let log = log_on(&SimFs::new());
    let sinks = sinks_on(&log);
    let memory = Memory::default();
    let forwarder = run(&sinks, "files", Begin::Now, &memory);
    add(&log, GAS, &everyday());
    until("it is delivered", || memory.ids().len() == 1);
    until("its cursor is durable", || {
        durable_cursors(&log)["files"].bulk > Lsn::new(64)
            && sinks.list()[0].kept > Lsn::new(64)
            && sinks.save_due().is_ok()
    });
    let end = log.durable_end();
    std::thread::sleep(Duration::from_millis(2_500));
    assert_eq!(log.durable_end(), end);
    forwarder.stop(STOP);
}

#[test]
fn only_a_confirmed_skip_drops_and_the_log_tells_its_range() {
    let log = log_on(&SimFs::new());
    let sinks = sinks_on(&log);
    let sink = attach(&sinks, "files", Begin::Now);
    let from = sink.position(Lane::Bulk);
    let lost = add(&log, GAS, &everyday());
    let kept = add(&log, GAS, &plaintext_of(" record_health"));
    let skip = |to, confirmed| {
        let name = "files".to_owned();
        apply(
            &sinks,
            Command::Skip {
                name,
                to,
                confirmed,
            },
        )
    };
    assert!(matches!(
        skip(Some(kept), false),
        Err(CommandError::Unconfirmed(_))
    ));
    let inside = Lsn::new(lost.get() + 1);
    let wrong = skip(Some(inside), true);
    assert!(matches!(
        wrong,
        Err(CommandError::Sink(SinkError::Position { .. }))
    ));
    let name = "files".to_owned();
    let skipped = skip(Some(kept), true).unwrap();
    assert_eq!(
        skipped,
        Reply::Skipped {
            name,
            from,
            to: kept
        }
    );
    let mut reader = log.reader(kept);
    let batch = reader.next_batch(1 << 20).unwrap();
    let event = Event::decode(batch.iter().last().unwrap().payload).unwrap();
    assert!(matches!(event, Event::SinkSkipped { to, .. } if to == kept));
    assert_eq!(durable_cursors(&log)["files"].bulk, kept);
    let back = skip(Some(from), true);
    assert!(matches!(
        back,
        Err(CommandError::Sink(SinkError::Backward { .. }))
    ));
}

#[test]
fn a_sink_in_use_is_not_removed_and_one_that_is_not_holds_the_log_no_longer() {
    let log = log_on(&SimFs::new());
    let sinks = sinks_on(&log);
    attach(&sinks, "files", Begin::Now);
    assert!(matches!(sinks.remove("files"), Err(SinkError::InUse(_))));
    let sinks = sinks_on(&log);
    assert_eq!(sinks.list()[0].kind, "unused");
    sinks.remove("files").unwrap();
    assert!(durable_cursors(&log).is_empty());
    assert!(matches!(sinks.remove("files"), Err(SinkError::Unknown(_))));
}

#[test]
fn a_file_that_cannot_be_ended_is_told_and_holds_up_no_record_and_not_the_log() {
    let fs = SimFs::new();
    let log = log_on(&fs);
    let sinks = sinks_on(&log);
    let sink = attach(&sinks, "files", Begin::Now);
    let folder = NdjsonFolder::new(Arc::new(fs.clone()), "out".into());
    let rotation = Rotation {
        octets: 1,
        age_ms: 60_000,
    };
    let clock = Arc::new(TestClock::new(UtcSeconds::new(1_793_404_800)));
    let files = NdjsonFiles::new(&folder, Lane::Bulk, rotation, clock);
    let mut lane = LaneTask::new(&sinks, &sink, Lane::Bulk, Zone::JAPAN, Box::new(files));
    let faults = Faults {
        fail_renames: true,
        ..Faults::default()
    };
    fs.set_faults(faults);
    for _ in 0..3 {
        add(&log, GAS, &everyday());
        assert_eq!(lane.turn().unwrap().records, 1);
        assert!(matches!(lane.turn(), Err(LaneError::Idle(_))));
        add(&log, GAS, &alarm());
        assert!(matches!(lane.turn(), Err(LaneError::Idle(_))));
        assert_eq!(sink.position(Lane::Bulk), log.durable_end());
    }
    fs.set_faults(Faults::default());
    assert_eq!(lane.turn().unwrap().records, 0);
    let names = fs.list(Path::new("out")).unwrap();
    let ended: Vec<_> = names
        .iter()
        .filter(|name| name.ends_with(".ndjson"))
        .collect();
    assert_eq!(ended.len(), 1, "{names:?}");
    let content = fs.content(&Path::new("out").join(ended[0])).unwrap();
    assert_eq!(parse_lines(&content).len(), 3);
}

#[test]
fn what_stands_before_damage_is_delivered_and_the_damage_is_told_and_can_be_skipped() {
    let fs = SimFs::new();
    let log = log_on(&fs);
    let sinks = sinks_on(&log);
    let sink = attach(&sinks, "files", Begin::Now);
    let positions: Vec<Lsn> = (0..6).map(|_| add(&log, GAS, &everyday())).collect();
    damage(&fs, positions[3]);
    let memory = Memory::default();
    let delivery = Box::new(memory.clone());
    let mut lane = LaneTask::new(&sinks, &sink, Lane::Bulk, Zone::JAPAN, delivery);
    assert_eq!(lane.turn().unwrap().records, 3);
    assert_eq!(sink.position(Lane::Bulk), positions[3]);
    for _ in 0..2 {
        let met = lane.turn();
        assert!(
            matches!(met, Err(LaneError::Read(ReadError::Damage { from, to, .. }))
                if from == positions[3] && to == positions[4]),
            "{met:?}"
        );
    }
    assert_eq!(memory.ids().len(), 3);
    sinks.skip("files", Some(positions[4])).unwrap();
    assert_eq!(lane.turn().unwrap().records, 2);
}

#[test]
fn a_stop_delivers_what_is_in_the_log() {
    for _ in 0..5 {
        let log = log_on(&SimFs::new());
        let sinks = sinks_on(&log);
        let memory = Memory::default();
        let forwarder = run(&sinks, "files", Begin::Now, &memory);
        for _ in 0..40 {
            add(&log, GAS, &everyday());
        }
        forwarder.stop(STOP);
        assert_eq!(memory.ids().len(), 40);
        let kept = durable_cursors(&log)["files"];
        assert!(kept.bulk > Lsn::new(64) && kept.bulk == sinks.list()[0].reached.bulk);
    }
}

/// Hangs until somebody hangs up.
struct Hung(mpsc::Receiver<()>);

impl Delivery for Hung {
    fn deliver(&mut self, _: &LaneBatch) -> Result<(), DeliveryError> {
        self.0.recv().ok();
        Ok(())
    }
    fn idle(&mut self) -> Result<(), DeliveryError> {
        Ok(())
    }
    fn finish(&mut self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

#[test]
fn a_stop_waits_for_no_sink_that_hangs_or_fails() {
    let log = log_on(&SimFs::new());
    let sinks = sinks_on(&log);
    let (_hold, held) = mpsc::channel();
    let forwarder = Forwarder::start(Arc::clone(&sinks), Zone::JAPAN).unwrap();
    let hung = attach(&sinks, "hung", Begin::Now);
    forwarder
        .run(&hung, Lane::Bulk, Box::new(Hung(held)))
        .unwrap();
    let dead = Memory::default();
    dead.fails.store(true, Ordering::SeqCst);
    let failing = attach(&sinks, "dead", Begin::Now);
    forwarder.run(&failing, Lane::Bulk, Box::new(dead)).unwrap();
    add(&log, GAS, &everyday());
    let (done, is_done) = mpsc::channel();
    std::thread::spawn(move || {
        forwarder.stop(Duration::from_millis(800));
        done.send(()).ok();
    });
    is_done.recv_timeout(Duration::from_secs(10)).unwrap();
}

#[test]
fn an_acknowledgement_is_positive_only_when_it_is_durable_whoever_saves_it() {
    let gate = Gate::default();
    let log = gated_log_on(&SimFs::new(), gate.clone());
    let sinks = sinks_on(&log);
    let sink = attach(&sinks, "billing", Begin::Now);
    add(&log, GAS, &everyday());
    let end = log.durable_end();
    let cursors = SinkCursors {
        alarm: end,
        bulk: end,
    };
    gate.shut();
    let (told, is_told) = mpsc::channel();
    let acknowledge = |pause_ms| {
        let (sinks, sink) = (Arc::clone(&sinks), Arc::clone(&sink));
        let told = told.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(pause_ms));
            let lanes = Lanes::ALARM.with(Lanes::BULK);
            sinks.acknowledge(&sink, lanes, cursors).unwrap();
            told.send(()).unwrap();
        })
    };
    let threads = [acknowledge(0), acknowledge(200)];
    let early = is_told.recv_timeout(Duration::from_millis(600));
    gate.open();
    for thread in threads {
        thread.join().unwrap();
    }
    assert!(early.is_err(), "positive before it was durable");
    assert_eq!(durable_cursors(&log)["billing"], cursors);
}

#[test]
fn no_sink_begins_beyond_the_end_of_the_log() {
    let log = log_on(&SimFs::new());
    let sinks = sinks_on(&log);
    let end = log.durable_end();
    let beyond = Lsn::new(end.get() + 1);
    let attachment = Attachment {
        kind: "test",
        utility: None,
    };
    let refused = sinks.attach("files", attachment, Begin::At(beyond));
    assert!(
        matches!(refused, Err(SinkError::Beyond { position, .. }) if position == beyond),
        "{refused:?}"
    );
    sinks.attach("files", attachment, Begin::At(end)).unwrap();
}

#[test]
fn a_new_sink_begins_at_now_whatever_is_there_already() {
    let log = log_on(&SimFs::new());
    let sinks = sinks_on(&log);
    add(&log, GAS, &everyday());
    add(&log, GAS, &alarm());
    let memory = Memory::default();
    let forwarder = run(&sinks, "files", Begin::Now, &memory);
    add(&log, GAS, &plaintext_of(" record_health"));
    until("the new one is delivered", || !memory.ids().is_empty());
    forwarder.stop(STOP);
    let kinds: Vec<_> = memory.lines.lock().iter().map(kind).collect();
    assert_eq!(kinds, ["health"]);
}

fn kind(line: &serde_json::Value) -> String {
    line["kind"].as_str().unwrap().to_owned()
}

#[test]
fn a_new_sink_begins_at_the_position_that_it_is_given_and_at_no_other() {
    let log = log_on(&SimFs::new());
    let sinks = sinks_on(&log);
    add(&log, GAS, &everyday());
    let second = add(&log, GAS, &plaintext_of(" record_health"));
    add(&log, GAS, &alarm());
    let attachment = Attachment {
        kind: "test",
        utility: None,
    };
    let at = |position| sinks.attach("wrong", attachment, Begin::At(Lsn::new(position)));
    let inside = at(second.get() + 1);
    assert!(matches!(inside, Err(SinkError::Position { .. })));
    let beyond = at(log.durable_end().get() + 8);
    assert!(matches!(beyond, Err(SinkError::Beyond { .. })));
    assert!(!durable_cursors(&log).contains_key("wrong"));
    let memory = Memory::default();
    let forwarder = run(&sinks, "files", Begin::At(second), &memory);
    until("what lies beyond is delivered", || memory.ids().len() == 2);
    forwarder.stop(STOP);
    let mut kinds: Vec<_> = memory.lines.lock().iter().map(kind).collect();
    kinds.sort();
    assert_eq!(kinds, ["alarm_notice", "health"]);
    // One that is known goes on where it is, wherever it is told to begin.
    let again = attach(&sinks, "files", Begin::Start);
    assert!(again.position(Lane::Bulk) > second);
}

#[test]
fn a_pushed_sink_of_one_utility_gets_the_records_of_no_other() {
    let log = log_on(&SimFs::new());
    let sinks = sinks_on(&log);
    let forwarder = Forwarder::start(Arc::clone(&sinks), Zone::JAPAN).unwrap();
    let memories = [Some(GAS), Some(WATER), None].map(|utility| {
        let name = utility.map_or_else(|| "all".to_owned(), |utility| utility.to_string());
        let attachment = Attachment {
            kind: "test",
            utility,
        };
        let sink = sinks.attach(&name, attachment, Begin::Now).unwrap();
        let memory = Memory::default();
        for lane in [Lane::Alarm, Lane::Bulk] {
            let delivery = Box::new(memory.clone());
            forwarder.run(&sink, lane, delivery).unwrap();
        }
        memory
    });
    for utility in [GAS, WATER, GAS] {
        add(&log, utility, &everyday());
        add(&log, utility, &alarm());
    }
    let [gas, water, all] = &memories;
    until("all are delivered", || {
        (gas.ids().len(), water.ids().len(), all.ids().len()) == (4, 2, 6)
    });
    // Not even later.
    add(&log, WATER, &plaintext_of(" record_health"));
    until("the last is delivered", || water.ids().len() == 3);
    until("the other cursor passes it", || {
        let status = sinks.list();
        status.iter().all(|sink| sink.lag_octets == 0)
    });
    forwarder.stop(STOP);
    for (memory, utility) in [(gas, GAS), (water, WATER)] {
        let utility = utility.to_string();
        let lines = memory.lines.lock();
        assert!(lines.iter().all(|line| line["utility"] == utility));
    }
    assert_eq!(gas.ids().len(), 4);
}

/// Takes its time with every batch.
struct Slow {
    memory: Memory,
    pause: Duration,
}

impl Delivery for Slow {
    fn deliver(&mut self, batch: &LaneBatch) -> Result<(), DeliveryError> {
        std::thread::sleep(self.pause);
        self.memory.deliver(batch)
    }

    fn idle(&mut self) -> Result<(), DeliveryError> {
        Ok(())
    }

    fn finish(&mut self) -> Result<(), DeliveryError> {
        Ok(())
    }
}

#[test]
fn a_slow_sink_lags_delays_nobody_else_and_gets_everything_in_order() {
    let log = log_on(&SimFs::new());
    let sinks = sinks_on(&log);
    let (slow, fast) = (Memory::default(), Memory::default());
    let forwarder = run(&sinks, "fast", Begin::Now, &fast);
    let sink = attach(&sinks, "slow", Begin::Now);
    let delivery = Slow {
        memory: slow.clone(),
        pause: Duration::from_millis(700),
    };
    forwarder
        .run(&sink, Lane::Bulk, Box::new(delivery))
        .unwrap();
    let plaintext = everyday();
    let mut seen_lag = 0;
    for count in 1..=20 {
        add(&log, GAS, &plaintext);
        until("the other is served at once", || fast.ids().len() == count);
        let status = sinks.list();
        let of = |name| status.iter().find(|one| one.name == name).unwrap();
        assert_eq!(of("slow").bulk.errors, 0);
        seen_lag = seen_lag.max(of("slow").lag_octets);
    }
    assert!(seen_lag > 0, "the lag is shown");
    assert!(slow.ids().len() < 20, "it is slow indeed");
    until("it has got everything", || slow.ids().len() == 20);
    forwarder.stop(STOP);
    let positions = |memory: &Memory| -> Vec<u64> {
        let lines = memory.lines.lock();
        lines
            .iter()
            .map(|line| line["position"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(positions(&slow), positions(&fast));
    assert!(positions(&slow).is_sorted());
}
