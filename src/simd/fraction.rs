//! The loops of a fraction tree on vectors: lane `i` works on the `i`-th of eight pairs of nodes.
//!
//! Products are 1/16 of what they stand for (see [`super::lanes`]): where they are stored, a factor is
//! taken times 16; in sums, two products deep, the total is multiplied by 256 at the end.

use ark_bn254::{Fr, FrConfig};
use ark_ff::{AdditiveGroup, Field, MontFp};

use super::LANES;
use super::lanes::{
    self, MAX_TERMS, add, add_product, broadcast, canonical, empty, mix, mul, mul_add, reduce, sub, times_16, total,
};
use super::memory::{load, load_pairs, load_pairs_apart, pair_rows, prefetch_after, prefetch_at, store, store_words};

mod kernels;

type Lanes = lanes::Lanes<FrConfig>;
type Sum = lanes::Sum<FrConfig>;

/// Vectors of `N` elements a lane.
type Groups<const N: usize> = [[Fr; N]; LANES];

/// What makes up for one product.
const SIXTEEN: Fr = MontFp!("16");
/// What makes up for two products.
const SQUARE: Fr = MontFp!("256");

/// Elements `2h` and `2h + 1` of every group.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn load_at<const N: usize>(groups: &Groups<N>, h: usize) -> [Lanes; 2] {
    load_pairs(|i| &groups[i].as_chunks::<2>().0[h])
}

/// Stores canonical values as elements `2h` and `2h + 1` of every group.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn store_at<const N: usize>(groups: &mut Groups<N>, h: usize, values: [Lanes; 2]) {
    for (group, row) in groups.iter_mut().zip(pair_rows(values)) {
        store_words(&mut group.as_chunks_mut::<2>().0[h], row);
    }
}

/// Elements `2h` and `2h + 1` of groups of places.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn load_entries<const N: usize>(values: &[Fr], groups: &[[u32; N]; LANES], h: usize) -> [Lanes; 2] {
    load_pairs_apart(|i| [2 * h, 2 * h + 1].map(|k| &values[groups[i][k] as usize]))
}

/// Asks for the values of groups that come next: nothing foresees them but their places.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn prefetch_entries<const N: usize>(values: &[Fr], groups: Option<&[[u32; N]; LANES]>) {
    if let Some(groups) = groups {
        for &place in groups.as_flattened() {
            prefetch_at(values, place as usize);
        }
    }
}

/// The four children after binding; canonical, and stored. `load(h)` gives elements `2h` and `2h + 1` of each group.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn bind_eight(load: impl Fn(usize) -> [Lanes; 2], out: &mut Groups<4>, r16: &Lanes) -> [Lanes; 4] {
    let half = |h: usize| {
        let (low, high) = (load(h), load(h + 1));
        [mix(low[0], high[0], r16), mix(low[1], high[1], r16)]
    };
    let first = half(0);
    store_at(out, 0, first);
    let second = half(2);
    store_at(out, 1, second);
    [first[0], first[1], second[0], second[1]]
}

/// [`bind_eight`] times a factor: `low16` is `16·factor·(1 − r)`, `high16` is `16·factor·r`.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn bind_eight_scaled(input: &Groups<8>, out: &mut Groups<4>, [low16, high16]: &[Lanes; 2]) -> [Lanes; 4] {
    let mix = |low: &Lanes, high: &Lanes| {
        let mut products = empty();
        add_product(&mut products, low, low16);
        add_product(&mut products, high, high16);
        // Below (1 + 2/84)·p.
        canonical(reduce(products))
    };
    let half = |h: usize| {
        let (low, high) = (load_at(input, h), load_at(input, h + 1));
        [mix(&low[0], &high[0]), mix(&low[1], &high[1])]
    };
    let first = half(0);
    store_at(out, 0, first);
    let second = half(2);
    store_at(out, 1, second);
    [first[0], first[1], second[0], second[1]]
}

