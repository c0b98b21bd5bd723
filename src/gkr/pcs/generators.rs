//! Generators that nobody chose.
//!
//! `G_i` is hashed to the curve by try-and-increment: for `n = 0, 1, …` the 64 bytes
//! `SHA-512(domain ‖ 0 ‖ i ‖ n)`, both numbers as 8 bytes little-endian, are drawn until the first 48
//! of them, as a little-endian integer modulo the field order, are the `x` of a point; the lowest bit
//! of the last byte says whether `y` is the larger of the two roots. BN254 G1 has cofactor 1, so every point of the curve
//! is in the group. No discrete logarithm between two generators is known to anyone. `U` is the
//! generator of index 2^64 − 1, `H` that of index 2^64 − 2. The inputs are public, so time that depends on them tells nothing.

use std::sync::Arc;

use ark_bn254::{Fq, G1Affine};
use sha2::{Digest, Sha512};

use super::curve;
use crate::sumcheck::par;
use crate::sumcheck::transcript::from_words;

/// The domain of the generators of this library.
pub const DOMAIN: &[u8] = b"voxcheck hyrax bn254 g1 v1";

/// Generators that are computed in one batch.
const TOGETHER: usize = 64;

/// The generators of row commitments, one more for inner products, and one for blinding factors.
#[derive(Clone, Debug)]
pub struct Generators {
    row: Arc<[G1Affine]>,
    inner: G1Affine,
    blinding: G1Affine,
}

impl Generators {
    /// The generators of rows of `2^width_vars` entries. A narrower list is a prefix of a wider one.
    #[must_use]
    pub fn new(width_vars: usize) -> Self {
        Self::with_domain(DOMAIN, width_vars)
    }

    /// The first of these, for rows of `2^width_vars` entries.
    ///
    /// # Panics
    /// If there are fewer.
    #[must_use]
    pub fn prefix(&self, width_vars: usize) -> Self {
        Self { row: self.row[..1 << width_vars].into(), ..self.clone() }
    }

    /// Generators for another `domain`.
    #[must_use]
    pub fn with_domain(domain: &[u8], width_vars: usize) -> Self {
        let len = 1 << width_vars;
        let row = par::map(usize::div_ceil(len, TOGETHER), |group| {
            let indices: Vec<u64> = (group * TOGETHER..((group + 1) * TOGETHER).min(len)).map(|i| i as u64).collect();
            hash_to_curve(domain, &indices)
        });
        let [inner, blinding] = [u64::MAX, u64::MAX - 1].map(|index| hash_to_curve(domain, &[index])[0]);
        Self { row: row.concat().into(), inner, blinding }
    }

    /// `G_0, …, G_{W−1}`.
    pub fn row(&self) -> &[G1Affine] {
        &self.row
    }

    /// `U`.
    pub fn inner(&self) -> G1Affine {
        self.inner
    }

    /// `H`.
    pub fn blinding(&self) -> G1Affine {
        self.blinding
    }
}

/// The generators of these indices.
fn hash_to_curve(domain: &[u8], indices: &[u64]) -> Vec<G1Affine> {
    let mut found = vec![G1Affine::identity(); indices.len()];
    let mut missing: Vec<usize> = (0..indices.len()).collect();
    let mut attempt = 0u64;
    while !missing.is_empty() {
        let coordinates: Vec<(Fq, bool)> =
            missing.iter().map(|&place| candidate(domain, indices[place], attempt)).collect();
        let points = curve::points(&coordinates);
        let mut still = Vec::new();
        for (place, point) in missing.into_iter().zip(points) {
            match point {
                Some(point) => found[place] = point,
                None => still.push(place),
            }
        }
        missing = still;
        attempt += 1;
    }
    found
}

/// An `x`, and whether to take the larger `y`.
fn candidate(domain: &[u8], index: u64, attempt: u64) -> (Fq, bool) {
    let hash = Sha512::new()
        .chain_update(domain)
        .chain_update([0])
        .chain_update(index.to_le_bytes())
        .chain_update(attempt.to_le_bytes())
        .finalize();
    let (x, sign) = hash.split_at(48);
    (from_words(x.as_chunks().0), sign.last().is_some_and(|byte| byte & 1 == 1))
}

#[cfg(test)]
mod tests {
    use ark_ec::AffineRepr;
    use ark_serialize::CanonicalSerialize;

    use super::*;

    fn encoded(point: G1Affine) -> String {
        let mut bytes = Vec::new();
        point.serialize_compressed(&mut bytes).unwrap();
        hex::encode(bytes)
    }

    #[test]
    // The expected values come from an independent implementation in another language.
    fn the_first_generators_are_golden() {
        let generators = Generators::new(1);
        assert_eq!(encoded(generators.row()[0]), "d129084f5014f92a53db4dcc709b4d9b58604df16c6115893d3c03765e765e05");
        assert_eq!(encoded(generators.row()[1]), "de1ac8e0753cade1e697c81378917bbb1e972e1e161c807d5b2d75a01e7a8300");
        assert_eq!(encoded(generators.inner()), "33ead2dc202b9dac714ed5d8e314a2027e9e4afe07d81f4c38c8f928ff018293");
    }

    #[test]
    fn generators_are_distinct_points_of_the_group_and_prefixes_agree() {
        let wide = Generators::new(5);
        let narrow = Generators::new(3);
        assert_eq!(&wide.row()[..8], narrow.row());
        assert_eq!(wide.prefix(3).row(), narrow.row());
        assert_eq!(wide.inner(), narrow.inner());
        for (i, g) in wide.row().iter().enumerate() {
            assert!(g.is_on_curve() && g.is_in_correct_subgroup_assuming_on_curve() && !g.is_zero());
            assert!(!wide.row()[..i].contains(g) && !wide.row()[..i].contains(&-*g));
            assert_ne!(*g, wide.inner());
            assert_ne!(*g, wide.blinding());
        }
        assert_ne!(Generators::with_domain(b"another", 3).row(), narrow.row());
    }
}
