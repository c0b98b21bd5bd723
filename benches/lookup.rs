//! The fractional sum under all lookups.
//!
//! `cargo bench --bench lookup`; ids are `group/what/size`. Whole programs: `examples/lookup_cost.rs`.

use ark_ff::UniformRand;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use voxcheck::gkr::Fr;
use voxcheck::gkr::fraction::{self, Layer, Numerators, Recompute};
use voxcheck::sumcheck::channel::PlainProver;
use voxcheck::sumcheck::transcript::Merlin;

/// `2^bits` fractions; the numerators after the first `stored` are ones.
fn leaves(bits: usize, stored: usize) -> Layer<Fr> {
    let mut rng = ark_std::test_rng();
    let numerators: Vec<Fr> = (0..stored).map(|_| Fr::rand(&mut rng)).collect();
    let denominators = (0..1 << bits).map(|_| Fr::rand(&mut rng)).collect();
    Layer::new(Numerators::new(numerators, 1 << bits), denominators)
}

fn fractions(c: &mut Criterion) {
    let mut group = c.benchmark_group("lookup");
    for bits in [17, 18, 20] {
        // Proving does not depend on whether the sum is zero.
        for (what, stored) in [("ones", 0), ("stored", 1 << bits)] {
            let leaves = leaves(bits, stored);
            group.sample_size(10).throughput(Throughput::Elements(1 << bits));
            group.bench_function(BenchmarkId::new(what, bits), |b| {
                let channel = || PlainProver::new(Merlin::new(b"bench"));
                b.iter_batched(
                    || leaves.clone(),
                    |l| fraction::prove(&mut channel(), l, Recompute::LEAST),
                    BatchSize::LargeInput,
                );
            });
        }
    }
    group.finish();
}

criterion_group!(benches, fractions);
criterion_main!(benches);
