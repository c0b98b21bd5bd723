//! Keys of row commitments: generators, and what a prover computes from them once.

use std::sync::{Arc, OnceLock};

use ark_bn254::{Fr, G1Projective};
use ark_ff::Field;

use super::blinding::Blinder;
use super::generators::Generators;
use super::msm::{Comb, Multiples};
use crate::gkr::program::MAX_WIDTH_VARS;
use crate::sumcheck::par;

/// Scalars that the inner-product argument sends at the end, at most, unless a key says otherwise.
const END: usize = 256;

/// Rounds of the inner-product argument unless a key says otherwise: more, if [`END`] demands it.
const LEAST_ROUNDS: usize = 3;

/// Rounds of the inner-product argument over rows of `2^width_vars` entries, unless a key says otherwise.
#[must_use]
pub fn default_rounds(width_vars: usize) -> usize {
    width_vars.saturating_sub(END.ilog2() as usize).max(LEAST_ROUNDS)
}

/// Variables of the longest row that is short: the values of a round, and a few more.
const SHORT_VARS: usize = 2;

/// Widths of rows that there can be.
const WIDTHS: usize = MAX_WIDTH_VARS + 1;

/// What both sides know: generators for the longest rows, and how many rounds to play.
///
/// Generators are computed for the widths that are asked for, once; clones share them.
#[derive(Clone, Debug)]
pub struct VerifierKey {
    pub(super) max_width_vars: usize,
    rounds: Option<usize>,
    generators: Arc<[OnceLock<Generators>; WIDTHS]>,
}

impl VerifierKey {
    /// A key for rows of at most `2^max_width_vars` entries.
    ///
    /// # Panics
    /// If that is more than [`MAX_WIDTH_VARS`].
    #[must_use]
    pub fn new(max_width_vars: usize) -> Self {
        assert!(max_width_vars <= MAX_WIDTH_VARS, "rows of at most 2^{MAX_WIDTH_VARS} entries");
        Self { max_width_vars, rounds: None, generators: Arc::default() }
    }

    /// A key whose inner-product argument plays `rounds` rounds; prover and verifier must agree.
    #[must_use]
    pub fn with_rounds(max_width_vars: usize, rounds: usize) -> Self {
        Self { rounds: Some(rounds), ..Self::new(max_width_vars) }
    }

    /// The generators of rows of `2^width_vars` entries.
    ///
    /// # Panics
    /// If the key is for narrower rows.
    #[must_use]
    pub fn generators(&self, width_vars: usize) -> &Generators {
        assert!(width_vars <= self.max_width_vars, "the key is for rows of at most 2^{} entries", self.max_width_vars);
        par::get_or_compute(&self.generators[width_vars], || {
            let wider = self.generators.iter().skip(width_vars + 1).find_map(OnceLock::get);
            wider.map_or_else(|| Generators::new(width_vars), |wider| wider.prefix(width_vars))
        })
    }

    /// Computes the generators of the widest rows, which the first verification would else do for those it needs.
    pub fn prepare(&self) {
        let _ = self.generators(self.max_width_vars);
    }

    pub(super) fn rounds(&self, width_vars: usize) -> usize {
        self.rounds.unwrap_or_else(|| default_rounds(width_vars))
    }
}

/// A verifier key with room for the multiples of its generators (8 KiB each), which the first
/// commitment of a width computes. Clones share them.
#[derive(Clone)]
pub struct ProverKey {
    pub(super) key: VerifierKey,
    multiples: Arc<[OnceLock<Multiples>; WIDTHS]>,
    blinder: Arc<OnceLock<Blinder>>,
    comb: Arc<OnceLock<Comb>>,
}

impl ProverKey {
    /// The prover's side of `key`.
    #[must_use]
    pub fn new(key: VerifierKey) -> Self {
        Self { key, multiples: Arc::default(), blinder: Arc::default(), comb: Arc::default() }
    }

    /// The verifier's side.
    #[must_use]
    pub fn verifier_key(&self) -> &VerifierKey {
        &self.key
    }

    /// The multiples of the generators of rows of `2^width_vars` entries, or of longer ones; computes them if nobody has.
    ///
    /// # Panics
    /// If the key is for narrower rows.
    #[must_use]
    pub fn multiples(&self, width_vars: usize) -> &Multiples {
        // The first generators are the same whatever the width.
        let longer = self.multiples.iter().skip(width_vars + 1).find_map(OnceLock::get);
        longer.unwrap_or_else(|| {
            let generators = self.key.generators(width_vars);
            par::get_or_compute(&self.multiples[width_vars], || Multiples::new(generators.row()))
        })
    }

    /// Computes what hiding needs, which the first hiding proof would else do.
    pub fn prepare_hiding(&self) {
        let (_, _) = par::join(|| self.blinder().multiply(Fr::ONE), || self.comb().num_generators());
    }

    fn comb(&self) -> &Comb {
        let short_vars = SHORT_VARS.min(self.key.max_width_vars);
        par::get_or_compute(&self.comb, || Comb::new(self.key.generators(short_vars).row()))
    }

    /// The multiples of the generator of blinding factors; computes them if nobody has.
    #[must_use]
    pub fn blinder(&self) -> &Blinder {
        par::get_or_compute(&self.blinder, || Blinder::new(self.key.generators(0).blinding()))
    }

    /// `Σ_j values[j]·G_j` for a row of `2^width_vars` entries that begins with these values and ends in zeros.
    ///
    /// # Panics
    /// If there are more values, or the key is for narrower rows.
    pub fn combine(&self, values: &[Fr], width_vars: usize) -> G1Projective {
        assert!(values.len() <= 1 << width_vars, "values fit their row");
        let comb = self.comb();
        if values.len() <= comb.num_generators() {
            comb.combine(values)
        } else {
            self.multiples(width_vars).combine(values.iter().copied().enumerate())
        }
    }
}