/// `a₀·(a₁ + b₁) + b₀·a₁` for factors `a₀`, `sum = a₁ + b₁`, `b₀`, `a₁`, over 16.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn node(a0: &Lanes, sum: &Lanes, b0: &Lanes, a1: &Lanes) -> Lanes {
    let mut products = empty();
    add_product(&mut products, a0, sum);
    add_product(&mut products, b0, a1);
    reduce(products)
}

/// Leading coefficient of a pair of nodes, over 16: below (1 + (2·4 + 2·2)/84)·p.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn slopes(q: &[Lanes; 4], v: &[Lanes; 4]) -> Lanes {
    let (q0, q1) = (sub(q[2], &q[0]), sub(q[3], &q[1]));
    let (v0, v1) = (sub(v[2], &v[0]), sub(v[3], &v[1]));
    node(&q0, &add(q1, &v1), &v0, &q1)
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn parents_of_ones(load: impl Fn(usize) -> [Lanes; 2], p_out: &mut [[Fr; LANES]], q_out: &mut [[Fr; LANES]]) {
    for (k, (p_out, q_out)) in p_out.iter_mut().zip(q_out).enumerate() {
        let [q0, q1] = load(k);
        store(p_out, canonical(add(q0, &q1)));
        let product = mul(&times_16(q0), &q1);
        // Below (1 + 16/84)·p.
        store(q_out, canonical(product));
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn parents_of_stored(q: &[Groups<2>], p_out: &mut [[Fr; LANES]], q_out: &mut [[Fr; LANES]]) {
    parents_of_ones(|k| load_at(&q[k], 0), p_out, q_out);
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn parents_of_entries(values: &[Fr], q: &[[[u32; 2]; LANES]], p_out: &mut [[Fr; LANES]], q_out: &mut [[Fr; LANES]]) {
    let load = |k: usize| {
        // A vector of pairs takes a fraction of the time that a line takes from the last cache.
        prefetch_entries(values, q.get(k + 8));
        load_entries(values, &q[k], 0)
    };
    parents_of_ones(load, p_out, q_out);
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn parents(p: &[Groups<2>], q: &[Groups<2>], p_out: &mut [[Fr; LANES]], q_out: &mut [[Fr; LANES]]) {
    for ((p, q), (p_out, q_out)) in p.iter().zip(q).zip(p_out.iter_mut().zip(q_out)) {
        let ([p0, p1], [q0, q1]) = (load_at(p, 0), load_at(q, 0));
        let (q0, p0) = (times_16(q0), times_16(p0));
        // Below (1 + 16/84)·p and (1 + 32/84)·p.
        let product = mul(&q0, &q1);
        store(q_out, canonical(product));
        let mut products = empty();
        add_product(&mut products, &p0, &q1);
        add_product(&mut products, &q0, &p1);
        store(p_out, canonical(reduce(products)));
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn leading_of_ones(weights: &[[Fr; LANES]], load_q: impl Fn(usize, usize) -> [Lanes; 2]) -> Fr {
    let mut sum = Fr::ZERO;
    for (chunk, weights) in weights.chunks(MAX_TERMS).enumerate() {
        let mut part = empty();
        for (k, weight) in weights.iter().enumerate() {
            let k = chunk * MAX_TERMS + k;
            let (low, high) = (load_q(k, 0), load_q(k, 1));
            let product = mul(&sub(high[0], &low[0]), &sub(high[1], &low[1]));
            // Below (1 + 4/84)·p.
            add_product(&mut part, &product, &load(weight));
        }
        sum += total(part);
    }
    sum * SQUARE
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn leading_of_stored(weights: &[[Fr; LANES]], q: &[Groups<4>]) -> Fr {
    leading_of_ones(weights, |k, h| load_at(&q[k], h))
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn leading_of_entries(weights: &[[Fr; LANES]], values: &[Fr], q: &[[[u32; 4]; LANES]]) -> Fr {
    let load = |k: usize, h: usize| {
        if h == 0 {
            prefetch_entries(values, q.get(k + 1));
        }
        load_entries(values, &q[k], h)
    };
    leading_of_ones(weights, load)
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn leading(weights: &[[Fr; LANES]], q: &[Groups<4>], p: &[Groups<4>], lambda: Fr) -> Fr {
    let lambda = broadcast(&(lambda * SIXTEEN));
    let mut sum = Fr::ZERO;
    let inputs = q.chunks(MAX_TERMS).zip(p.chunks(MAX_TERMS));
    for (weights, (q, p)) in weights.chunks(MAX_TERMS).zip(inputs) {
        let mut part = empty();
        for (weight, (q, p)) in weights.iter().zip(q.iter().zip(p)) {
            let slopes = |x: &Groups<4>| {
                let (low, high) = (load_at(x, 0), load_at(x, 1));
                [sub(high[0], &low[0]), sub(high[1], &low[1])]
            };
            let ([q0, q1], [p0, p1]) = (slopes(q), slopes(p));
            let mut crossed = empty();
            add_product(&mut crossed, &q0, &p1);
            add_product(&mut crossed, &p0, &q1);
            // Below (1 + 8/84)·p; then (1 + (4 + 1.1)/84)·p.
            let crossed = reduce(crossed);
            let mut node = empty();
            add_product(&mut node, &q0, &q1);
            add_product(&mut node, &crossed, &lambda);
            add_product(&mut part, &reduce(node), &load(weight));
        }
        sum += total(part);
    }
    sum * SQUARE
}

/// Adds a node at 0 and a leading coefficient to their sums.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn add_weighted(sums: &mut [Sum; 2], weight: &[Fr; LANES], values: [Lanes; 2]) {
    let weight = load(weight);
    add_product(&mut sums[0], &values[0], &weight);
    add_product(&mut sums[1], &values[1], &weight);
}

#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn bind_ones(
    weights: &[[Fr; LANES]],
    load: impl Fn(usize, usize) -> [Lanes; 2],
    out: &mut [Groups<4>],
    r: Fr,
    one: Fr,
) -> [Fr; 2] {
    let r16 = broadcast(&(r * SIXTEEN));
    let one = broadcast(&one);
    // −λ²/16: below p, or p.
    let square = sub(broadcast(&Fr::ZERO), &canonical(mul(&one, &one)));
    let mut sums = [Fr::ZERO; 2];
    let chunks = weights.chunks(MAX_TERMS).zip(out.chunks_mut(MAX_TERMS));
    for (chunk, (weights, out)) in chunks.enumerate() {
        let mut parts = [empty(); 2];
        for (k, (weight, out)) in weights.iter().zip(out).enumerate() {
            let [q0, q1, q2, q3] = bind_eight(|h| load(chunk * MAX_TERMS + k, h), out, &r16);
            // Below (2 + 4/84)·p and (1 + 4/84)·p.
            let at_0 = mul_add(&add(q0, &one), &add(q1, &one), square);
            let product = mul(&sub(q2, &q0), &sub(q3, &q1));
            add_weighted(&mut parts, weight, [at_0, product]);
        }
        sums = [sums[0] + total(parts[0]), sums[1] + total(parts[1])];
    }
    sums.map(|sum| sum * SQUARE)
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn bind_stored(weights: &[[Fr; LANES]], q: &[Groups<8>], out: &mut [Groups<4>], r: Fr, one: Fr) -> [Fr; 2] {
    let load = |k: usize, h: usize| {
        if h == 0 {
            prefetch_after(&q[k]);
        }
        load_at(&q[k], h)
    };
    bind_ones(weights, load, out, r, one)
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn bind_entries(
    weights: &[[Fr; LANES]],
    values: &[Fr],
    q: &[[[u32; 8]; LANES]],
    out: &mut [Groups<4>],
    [r, one]: [Fr; 2],
) -> [Fr; 2] {
    let load = |k: usize, h: usize| {
        if h == 0 {
            prefetch_entries(values, q.get(k + 1));
        }
        load_entries(values, &q[k], h)
    };
    bind_ones(weights, load, out, r, one)
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn mix_stored(x: &[Groups<8>], out: &mut [Groups<4>], r: Fr) {
    let r16 = broadcast(&(r * SIXTEEN));
    for (x, out) in x.iter().zip(out) {
        bind_eight(|h| load_at(x, h), out, &r16);
    }
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn mix_entries(values: &[Fr], x: &[[[u32; 8]; LANES]], out: &mut [Groups<4>], r: Fr) {
    let r16 = broadcast(&(r * SIXTEEN));
    for (k, out) in out.iter_mut().enumerate() {
        prefetch_entries(values, x.get(k + 1));
        bind_eight(|h| load_entries(values, &x[k], h), out, &r16);
    }
}

/// [`Kernels::bind`](super::Kernels::bind); `bind_v` binds the second input.
#[inline]
#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn bind_with(
    weights: &[[Fr; LANES]],
    [q, v]: [&[Groups<8>]; 2],
    [q_out, v_out]: [&mut [Groups<4>]; 2],
    r: Fr,
    bind_v: impl Fn(&Groups<8>, &mut Groups<4>) -> [Lanes; 4],
) -> [Fr; 2] {
    let r16 = broadcast(&(r * SIXTEEN));
    let mut sums = [Fr::ZERO; 2];
    let inputs = q.chunks(MAX_TERMS).zip(v.chunks(MAX_TERMS));
    let outputs = q_out.chunks_mut(MAX_TERMS).zip(v_out.chunks_mut(MAX_TERMS));
    for (weights, ((q, v), (q_out, v_out))) in weights.chunks(MAX_TERMS).zip(inputs.zip(outputs)) {
        let mut parts = [empty(); 2];
        let outputs = q_out.iter_mut().zip(v_out);
        for (weight, ((q, v), (q_out, v_out))) in weights.iter().zip(q.iter().zip(v).zip(outputs)) {
            prefetch_after(q);
            let q = bind_eight(|h| load_at(q, h), q_out, &r16);
            prefetch_after(v);
            let v = bind_v(v, v_out);
            // Below (1 + 3/84)·p and (1 + 12/84)·p.
            let at_0 = node(&q[0], &add(q[1], &v[1]), &v[0], &q[1]);
            add_weighted(&mut parts, weight, [at_0, slopes(&q, &v)]);
        }
        sums = [sums[0] + total(parts[0]), sums[1] + total(parts[1])];
    }
    sums.map(|sum| sum * SQUARE)
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn bind(weights: &[[Fr; LANES]], inputs: [&[Groups<8>]; 2], outputs: [&mut [Groups<4>]; 2], r: Fr) -> [Fr; 2] {
    let r16 = broadcast(&(r * SIXTEEN));
    bind_with(weights, inputs, outputs, r, |v, out| bind_eight(|h| load_at(v, h), out, &r16))
}

#[target_feature(enable = "avx512f,avx512ifma,avx512vbmi2")]
fn bind_scaled(
    weights: &[[Fr; LANES]],
    inputs: [&[Groups<8>]; 2],
    outputs: [&mut [Groups<4>]; 2],
    r: Fr,
    factor: Fr,
) -> [Fr; 2] {
    let factors = [Fr::ONE - r, r].map(|x| x * factor * SIXTEEN);
    let factors = [broadcast(&factors[0]), broadcast(&factors[1])];
    bind_with(weights, inputs, outputs, r, |v, out| bind_eight_scaled(v, out, &factors))
}

#[cfg(test)]
pub(super) mod tests {
    use ark_ff::UniformRand;
    use ark_std::rand::rngs::StdRng;
    use ark_std::rand::{Rng, SeedableRng};

    use super::super::lanes::Ifma;
    use super::super::{Denominators, Kernels};
    use super::*;

    /// Elements whose stored forms are at the edges of limbs and of the field, and random ones.
    pub(crate) fn element(rng: &mut StdRng) -> Fr {
        use ark_ff::{BigInteger, PrimeField};
        let mut limbs = Fr::MODULUS;
        match rng.gen_range(0..6) {
            // 0, 1, 2, p − 1, p − 2 as stored.
            0 => limbs = ark_ff::BigInt::from(rng.gen_range(0..3u64)),
            1 => {
                limbs.sub_with_borrow(&ark_ff::BigInt::from(rng.gen_range(1..3u64)));
            }
            // Some limbs of all ones or all zeros, of 64 or 52 bits.
            2 => {
                let ones = rng.gen_range(0..16u32);
                for (i, limb) in limbs.0.iter_mut().enumerate().take(3) {
                    *limb = if ones >> i & 1 == 1 { u64::MAX } else { 0 };
                }
                limbs.0[3] -= 1;
            }
            3 => {
                let keep = rng.gen_range(0..32u32);
                limbs.0 = [0; 4];
                for bit in (0..253).filter(|bit| keep >> (bit / 52) & 1 == 1) {
                    limbs.0[bit / 64] |= 1 << (bit % 64);
                }
            }
            // 1, p − 1 as values.
            4 => return if rng.r#gen() { Fr::ONE } else { -Fr::ONE },
            _ => return Fr::rand(rng),
        }
        Fr::new_unchecked(limbs)
    }

    fn elements<const N: usize>(rng: &mut StdRng, len: usize) -> Vec<[Fr; N]> {
        (0..len).map(|_| std::array::from_fn(|_| element(rng))).collect()
    }

    fn flat(rng: &mut StdRng, len: usize) -> Vec<Fr> {
        elements::<1>(rng, len).into_iter().map(|[x]| x).collect()
    }

    fn mix(x: &[Fr; 8], r: Fr) -> [Fr; 4] {
        [(0, 2), (1, 3), (4, 6), (5, 7)].map(|(low, high)| x[low] + r * (x[high] - x[low]))
    }

    fn node_of(q: [Fr; 2], v: [Fr; 2]) -> Fr {
        (q[0] + v[0]) * (q[1] + v[1]) - v[0] * v[1]
    }

    fn slopes_of(q: &[Fr; 4], v: &[Fr; 4]) -> Fr {
        node_of([q[2] - q[0], q[3] - q[1]], [v[2] - v[0], v[3] - v[1]])
    }

    /// A table, and groups of places in it.
    fn places<const N: usize>(rng: &mut StdRng, len: usize) -> (Vec<Fr>, Vec<[u32; N]>) {
        let table = flat(rng, 11);
        let places = (0..len).map(|_| std::array::from_fn(|_| rng.gen_range(0..11))).collect();
        (table, places)
    }

    fn looked_up<const N: usize>(table: &[Fr], places: &[[u32; N]]) -> Vec<[Fr; N]> {
        places.iter().map(|places| places.map(|place| table[place as usize])).collect()
    }

    /// Lengths around one vector, and around the number of terms that are summed before a reduction.
    fn lengths() -> impl Iterator<Item = usize> {
        (0..60).map(|i| LANES * (i % 5)).chain([
            LANES * MAX_TERMS,
            LANES * (MAX_TERMS + 1),
            LANES * (2 * MAX_TERMS + 1),
        ])
    }

    /// Calls `f` with the kernels, a length and a generator; without the instructions, never.
    fn each(mut f: impl FnMut(Ifma, usize, &mut StdRng)) {
        let Some(ifma) = Ifma::detect() else {
            eprintln!("no vector instructions on this machine: nothing to test");
            return;
        };
        let mut rng = StdRng::seed_from_u64(52);
        for len in lengths() {
            f(ifma, len, &mut rng);
        }
    }

    #[test]
    fn parents_are_those_of_the_library() {
        each(|ifma, len, rng| {
            let (p, q) = (elements::<2>(rng, len), elements::<2>(rng, len));
            let (mut p_out, mut q_out) = (flat(rng, len), flat(rng, len));
            let products: Vec<Fr> = q.iter().map(|q| q[0] * q[1]).collect();
            ifma.parents(&p, &q, [&mut p_out, &mut q_out]);
            let sums: Vec<Fr> = p.iter().zip(&q).map(|(p, q)| p[0] * q[1] + p[1] * q[0]).collect();
            assert_eq!((&p_out, &q_out), (&sums, &products));
            let (table, places) = places::<2>(rng, len);
            for (q, input) in [
                (q.clone(), Denominators::Stored(&q)),
                (looked_up(&table, &places), Denominators::Entries(&table, &places)),
            ] {
                ifma.parents_of_ones(input, [&mut p_out, &mut q_out]);
                let (sums, products): (Vec<Fr>, Vec<Fr>) = q.iter().map(|q| (q[0] + q[1], q[0] * q[1])).unzip();
                assert_eq!((&p_out, &q_out), (&sums, &products));
            }
        });
    }

    #[test]
    fn leading_coefficients_are_those_of_the_library() {
        each(|ifma, len, rng| {
            let (weights, q, p) = (flat(rng, len), elements::<4>(rng, len), elements::<4>(rng, len));
            let lambda = element(rng);
            let sum = |q: &[[Fr; 4]], v: &dyn Fn(usize) -> [Fr; 4]| {
                (0..len).map(|i| weights[i] * slopes_of(&q[i], &v(i))).sum::<Fr>()
            };
            assert_eq!(ifma.leading(&weights, &q, &p, lambda), sum(&q, &|i| p[i].map(|p| p * lambda)));
            assert_eq!(ifma.leading_of_ones(&weights, Denominators::Stored(&q)), sum(&q, &|_| [Fr::ONE; 4]));
            let (table, places) = places::<4>(rng, len);
            let q = looked_up(&table, &places);
            assert_eq!(
                ifma.leading_of_ones(&weights, Denominators::Entries(&table, &places)),
                sum(&q, &|_| [Fr::ONE; 4])
            );
        });
    }

    #[test]
    fn bound_layers_are_those_of_the_library() {
        each(|ifma, len, rng| {
            let (weights, q, v) = (flat(rng, len), elements::<8>(rng, len), elements::<8>(rng, len));
            let (r, one) = (element(rng), element(rng));
            let bound = |x: &[[Fr; 8]]| x.iter().map(|x| mix(x, r)).collect::<Vec<_>>();
            let sums = |q: &[[Fr; 4]], v: &dyn Fn(usize) -> [Fr; 4]| {
                (0..len).fold([Fr::ZERO; 2], |sum, i| {
                    let (q, v) = (q[i], v(i));
                    let at_0 = node_of([q[0], q[1]], [v[0], v[1]]);
                    [sum[0] + weights[i] * at_0, sum[1] + weights[i] * slopes_of(&q, &v)]
                })
            };
            let (mut q_out, mut v_out) = (elements::<4>(rng, len), elements::<4>(rng, len));
            for factor in [None, Some(one)] {
                let found = ifma.bind(&weights, [&q, &v], [&mut q_out, &mut v_out], r, factor);
                let scaled: Vec<[Fr; 4]> =
                    bound(&v).into_iter().map(|v| v.map(|v| v * factor.unwrap_or(Fr::ONE))).collect();
                assert_eq!((&q_out, &v_out), (&bound(&q), &scaled));
                assert_eq!(found, sums(&q_out, &|i| v_out[i]));
            }
            let (table, places) = places::<8>(rng, len);
            for (q, input) in [
                (q.clone(), Denominators::Stored(&q)),
                (looked_up(&table, &places), Denominators::Entries(&table, &places)),
            ] {
                let found = ifma.bind_ones(&weights, input, &mut q_out, r, one);
                assert_eq!(q_out, bound(&q));
                assert_eq!(found, sums(&q_out, &|_| [one; 4]));
                ifma.mix_children(input, &mut v_out, r);
                assert_eq!(v_out, q_out);
            }
        });
    }
}
