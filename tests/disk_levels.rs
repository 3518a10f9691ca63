//! The real server as its disk fills up: readings come back, then only alarms and results are
//! taken, then nothing; and it stays up, also when it is started full.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "a test stops at the first surprise, and reads clocks"
)]

#[path = "support/caller.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod caller;
#[path = "support/serve.rs"]
#[allow(dead_code, reason = "each test crate uses a part of it")]
mod serve;

use std::sync::Arc;
use std::time::Duration;

use caller::{Caller, Outcome};
use kenshin::app::boot::{boot, lock};
use kenshin::keyring::LinkKeyring;
use kenshin::model::Event;
use kenshin::model::event::UtilityEntry;
use kenshin::store::fs::RealFs;
use kenshin::store::log::LogOptions;
use serve::plan::registered;
use serve::running::{Running, terminate};
use serve::{Site, utc_s};
use simulator::fleet::FleetPlan;
use simulator::keys::Mode;

const MIB: u64 = 1 << 20;
const QUOTA_MIB: u64 = 64;
const NOTHING: Outcome = Outcome {
    told_safe: 0,
    came_back: false,
    answers: 0,
};

/// A server whose log may hold 64 MiB, 8 of them set aside for alarms and results.
fn start(site: &Site) -> Running {
    site.start_serving(&[
        ("KENSHIN_DISK__QUOTA_MIB", &QUOTA_MIB.to_string()),
        ("KENSHIN_DISK__RESERVE_MIB", "8"),
        ("KENSHIN_DISK__COME_BACK_PERCENT", "85"),
        ("KENSHIN_DISK__ALARMS_ONLY_PERCENT", "95"),
    ])
}

/// Lets the log of a server that is stopped grow to so many octets, and no more.
fn fill(site: &Site, octets: u64) {
    let fs = Arc::new(RealFs);
    let data = site.dir.join("data");
    let _lock = lock(&*fs, &data).unwrap();
    let options = LogOptions::default();
    let booted = boot(fs, &data, options, 1, LinkKeyring::new()).unwrap();
    loop {
        let left = octets.saturating_sub(booted.log.durable_end().get());
        if left < 4_096 {
            break;
        }
        let len = usize::try_from(left.min(MIB) - 2_048).unwrap();
        let event = Event::UtilityPut(UtilityEntry {
            id: "6669 6c6c 6572 2121".replace(' ', ""),
            name: "f".repeat(len),
            allow_mode0: false,
        });
        booted.append(&event).unwrap();
    }
    booted.log.close().unwrap();
}

/// The value of a series.
fn metric(site: &Site, series: &str) -> u64 {
    let (status, text) = site.get("/metrics");
    assert_eq!(status, 200);
    let mut pairs = text.lines().filter_map(|line| line.rsplit_once(' '));
    let found = pairs.find(|(name, _)| name.strip_prefix("kenshin_") == Some(series));
    let (_, value) = found.unwrap_or_else(|| panic!("no {series} in {text}"));
    value.parse().unwrap()
}

fn disk_level(site: &Site) -> u64 {
    metric(site, "disk_level")
}

fn refusals(site: &Site, reason: &str) -> u64 {
    metric(site, &format!("refusals_total{{reason=\"{reason}\"}}"))
}

// spec: OVL-1, OVL-4
#[test]
fn a_filling_disk_takes_less_and_less_and_a_full_one_keeps_the_server_up() {
    let plan = FleetPlan {
        seed: 21,
        terminals: 40,
        utilities: 1,
    };
    let dir = tempfile::tempdir().unwrap();
    let site = Site::new(dir.path(), &registered(&plan), "");
    let of_plan = plan.terminals().filter(|one| one.mode != Mode::Clear);
    let mut callers: Vec<Caller> = of_plan
        .take(2)
        .map(|of| Caller::new(&plan, &of, utc_s()))
        .collect();
    let [one, other] = &mut callers[..] else {
        panic!("two terminals are wanted");
    };

    let server = start(&site);
    for caller in [&mut *one, &mut *other] {
        assert!(caller.call(&site).told_safe > 0, "there is room");
    }
    assert_eq!(disk_level(&site), 0);
    assert_eq!(site.get("/readyz").0, 200);
    assert_eq!(terminate(server), Some(0));

    fill(&site, 55 * MIB);
    let server = start(&site);
    assert_eq!(disk_level(&site), 1);
    let outcome = one.reading(&site);
    assert!(outcome.came_back, "85 %: {outcome:?}");
    assert_eq!(outcome.told_safe, 0, "85 %: a reading was taken");
    assert!(metric(&site, "come_backs_total") > 0, "85 %");
    assert_eq!(
        refusals(&site, "come_back"),
        metric(&site, "come_backs_total")
    );
    assert!(other.alarm(&site).told_safe > 0, "85 %: no alarm was taken");
    assert_eq!(site.get("/readyz").0, 200);
    assert_eq!(terminate(server), Some(0));

    // Less is left than the reserve.
    fill(&site, 61 * MIB + MIB / 4);
    let server = start(&site);
    assert_eq!(disk_level(&site), 2);
    std::thread::sleep(Duration::from_millis(1_100));
    assert!(other.alarm(&site).told_safe > 0, "95 %: no alarm was taken");
    std::thread::sleep(Duration::from_millis(1_100));
    let outcome = other.result(&site);
    assert!(outcome.told_safe > 0, "95 %: no result was taken");
    let outcome = one.call(&site);
    assert_eq!(outcome.told_safe, 0, "95 %: a reading was taken");
    assert_eq!(terminate(server), Some(0));

    fill(&site, 62 * MIB + MIB / 2);
    for _ in 0..2 {
        let mut server = start(&site);
        assert_eq!(disk_level(&site), 3);
        let (status, text) = site.get("/readyz");
        assert_eq!(status, 503);
        assert!(text.contains("the disk is full"), "{text}");
        assert_eq!(site.get("/healthz").0, 200);
        for caller in [&mut *one, &mut *other] {
            caller.patience = 1;
            assert_eq!(caller.alarm(&site), NOTHING, "full: something was said");
        }
        assert!(refusals(&site, "shed") >= 2, "full");
        assert_eq!(server.try_wait().unwrap(), None, "the server is gone");
        assert_eq!(terminate(server), Some(0), "it stops in order");
    }
}
