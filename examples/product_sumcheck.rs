//! A bare product sum-check over ark-poly's multilinear extensions.
//!
//! `cargo run --release --example product_sumcheck -- [variables]`

use std::time::Instant;

use ark_poly::{DenseMultilinearExtension, MultilinearExtension};
use voxcheck::gkr::Fr;
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier, VerifierChannel};
use voxcheck::sumcheck::dense::{FactorClaims, prove_product, verify_product};
use voxcheck::sumcheck::transcript::Merlin;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let num_vars = std::env::args().nth(1).map_or(Ok(16), |arg| arg.parse())?;
    let mut rng = ark_std::test_rng();
    let factors: [DenseMultilinearExtension<Fr>; 2] =
        std::array::from_fn(|_| DenseMultilinearExtension::rand(num_vars, &mut rng));

    let clock = Instant::now();
    let mut prover = PlainProver::new(Merlin::new(b"product_sumcheck"));
    let _ = prove_product(&mut prover, &factors);
    let proof = prover.into_proof();
    println!("proved a sum over 2^{num_vars} terms in {:.1?}: {} bytes", clock.elapsed(), proof.len());

    let mut verifier = PlainVerifier::new(Merlin::new(b"product_sumcheck"), &proof);
    let claims: FactorClaims<Fr, Fr, 2> = verify_product(&mut verifier, num_vars)?;
    VerifierChannel::<Fr>::finish(verifier)?;
    // What is left: the factors' values at the point, here from the tables themselves.
    assert!(claims.hold_for(&factors), "the factors have other values");
    println!("verified: the sum is {}", claims.sum);
    Ok(())
}
