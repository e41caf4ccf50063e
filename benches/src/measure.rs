//! Samples, their summary, and turns.

use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Serialize;

/// What many samples say. The unit is the row's.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Summary {
    pub samples: usize,
    pub median: f64,
    pub p95: f64,
    pub least: f64,
}

impl Summary {
    /// None without samples.
    pub fn of(mut samples: Vec<f64>) -> Option<Self> {
        samples.sort_by(f64::total_cmp);
        let at = |share: f64| {
            let rank = (share * samples.len() as f64).ceil() as usize;
            samples.get(rank.clamp(1, samples.len().max(1)) - 1).copied()
        };
        Some(Self {
            samples: samples.len(),
            median: at(0.5)?,
            p95: at(0.95)?,
            least: at(0.0)?,
        })
    }

    pub fn single(value: f64) -> Self {
        Self {
            samples: 1,
            median: value,
            p95: value,
            least: value,
        }
    }
}

/// Times `call` in milliseconds.
pub fn milliseconds(call: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    call()?;
    Ok(in_milliseconds(start.elapsed()))
}

pub fn in_milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// One side of a comparison: does its work once.
pub type Side<'a> = Box<dyn FnMut() -> Result<()> + 'a>;

/// A side whose work needs something done before it that is not its work.
pub struct Prepared<'a> {
    pub before: Side<'a>,
    pub work: Side<'a>,
}

/// Runs all sides in turns, beginning with another one each round, after a few rounds that do not count.
pub fn in_turns(sides: &mut [Side<'_>], rounds: usize) -> Result<Vec<Option<Summary>>> {
    const WARM_UP: usize = 3;
    turns(sides.len(), rounds, WARM_UP, |index| {
        milliseconds(&mut sides[index])
    })
}

/// The same for long work: one round that does not count is enough.
pub fn prepared_in_turns(sides: &mut [Prepared<'_>], rounds: usize) -> Result<Vec<Option<Summary>>> {
    turns(sides.len(), rounds, 1, |index| {
        let side = &mut sides[index];
        (side.before)()?;
        milliseconds(&mut side.work)
    })
}

fn turns(
    count: usize,
    rounds: usize,
    warm_up: usize,
    mut timed: impl FnMut(usize) -> Result<f64>,
) -> Result<Vec<Option<Summary>>> {
    let mut samples = vec![Vec::with_capacity(rounds); count];
    for round in 0..rounds + warm_up {
        for offset in 0..count {
            let index = (round + offset) % count;
            let time = timed(index)?;
            if round >= warm_up {
                samples[index].push(time);
            }
        }
    }
    Ok(samples.into_iter().map(Summary::of).collect())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_summary_is_made_of_ranks() {
        let summary = Summary::of((1..=100).rev().map(f64::from).collect()).expect("there are samples");
        assert_eq!(
            summary,
            Summary {
                samples: 100,
                median: 50.0,
                p95: 95.0,
                least: 1.0
            }
        );
        assert_eq!(Summary::of(vec![3.0]), Some(Summary::single(3.0)));
        assert_eq!(Summary::of(Vec::new()), None);
    }

    #[test]
    fn the_sides_take_turns() {
        let order = RefCell::new(String::new());
        let side = |name: char| -> Side<'_> {
            let order = &order;
            Box::new(move || {
                order.borrow_mut().push(name);
                Ok(())
            })
        };
        let summaries = in_turns(&mut [side('a'), side('b')], 2).expect("no side fails");
        assert_eq!(*order.borrow(), "abbaabbaab");
        assert_eq!(
            summaries
                .iter()
                .flatten()
                .map(|summary| summary.samples)
                .collect::<Vec<_>>(),
            [2, 2]
        );
    }
}
