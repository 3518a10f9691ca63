//! Who sends when, and who hears it.

use std::sync::Arc;

use tokio::sync::mpsc::UnboundedSender;
use tokio::time::sleep_until;

use super::ledger::MbusLedger;
use super::line::Form;
use super::meter::Meter;
use super::plan::{GatewayPlan, MbusPlan};
use super::shared::Shared;
use super::telegram::format_a;
use crate::crypto::CryptoError;
use crate::random::{Random as _, Seeded};

/// Of the run, the part before its end in which meters are silent.
const QUIET_PART: u64 = 20;
/// Of a hundred telegrams, how many a gateway misses that is near.
const MISSED: u64 = 5;
/// Numbers of random streams of the plan: of meters' contents, and of all that happens on the air.
const METERS_FROM: u64 = 2 << 32;
const AIR: u64 = 3 << 32;

/// A telegram as a gateway heard it.
#[derive(Debug)]
pub(super) struct Heard {
    /// Its number in the ledger.
    pub(super) telegram: usize,
    /// The line to be handed on, with its end.
    pub(super) line: String,
}

/// Moments of a run, in milliseconds, at which meters send, by their places.
fn schedule(meters: usize, telegrams: u32, run_ms: u64, random: &mut Seeded) -> Vec<(u64, usize)> {
    let last_ms = run_ms - run_ms / QUIET_PART;
    let telegrams = telegrams.min(256);
    let each = (0..meters).flat_map(|meter| (0..telegrams).map(move |_| meter));
    let mut moments: Vec<_> = each.map(|meter| (random.up_to(last_ms), meter)).collect();
    moments.sort_unstable();
    moments
}

/// Lets all meters send until the run is over, to the gateways of the plan in their order.
pub(super) async fn play(
    plan: MbusPlan,
    shared: Arc<Shared>,
    to: Vec<(GatewayPlan, UnboundedSender<Heard>)>,
) -> Result<MbusLedger, CryptoError> {
    let mut ledger = MbusLedger::new(plan);
    let mut random = plan.stream(AIR);
    let mut meters = Vec::new();
    for meter in plan.meters() {
        let stream = plan.stream(METERS_FROM + u64::from(meter.index));
        meters.push((meter, Meter::new(meter, plan.key(&meter)?, stream)));
    }
    let settings = &shared.settings;
    let moments = schedule(
        meters.len(),
        settings.telegrams,
        shared.run_ms(),
        &mut random,
    );
    for (at_ms, place) in moments {
        sleep_until(shared.at(at_ms)).await;
        let Some((meter, machine)) = meters.get_mut(place) else {
            continue;
        };
        let now_utc_s = shared.now_utc_s();
        let made = machine.next(now_utc_s)?;
        shared.counters.made();
        let telegram = ledger.made(meter, &made, shared.happens());
        for (index, (gateway, to)) in to.iter().enumerate() {
            if !gateway.is_near(meter.index) || random.up_to(99) < MISSED {
                continue;
            }
            let form = Form::of(random.up_to(2));
            let rssi_dbm = -40 - i16::try_from(random.up_to(60)).unwrap_or(0);
            let (line, told) = if gateway.keeps_checks {
                form.line(&format_a(&made.octets), now_utc_s, rssi_dbm)
            } else {
                form.line(&made.octets, now_utc_s, rssi_dbm)
            };
            ledger.heard(telegram, index, told);
            // A gateway that has ended was counted as failed.
            to.send(Heard { telegram, line }).ok();
        }
    }
    Ok(ledger)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_meter_sends_as_often_as_it_should_and_is_silent_before_the_end() {
        let moments = schedule(7, 10, 20_000, &mut Seeded::new(3));
        assert_eq!(moments, schedule(7, 10, 20_000, &mut Seeded::new(3)));
        for meter in 0..7 {
            assert_eq!(moments.iter().filter(|(_, of)| *of == meter).count(), 10);
        }
        assert!(moments.iter().all(|(at_ms, _)| *at_ms <= 19_000));
        assert!(moments.is_sorted());
    }
}
