//! Real and simulated proofs of one statement, compared: every element, and pairs of them, over many runs.
//!
//! In theory both are distributed alike, element by element uniform. What is tested is what a test can afford:
//! chi-square of three bits of every element against the uniform distribution, for real and simulated proofs; and
//! of two bits each of neighbours, and of elements and the ones half a proof away, real against simulated.

use voxcheck::gkr::pcs::Hyrax;

use crate::common::key;
use crate::{elements, programs, simulator, toy};

const RUNS: usize = 240;

/// Chi-square of counts against equal expectations.
fn against_uniform(counts: &[usize]) -> f64 {
    let expected = counts.iter().sum::<usize>() as f64 / counts.len() as f64;
    counts.iter().map(|&count| (count as f64 - expected).powi(2) / expected).sum()
}

/// Chi-square of two rows of counts of the same number of observations.
fn against_each_other(a: &[usize], b: &[usize]) -> f64 {
    let terms = a.iter().zip(b).filter(|&(&a, &b)| a + b > 0);
    terms.map(|(&a, &b)| (a as f64 - b as f64).powi(2) / (a + b) as f64).sum()
}

/// Counts of a number below `cells` of every run.
fn counts(runs: &[Vec<[u8; 32]>], cells: usize, number: impl Fn(&[[u8; 32]]) -> usize) -> Vec<usize> {
    let mut counts = vec![0; cells];
    runs.iter().for_each(|run| counts[number(run)] += 1);
    counts
}

/// What a chi-square value of `freedom` degrees exceeds with a probability of about `probability`
/// (Wilson and Hilferty's approximation, and one of the normal quantile's tail).
fn bound(freedom: f64, probability: f64) -> f64 {
    let t = (-2.0 * probability.ln()).sqrt();
    let quantile =
        t - (2.515_517 + t * (0.802_853 + t * 0.010_328)) / (1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308)));
    let spread = 2.0 / (9.0 * freedom);
    freedom * (1.0 - spread + quantile * spread.sqrt()).powi(3)
}

fn compare(real: &[Vec<[u8; 32]>], simulated: &[Vec<[u8; 32]>]) {
    let len = real[0].len();
    assert!(real.iter().chain(simulated).all(|run| run.len() == len));
    // One false alarm in a thousand runs of this test, over all the comparisons that it makes.
    let least = 1e-3 / (4 * len) as f64;
    for at in 0..len {
        for runs in [real, simulated] {
            let chi = against_uniform(&counts(runs, 8, |run| usize::from(run[at][0] & 7)));
            assert!(chi < bound(7.0, least), "element {at} of {len} is not uniform: {chi}");
        }
        for other in [(at + 1) % len, (at + len / 2) % len] {
            let pair = |run: &[[u8; 32]]| usize::from(run[at][1] & 3) << 2 | usize::from(run[other][1] & 3);
            let chi = against_each_other(&counts(real, 16, pair), &counts(simulated, 16, pair));
            assert!(chi < bound(15.0, least), "elements {at} and {other} of {len} tell real from simulated: {chi}");
        }
    }
}

#[test]
fn real_and_simulated_proofs_look_alike() {
    for case in [toy::recurrence(), programs::decision()] {
        let trace = case.run();
        let commitments = case.commitments::<Hyrax>(key(), &trace);
        let outputs: Vec<_> = case.program.outputs().iter().map(|&id| trace.get(id)).collect();
        let real: Vec<_> = (0..RUNS).map(|_| elements(&case.prove_hiding(&trace))).collect();
        let simulated: Vec<_> = (0..RUNS as u64)
            .map(|seed| elements(&simulator::simulate(&case.program, &outputs, &commitments, seed).proof))
            .collect();
        compare(&real, &simulated);
    }
}

/// The comparison notices what it should: an element that does not change, and one that follows another.
#[test]
fn the_comparison_notices_what_is_not_hidden() {
    let noise = |seed: u64| -> Vec<Vec<[u8; 32]>> {
        use ark_std::rand::{Rng, SeedableRng};
        let mut rng = ark_std::rand::rngs::StdRng::seed_from_u64(seed);
        (0..RUNS).map(|_| (0..6).map(|_| rng.r#gen()).collect()).collect()
    };
    compare(&noise(1), &noise(2));
    let (mut fixed, mut following) = (noise(3), noise(4));
    fixed.iter_mut().for_each(|run| run[2] = [7; 32]);
    following.iter_mut().for_each(|run| run[4] = run[3]);
    for bad in [fixed, following] {
        assert!(std::panic::catch_unwind(|| compare(&bad, &noise(5))).is_err());
    }
}
