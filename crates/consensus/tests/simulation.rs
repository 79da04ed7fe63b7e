//! The deterministic simulation: consensus is safe, and every run ends.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod fixture;
mod world;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use world::{Faults, Millis, Outage, Summary, World};

/// How long a run may take, in simulated time.
const LIMIT: Millis = 3_600_000;

/// Four validators, one of them an equivocator, another one crashing once: the most that four can bear.
fn faulty_run(seed: u64) -> Summary {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x9e37_79b9_7f4a_7c15);
    let equivocator = rng.random_range(0..4);
    let crashing = (equivocator + rng.random_range(1..4)) % 4;
    let lose_log = rng.random_ratio(1, 8);
    let faults = Faults {
        loss_percent: rng.random_range(0..=20),
        duplicate_percent: rng.random_range(0..=20),
        delay_max: rng.random_range(5..=400),
        // Without its log a validator sits out a height: two that may be silent are more than four can bear.
        equivocator: (!lose_log).then_some(equivocator),
        crash: Some((crashing, rng.random_range(0..60))),
        lose_log,
        ..Faults::default()
    };
    World::new(4, seed, faults).run(6, LIMIT)
}

/// Runs the seeds on all processors and gives the results in the order of the seeds.
fn each_seed<T: Send>(seeds: u64, run: impl Fn(u64) -> T + Sync) -> Vec<(u64, T)> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get() as u64);
    let mut results: Vec<(u64, T)> = std::thread::scope(|scope| {
        let run = &run;
        let worker = |first: u64| {
            let mine = (0..seeds).skip(first as usize).step_by(threads as usize);
            scope.spawn(move || mine.map(|seed| (seed, run(seed))).collect::<Vec<_>>())
        };
        let workers: Vec<_> = (0..threads).map(worker).collect();
        workers.into_iter().flat_map(|worker| worker.join().expect("every seed ends well")).collect()
    });
    results.sort_by_key(|(seed, _)| *seed);
    results
}

#[test]
fn two_hundred_seeds_never_certify_two_blocks_at_a_height_and_all_end() {
    let summaries = each_seed(200, faulty_run);
    let summaries = Vec::from_iter(summaries.into_iter().map(|(_, summary)| summary));
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

/// An hour without a block. In its first minutes either all proposals are lost, so that rounds pass, or a message gets
/// through now and then; up to a third of the validators never come back.
fn outage(count: usize, rng: &mut ChaCha8Rng) -> Outage {
    const HOUR: Millis = 3_600_000;
    let from = rng.random_range(0..3_000);
    let dead = rng.random_range(0..=(count - 1) / 3);
    Outage {
        from,
        dark_from: from + rng.random_range(0..120_000),
        until: from + HOUR,
        loss_percent: if rng.random() { 0 } else { rng.random_range(80..=97) },
        dead: (rng.random_range(0..count), dead),
    }
}

#[test]
fn a_halted_chain_goes_on_within_20_seconds_of_two_thirds_being_connected() {
    for (count, seeds) in [(4, 40), (7, 12), (10, 6)] {
        let recovered = each_seed(seeds, |seed| {
            let outage = outage(count, &mut ChaCha8Rng::seed_from_u64(seed));
            let faults = Faults { delay_max: 200, outage: Some(outage), ..Faults::default() };
            (World::new(count as u8, seed, faults).recovery(), outage)
        });
        for (seed, ((elapsed, round), outage)) in &recovered {
            assert!(*elapsed < 20_000, "{count} validators, seed {seed}, round {round}: {elapsed} ms after {outage:?}");
        }
        let slowest = recovered.iter().map(|(_, ((elapsed, _), _))| elapsed).max();
        let round = recovered.iter().map(|(_, ((_, round), _))| round).max();
        println!("{count} validators: at most {slowest:?} ms after the outage, in rounds up to {round:?}");
    }
}

#[test]
fn a_validator_restored_from_an_old_copy_contradicts_nothing_and_signs_again() {
    let summaries = each_seed(60, |seed| {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let crash = Some((rng.random_range(0..4), rng.random_range(5..80)));
        let loss_percent = rng.random_range(0..=10);
        let faults = Faults { delay_max: 100, loss_percent, crash, restore_backup: true, ..Faults::default() };
        World::new(4, seed, faults).run(60, LIMIT)
    });
    assert!(summaries.iter().all(|(_, summary)| summary.crashed));
}

#[test]
fn one_validator_decides_alone_across_a_crash() {
    for steps in 0..60 {
        let faults = Faults { delay_max: 1, crash: Some((0, steps)), ..Faults::default() };
        assert!(World::new(1, steps, faults).run(6, LIMIT).crashed);
    }
}
