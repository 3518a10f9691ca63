//! Contenders in turns: each round gives every contender some turns one after the other and takes
//! its fastest, so that all see the same machine. Ratios are taken within a round.

use std::time::{Duration, Instant};

/// A contender: what it is, and one pass over its telegrams.
pub(crate) struct Contender<'a> {
    pub(crate) name: &'static str,
    /// Telegrams of a pass.
    pub(crate) telegrams: usize,
    pub(crate) pass: Box<dyn FnMut() + 'a>,
}

/// How much is measured.
#[derive(Clone, Copy)]
pub(crate) struct Extent {
    pub(crate) rounds: usize,
    pub(crate) turns: usize,
}

impl Extent {
    pub(crate) const fn of(is_test: bool) -> Self {
        if is_test {
            Self {
                rounds: 1,
                turns: 1,
            }
        } else {
            Self {
                rounds: 15,
                turns: 40,
            }
        }
    }
}

/// Nanoseconds a telegram, by contender and round.
pub(crate) fn measure(contenders: &mut [Contender<'_>], extent: Extent) -> Vec<Vec<f64>> {
    let mut costs = vec![Vec::new(); contenders.len()];
    for _ in 0..extent.rounds {
        let mut fastest = vec![Duration::MAX; contenders.len()];
        for _ in 0..extent.turns {
            for (contender, fastest) in contenders.iter_mut().zip(&mut fastest) {
                let began = Instant::now();
                (contender.pass)();
                *fastest = began.elapsed().min(*fastest);
            }
        }
        for ((contender, fastest), costs) in contenders.iter().zip(fastest).zip(&mut costs) {
            costs.push(fastest.as_nanos() as f64 / contender.telegrams as f64);
        }
    }
    costs
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// How many times the rate of `peer` that of `ours` is: median and worst round.
pub(crate) fn ratio(ours: &[f64], peer: &[f64]) -> (f64, f64) {
    let ratios: Vec<f64> = ours
        .iter()
        .zip(peer)
        .map(|(ours, peer)| peer / ours)
        .collect();
    let worst = ratios.iter().copied().fold(f64::INFINITY, f64::min);
    (median(&ratios), worst)
}
