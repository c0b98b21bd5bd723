//! The kernels that a machine with these instructions has.

use ark_bn254::Fr;

use super::{
    bind, bind_entries, bind_scaled, bind_stored, leading, leading_of_entries, leading_of_stored, mix_entries,
    mix_stored, parents, parents_of_entries, parents_of_stored,
};
use crate::simd::lanes::Ifma;
use crate::simd::{Denominators, Kernels, LANES};

/// A slice as whole vectors.
fn vectors<T>(slice: &[T], len: usize) -> &[[T; LANES]] {
    let (vectors, rest) = slice.as_chunks();
    assert!(slice.len() == len && rest.is_empty(), "slices of one length, a multiple of the lanes");
    vectors
}

fn vectors_mut<T>(slice: &mut [T], len: usize) -> &mut [[T; LANES]] {
    assert!(slice.len() == len && len.is_multiple_of(LANES), "slices of one length, a multiple of the lanes");
    slice.as_chunks_mut().0
}

impl Kernels<Fr> for Ifma {
    fn parents_of_ones(&self, q: Denominators<'_, Fr, 2>, [p_out, q_out]: [&mut [Fr]; 2]) {
        let len = q.len();
        let (p_out, q_out) = (vectors_mut(p_out, len), vectors_mut(q_out, len));
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            match q {
                Denominators::Stored(q) => parents_of_stored(vectors(q, len), p_out, q_out),
                Denominators::Entries(values, q) => parents_of_entries(values, vectors(q, len), p_out, q_out),
            }
        }
    }

    fn parents(&self, p: &[[Fr; 2]], q: &[[Fr; 2]], [p_out, q_out]: [&mut [Fr]; 2]) {
        let len = q.len();
        let (p, q) = (vectors(p, len), vectors(q, len));
        let (p_out, q_out) = (vectors_mut(p_out, len), vectors_mut(q_out, len));
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { parents(p, q, p_out, q_out) }
    }

    fn leading_of_ones(&self, weights: &[Fr], q: Denominators<'_, Fr, 4>) -> Fr {
        let len = q.len();
        let weights = vectors(weights, len);
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            match q {
                Denominators::Stored(q) => leading_of_stored(weights, vectors(q, len)),
                Denominators::Entries(values, q) => leading_of_entries(weights, values, vectors(q, len)),
            }
        }
    }

    fn leading(&self, weights: &[Fr], q: &[[Fr; 4]], p: &[[Fr; 4]], lambda: Fr) -> Fr {
        let len = q.len();
        let (weights, q, p) = (vectors(weights, len), vectors(q, len), vectors(p, len));
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe { leading(weights, q, p, lambda) }
    }

    fn mix_children(&self, x: Denominators<'_, Fr, 8>, out: &mut [[Fr; 4]], r: Fr) {
        let len = x.len();
        let out = vectors_mut(out, len);
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            match x {
                Denominators::Stored(x) => mix_stored(vectors(x, len), out, r),
                Denominators::Entries(values, x) => mix_entries(values, vectors(x, len), out, r),
            }
        }
    }

    fn bind_ones(&self, weights: &[Fr], q: Denominators<'_, Fr, 8>, out: &mut [[Fr; 4]], r: Fr, one: Fr) -> [Fr; 2] {
        let len = q.len();
        let (weights, out) = (vectors(weights, len), vectors_mut(out, len));
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            match q {
                Denominators::Stored(q) => bind_stored(weights, vectors(q, len), out, r, one),
                Denominators::Entries(values, q) => bind_entries(weights, values, vectors(q, len), out, [r, one]),
            }
        }
    }

    fn bind(
        &self,
        weights: &[Fr],
        [q, v]: [&[[Fr; 8]]; 2],
        [q_out, v_out]: [&mut [[Fr; 4]]; 2],
        r: Fr,
        factor: Option<Fr>,
    ) -> [Fr; 2] {
        let len = q.len();
        let (weights, inputs) = (vectors(weights, len), [vectors(q, len), vectors(v, len)]);
        let outputs = [vectors_mut(q_out, len), vectors_mut(v_out, len)];
        // SAFETY: `self` proves that the machine has the instructions.
        unsafe {
            match factor {
                None => bind(weights, inputs, outputs, r),
                Some(factor) => bind_scaled(weights, inputs, outputs, r, factor),
            }
        }
    }
}
