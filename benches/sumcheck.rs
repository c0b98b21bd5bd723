//! Sum-checks: products of field tables, and `eq`-weighted products of small integers.
//!
//! `cargo bench --bench sumcheck`; ids are `group/what/size`.

use ark_ff::UniformRand;
use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use voxcheck::gkr::Fr;
use voxcheck::sumcheck::batch;
use voxcheck::sumcheck::channel::PlainProver;
use voxcheck::sumcheck::int::{IntTable, IntVec};
use voxcheck::sumcheck::kernels::{EqProduct, Product};
use voxcheck::sumcheck::small::{fold_cols, fold_rows};
use voxcheck::sumcheck::transcript::Merlin;

fn random(len: usize) -> Vec<Fr> {
    let mut rng = ark_std::test_rng();
    (0..len).map(|_| Fr::rand(&mut rng)).collect()
}

fn channel() -> PlainProver<Merlin> {
    PlainProver::new(Merlin::new(b"bench"))
}

fn product<const K: usize>(c: &mut Criterion, bits: usize) {
    let tables: [Vec<Fr>; K] = std::array::from_fn(|_| random(1 << bits));
    let sum = Product::new(bits, tables.clone()).sum();
    let mut group = c.benchmark_group("sumcheck");
    group.sample_size(10).throughput(Throughput::Elements(1 << bits));
    group.bench_function(BenchmarkId::new(format!("product{K}"), bits), |b| {
        b.iter_batched(
            || Product::new(bits, tables.clone()),
            |mut instance| batch::prove(&mut channel(), K, &mut [&mut instance], &[sum]),
            BatchSize::LargeInput,
        );
    });
    group.finish();
}

fn integers(bits: usize) -> IntTable {
    let (rows, cols) = (1 << (bits - 8), 1 << 8);
    IntTable::new(rows, cols, IntVec::I16((0..rows * cols).map(|i| (i * 40_503 % 65_536) as u16 as i16).collect()))
}

fn eq_product(c: &mut Criterion, bits: usize) {
    let table = integers(bits);
    let (weights, point) = (random(table.rows()), random(8));
    let mut group = c.benchmark_group("sumcheck");
    group.sample_size(10).throughput(Throughput::Elements(1 << bits));
    group.bench_function(BenchmarkId::new("eq-product", bits), |b| {
        b.iter(|| {
            let mut instance = EqProduct::new(&table, &table, bits - 8, weights.clone(), point.clone());
            // The messages do not depend on whether the claim is true.
            batch::prove(&mut channel(), 3, &mut [&mut instance], &[Fr::from(1u64)])
        });
    });
    group.finish();
}

fn folds(c: &mut Criterion, bits: usize) {
    let table = integers(bits);
    let (cols, rows) = (random(table.cols()), (0u32..).zip(random(table.rows())).collect::<Vec<_>>());
    let mut group = c.benchmark_group("fold");
    group.sample_size(10).throughput(Throughput::Elements(1 << bits));
    group.bench_function(BenchmarkId::new("cols", bits), |b| b.iter(|| fold_cols(&table, &cols)));
    group.bench_function(BenchmarkId::new("rows", bits), |b| b.iter(|| fold_rows(&table, &rows)));
    group.finish();
}

fn all(c: &mut Criterion) {
    product::<2>(c, 18);
    product::<3>(c, 18);
    eq_product(c, 18);
    folds(c, 20);
}

criterion_group!(benches, all);
criterion_main!(benches);
