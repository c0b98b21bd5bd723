//! Where the time of a proof goes, for a program that only looks values up.
//!
//! `cargo run --release --example lookup_cost -- [bits…]` proves programs of `2^bits` lookups (18 and 20 by
//! default) of 16-bit committed values: half in a range table, half in a two-column ReLU table, both of
//! `2^16` entries. It prints the time of every stage and the marginal cost a lookup between sizes. Set
//! `RAYON_NUM_THREADS` to choose the number of threads.

use std::sync::Arc;
use std::time::Instant;

use voxcheck::gkr::builder::{Hint, ProgramBuilder, Recipes};
use voxcheck::gkr::pcs::{Hyrax, MultilinearPcs, ProverKey, VerifierKey};
use voxcheck::gkr::program::{Column, MAX_WIDTH_VARS, Program, ProgramError, SHARED_WIDTH_VARS};
use voxcheck::gkr::prover::{self, PublicCommitments, Witness};
use voxcheck::gkr::tables::Table;
use voxcheck::gkr::trace::Trace;
use voxcheck::gkr::verifier;
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier};
use voxcheck::sumcheck::int::{IntTable, IntVec};
use voxcheck::sumcheck::transcript::Merlin;

/// Columns of the looked-up tensors.
const COLS: usize = 256;

/// `2^(bits − 1)` values `x` of 16 bits, and their ReLU `y`: one range lookup and one pair lookup each.
fn program(bits: usize) -> Result<(Program, Recipes), ProgramError> {
    let rows = (1 << (bits - 1)) / COLS;
    let low = -(1i128 << 15);
    let mut p = ProgramBuilder::new(16);
    let seed = p.input("seed", (1, COLS), low, -low - 1)?;
    p.range(p.whole(seed), low, 16)?;
    let mix = |i: usize, s: i128| (i as i128 * 40_503 + s * 9973 + (i as i128 * i as i128) % 641).rem_euclid(1 << 16);
    let hint =
        Hint::whole(move |args| Ok((0..rows * COLS).map(|i| mix(i, args[0].values().get(i % COLS)) + low).collect()));
    let x = p.witness("x", (rows, COLS), (low, -low - 1), &[seed], hint)?;
    p.range(p.whole(x), low, 16)?;
    let relu = Table::function("relu", low as i64, (low as i64..-low as i64).map(|x| x.max(0)).collect());
    let relu = p.table(relu)?;
    let y = p.witness("y", (rows, COLS), (0, -low - 1), &[x], Hint::entrywise(|x| x.max(0)))?;
    let column = |view| Column { view, scale: 1, offset: 0 };
    p.lookup(vec![column(p.whole(x)), column(p.whole(y))], relu)?;
    p.finish()
}

fn peak_mib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM"))?;
    line.split_whitespace().nth(1)?.parse::<f64>().ok().map(|kib| kib / 1024.0)
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut sizes: Vec<usize> = std::env::args().skip(1).map(|arg| arg.parse()).collect::<Result<_, _>>()?;
    if sizes.is_empty() {
        sizes = vec![18, 20];
    }
    let key = ProverKey::new(VerifierKey::new(MAX_WIDTH_VARS));
    let seed = Arc::new(IntTable::new(1, COLS, IntVec::I16((0..COLS as i16).map(|i| i * 77 - 9000).collect())));
    println!("{} thread(s); times in ms", voxcheck::sumcheck::par::threads());
    println!("bits     run  commit  lookup   waves    open    total  verify  proof KiB  peak MiB");
    let mut last: Option<(usize, [f64; 4])> = None;
    for bits in sizes {
        let (program, recipes) = program(bits)?;
        // What a loaded key has.
        let _ = key.multiples(program.max_width_vars());
        let ms = |clock: Instant| clock.elapsed().as_secs_f64() * 1e3;
        let clock = Instant::now();
        let trace = Trace::run(&program, &recipes, &[Arc::clone(&seed)], &[])?;
        let run = ms(clock);
        let input = Hyrax::commit(&key, &seed, SHARED_WIDTH_VARS);
        let public = PublicCommitments { inputs: &[&input], constants: &[] };
        let mut channel = PlainProver::new(Merlin::new(b"lookup_cost"));
        let clock = Instant::now();
        let timings = prover::prove::<Hyrax, _>(&key, &program, Witness::new(&trace), &public, &mut channel);
        let total = ms(clock);
        let proof = channel.into_proof();
        let peak = peak_mib().unwrap_or(f64::NAN);
        let mut channel = PlainVerifier::new(Merlin::new(b"lookup_cost"), &proof);
        let clock = Instant::now();
        verifier::verify::<Hyrax, _>(key.verifier_key(), &program, &[], &public, &mut channel)?;
        let stages = [timings.commit, timings.lookup, timings.waves, timings.open].map(|t| t.as_secs_f64() * 1e3);
        let [commit, lookup, waves, open] = stages;
        println!(
            "{bits:4} {run:7.1} {commit:7.1} {lookup:7.1} {waves:7.1} {open:7.1} {total:8.1} {:7.1} {:10.1} {peak:9.0}",
            ms(clock),
            proof.len() as f64 / 1024.0
        );
        let all = [run, commit, lookup, open];
        if let Some((old, before)) = last {
            let more = ((1usize << bits) - (1usize << old)) as f64;
            let ns: Vec<f64> = all.iter().zip(before).map(|(now, then)| (now - then) * 1e6 / more).collect();
            println!(
                "     marginal ns a lookup: run {:.1}, commit {:.1} ({:.1} a byte), lookup {:.1}, open {:.1}",
                ns[0],
                ns[1],
                ns[1] / 2.0,
                ns[2],
                ns[3]
            );
        }
        last = Some((bits, all));
    }
    Ok(())
}
