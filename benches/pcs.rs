//! Commitments to small integers and their opening.
//!
//! `cargo bench --bench pcs`; ids are `group/what/size`.

use ark_ff::UniformRand;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use voxcheck::gkr::Fr;
use voxcheck::gkr::pcs::{
    Blinds, ColumnWeights, Committed, Hyrax, MultilinearPcs, OpeningClaim, ProverKey, VerifierKey,
};
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier};
use voxcheck::sumcheck::eq::eq_prefix;
use voxcheck::sumcheck::int::{IntTable, IntVec};
use voxcheck::sumcheck::small::weighted_sum;
use voxcheck::sumcheck::transcript::Merlin;

const WIDTH: usize = 10;

fn table(bits: usize, bytes: usize) -> IntTable {
    let mixed = (0..1usize << bits).map(|i| i.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40);
    let values = match bytes {
        1 => IntVec::I8(mixed.map(|x| x as u8 as i8).collect()),
        _ => IntVec::I16(mixed.map(|x| x as u16 as i16).collect()),
    };
    IntTable::new(1 << (bits - WIDTH), 1 << WIDTH, values)
}

fn commit(c: &mut Criterion, key: &ProverKey) {
    let mut group = c.benchmark_group("commit");
    for (bits, bytes) in [(17, 1), (20, 1), (17, 2), (20, 2)] {
        let table = table(bits, bytes);
        let _ = Hyrax::commit(key, &table, WIDTH);
        group.sample_size(10).throughput(Throughput::Bytes((bytes as u64) << bits));
        group.bench_function(BenchmarkId::new(format!("i{}", 8 * bytes), bits), |b| {
            b.iter(|| Hyrax::commit(key, &table, WIDTH));
        });
    }
    group.finish();
}

fn open(c: &mut Criterion, key: &ProverKey) {
    let mut group = c.benchmark_group("open");
    let mut rng = ark_std::test_rng();
    for bits in [17, 20] {
        let table = table(bits, 2);
        let commitment = Hyrax::commit(key, &table, WIDTH);
        let mut point = |n: usize| -> Vec<Fr> { (0..n).map(|_| Fr::rand(&mut rng)).collect() };
        let claims: Vec<OpeningClaim<Fr>> = (0..4)
            .map(|_| {
                let (cols, rows) = (point(WIDTH), eq_prefix(&point(bits - WIDTH), table.rows()));
                let value = weighted_sum(&table, &rows, &eq_prefix(&cols, table.cols()));
                OpeningClaim { commitment: 0, row_weights: rows, col_weights: ColumnWeights::Point(cols), value }
            })
            .collect();
        let prove = || {
            let mut channel = PlainProver::new(Merlin::new(b"bench"));
            let committed = Committed { table: &table, commitment: &commitment, blinds: &Blinds::none() };
            Hyrax::open(key, &[committed], &claims, &mut channel);
            channel.into_proof()
        };
        group.sample_size(10);
        group.bench_function(BenchmarkId::new("prove4", bits), |b| b.iter(prove));
        let proof = prove();
        group.bench_function(BenchmarkId::new("verify4", bits), |b| {
            b.iter(|| {
                let mut channel = PlainVerifier::new(Merlin::new(b"bench"), &proof);
                Hyrax::verify_opening(key.verifier_key(), &[&commitment], &claims, &mut channel)
            });
        });
    }
    group.finish();
}

fn all(c: &mut Criterion) {
    let key = ProverKey::new(VerifierKey::new(WIDTH));
    commit(c, &key);
    open(c, &key);
}

criterion_group!(benches, all);
criterion_main!(benches);
