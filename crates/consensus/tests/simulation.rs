//! The deterministic simulation: consensus is safe, and every run ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod fixture;
mod world;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use world::{Faults, Millis, Summary, World};

/// How long a run may take, in simulated time.
const LIMIT: Millis = 3_600_000;

/// Four validators, one of them an equivocator, another one crashing once: the most that four can bear.
fn faulty_run(seed: u64) -> Summary {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x9e37_79b9_7f4a_7c15);
    let equivocator = rng.random_range(0..4);
    let crashing = (equivocator + rng.random_range(1..4)) % 4;
    let faults = Faults {
        loss_percent: rng.random_range(0..=20),
        duplicate_percent: rng.random_range(0..=20),
        delay_max: rng.random_range(5..=400),
        equivocator: Some(equivocator),
        crash: Some((crashing, rng.random_range(0..60))),
        lose_log: rng.random_ratio(1, 8),
        blackout: None,
    };
    World::new(4, seed, faults).run(6, LIMIT)
}

/// Runs the seeds on all processors and gives the summaries in the order of the seeds.
fn runs(seeds: std::ops::Range<u64>) -> Vec<Summary> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let mut summaries: Vec<(u64, Summary)> = std::thread::scope(|scope| {
        let worker = |first: u64| {
            let seeds = seeds.clone();
            scope.spawn(move || {
                let mine = seeds.skip(first as usize).step_by(threads as usize);
                mine.map(|seed| (seed, faulty_run(seed))).collect::<Vec<_>>()
            })
        };
        let workers: Vec<_> = (0..threads).map(worker).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("every seed ends well")).collect()
    });
    summaries.sort_by_key(|(seed, _)| *seed);
    summaries.into_iter().map(|(_, summary)| summary).collect()
}

#[test]
fn two_hundred_seeds_never_certify_two_blocks_at_a_height_and_all_end() {
    let summaries = runs(0..200);
    assert_eq!(summaries.len(), 200);
    let crashed = summaries.iter().filter(|summary| summary.crashed).count();
    assert!(crashed > 190, "the crash must happen in most runs, it did in {crashed}");
    let refused = summaries.iter().filter(|summary| summary.refused_signatures > 0).count();
    assert!(refused > 0, "some lost log must be caught by the sign guard");
    let slowest = summaries.iter().map(|summary| summary.elapsed).max();
    println!("crashed {crashed}, caught by the sign guard {refused}, slowest run {slowest:?} ms of simulated time");
}

#[test]
fn a_run_is_deterministic() {
    assert_eq!(faulty_run(7).elapsed, faulty_run(7).elapsed);
}

#[test]
fn a_quiet_network_decides_every_height_in_its_first_round() {
    let summary = World::new(4, 1, Faults { delay_max: 10, ..Faults::default() }).run(10, LIMIT);
    assert!(summary.elapsed < 10 * 500, "ten heights took {} ms", summary.elapsed);
}

#[test]
fn a_halted_chain_goes_on_by_itself() {
    for seed in 0..20 {
        let blackout = (50 * seed, 60_000);
        let faults = Faults { delay_max: 50, blackout: Some(blackout), ..Faults::default() };
        let summary = World::new(4, seed, faults).run(10, LIMIT);
        assert!((60_000..90_000).contains(&summary.elapsed), "seed {seed}: ended after {} ms", summary.elapsed);
    }
}

#[test]
fn one_validator_decides_alone_across_a_crash() {
    for steps in 0..60 {
        let faults = Faults { delay_max: 1, crash: Some((0, steps)), ..Faults::default() };
        assert!(World::new(1, steps, faults).run(6, LIMIT).crashed);
    }
}
