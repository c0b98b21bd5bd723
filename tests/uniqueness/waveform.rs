//! Layers on waveforms: pre-emphasis, normalisation, frames, logarithms of magnitudes, rows added to rows, and maxima
//! over time.

use voxcheck::layers::at_most::AtMost;
use voxcheck::layers::centre::{Centre, Offset};
use voxcheck::layers::log_magnitude::log_magnitude;
use voxcheck::layers::logarithm::LogTables;
use voxcheck::layers::quantize::Constants;
use voxcheck::layers::time_max::TimeMax;
use voxcheck::layers::time_pool::{RoundedTimeMaxPool, TimeMaxPool};
use voxcheck::layers::waveform::{Emphasis, Framing, InstanceNorm};

use crate::layers::{gadget, integers, over_rows};
use crate::{Gadget, rounded};

const BYTES: std::ops::Range<i128> = -128..128;

/// `ln((|2x + 1| + F)·2^−scale)` from its definition.
fn exact_log_magnitude(tables: &LogTables, x: i128) -> Option<i128> {
    let most = tables.shifts.len() - 1;
    let sum = (2 * x + 1).abs() + (1 << (tables.top - most));
    let shift = tables.top.checked_sub(sum.ilog2() as usize)?;
    let mantissa = (sum << shift) >> (tables.top - tables.mantissa_bits);
    Some((tables.logs[(mantissa - (1 << tables.mantissa_bits)) as usize] - tables.shifts[shift]).into())
}

#[test]
fn a_magnitude_has_one_logarithm_and_one_sign() {
    // Floors of 1, 2, 8 and 256; the second and the last tables end within a byte.
    for (top, max_shift, mantissa_bits) in [(9, 9, 4), (7, 6, 3), (10, 7, 5), (8, 0, 4)] {
        let tables = LogTables::new(top, max_shift, mantissa_bits, 1, 6);
        for range_bits in [4, 8] {
            let gadget = Gadget::scalar(range_bits, &[8], |p, x| log_magnitude(p, "ln", x[0], &tables));
            for x in BYTES {
                let expected = exact_log_magnitude(&tables, x);
                gadget.check(&[&[x]], expected.as_ref().map(std::slice::from_ref));
            }
        }
        let floor = f64::from((top - max_shift) as u32).exp2();
        for x in BYTES {
            if let Some(log) = exact_log_magnitude(&tables, x) {
                let error = log as f64 / 64.0 - (((2.0 * x as f64 + 1.0).abs() + floor) / 2.0).ln();
                let tolerance = f64::from(-1 - mantissa_bits as i32).exp2() + f64::from(-6).exp2();
                assert!(error.abs() <= tolerance, "ln |{x}|: {error}");
            }
        }
    }
}

#[test]
fn an_emphasised_sample_has_one_value() {
    for (rows, factors) in [(2, [-3, 5]), (4, [7, 0]), (3, [-1, 1])] {
        let layer = Emphasis { name: "emphasis".into(), factors, fraction_bits: 0 };
        let gadget = gadget(6, rows, 1, 1, &layer, Constants::default());
        let [before, now] = factors.map(i128::from);
        for x in BYTES {
            let inputs: Vec<i128> = [x, -128, 127, -x - 1][..rows].to_vec();
            let value = |t: usize| now * inputs[t] + before * inputs[if t == 0 { 1 } else { t - 1 }];
            let expected: Vec<i128> = (0..rows).map(value).collect();
            gadget.check(&[&inputs], Some(&expected));
        }
    }
}

#[test]
fn a_normalised_sample_has_one_value() {
    for (rows, epsilon, gain_bits, shift) in [(1, 4u64, 9, 3), (2, 1, 11, 4), (3, 50, 13, 6)] {
        let layer = InstanceNorm {
            name: "norm".into(),
            epsilon,
            gain_bits,
            shift,
            bits: 16,
            fraction_bits: (gain_bits - shift) as i32,
        };
        let gadget = gadget(8, rows, 1, 1, &layer, Constants::default());
        for x in (-128..128i128).step_by(3).chain([127, 0]) {
            let inputs: Vec<i128> = [x, 90, -128][..rows].to_vec();
            let (n, sum) = (rows as i128, inputs.iter().sum::<i128>());
            let variance = n * inputs.iter().map(|x| x * x).sum::<i128>() - sum * sum + n * n * i128::from(epsilon);
            let gain = (n << gain_bits) / (variance as u128).isqrt() as i128;
            let mean = over_rows(sum, n, 0);
            let expected: Vec<i128> = inputs.iter().map(|x| rounded((x - mean) * gain, shift as usize)).collect();
            gadget.check(&[&inputs], Some(&expected));
        }
    }
}

#[test]
fn frames_are_the_samples_in_order() {
    for (rows, kernel, stride) in [(5, 3, 2), (4, 4, 3), (5, 2, 3), (3, 1, 1)] {
        let mut weights = Constants::default();
        let one = |i: usize| i64::from(i / stride == i % stride);
        let identity = integers(&mut weights, stride, &(0..stride * stride).map(one).collect::<Vec<_>>());
        let [kernel_size, stride_size] = [kernel as u32, stride as u32];
        let name = "frames".to_owned();
        let layer = Framing { name, kernel: kernel_size, stride: stride_size, identity, fraction_bits: 0 };
        let gadget = gadget(6, rows, 1, 1, &layer, weights);
        for x in (-128..128i128).step_by(17) {
            let inputs: Vec<i128> = [x, -128, 127, -x - 1, 5][..rows].to_vec();
            let frames = (rows - kernel) / stride + 1;
            let len = (frames - 1 + kernel.div_ceil(stride)) * stride;
            let expected: Vec<i128> = (0..len).map(|i| inputs.get(i).copied().unwrap_or(0)).collect();
            gadget.check(&[&inputs], Some(&expected));
        }
    }
}

#[test]
fn a_row_added_to_every_row_and_a_limit_have_one_value() {
    let centre = Centre { name: "centre".into(), fraction_bits: 0 };
    for rows in 1..4usize {
        let centred = gadget(6, rows, 1, 1, &centre, Constants::default());
        let mut weights = Constants::default();
        let row = integers(&mut weights, 1, &[-37]);
        let raised = gadget(6, rows, 1, 1, &Offset { name: "offset".into(), row, fraction_bits: 0 }, weights);
        let mut weights = Constants::default();
        let limits = integers(&mut weights, 1, &[11]);
        let limited = gadget(6, rows, 1, 1, &AtMost { name: "limit".into(), limits, fraction_bits: 0 }, weights);
        for x in BYTES {
            let inputs: Vec<i128> = [x, -128, 100][..rows].to_vec();
            let expected: Vec<i128> = inputs.iter().map(|&x| x.min(11)).collect();
            // At the limit the choice is free and the output is not.
            limited.compare(&[&inputs], Some(&expected));
            let mean = over_rows(inputs.iter().sum(), rows as i128, 0);
            centred.check(&[&inputs], Some(&inputs.iter().map(|x| x - mean).collect::<Vec<_>>()));
            raised.check(&[&inputs], Some(&inputs.iter().map(|x| x - 37).collect::<Vec<_>>()));
        }
    }
}

#[test]
fn rows_have_one_maximum_over_time() {
    for (rows, kernel, stride) in [(5usize, 3, 2), (5, 5, 1), (4, 2, 2), (5, 2, 3), (3, 1, 2)] {
        let plain = TimeMaxPool { name: "pool".into(), kernel, stride, bits: 8, fraction_bits: 0 };
        let plain = gadget(5, rows, 1, 1, &plain, Constants::default());
        let name = "pool".to_owned();
        // Differences of quotients have a bit more than quotients, or leave the table.
        let rounding = [6, 5].map(|bits| {
            let layer = RoundedTimeMaxPool { name: name.clone(), kernel, stride, shift: 2, bits, fraction_bits: 0 };
            (kernel > 1).then(|| (bits, gadget(6, rows, 1, 1, &layer, Constants::default())))
        });
        for x in BYTES {
            let inputs: Vec<i128> = [x, 5, -128, 127, -x - 1][..rows].to_vec();
            let patches: Vec<&[i128]> = (0..=rows - kernel as usize)
                .step_by(stride as usize)
                .map(|t| &inputs[t..][..kernel as usize])
                .collect();
            let largest = |f: &dyn Fn(i128) -> i128| -> Vec<i128> {
                patches.iter().map(|patch| patch.iter().map(|&x| f(x)).max().unwrap()).collect()
            };
            plain.check(&[&inputs], Some(&largest(&|x| x)));
            for (bits, gadget) in rounding.iter().flatten() {
                // The maximum has one limb of 6 bits.
                let reach = |patch: &&[i128]| {
                    let most = patch.iter().map(|&x| rounded(x, 2)).max().unwrap();
                    (-32..32).contains(&most)
                        && (1..patch.len()).all(|j| {
                            let before = patch[..j].iter().map(|&x| rounded(x, 2)).max().unwrap();
                            (-(1i128 << bits)..1 << bits).contains(&(before - rounded(patch[j], 2)))
                        })
                };
                let expected = patches.iter().all(reach).then(|| largest(&|x| rounded(x, 2)));
                gadget.check(&[&inputs], expected.as_deref());
            }
        }
    }
}

#[test]
fn all_rows_have_one_maximum() {
    for (bits, reach) in [(8u32, 256), (5, 32)] {
        let layer = TimeMax { name: "max".into(), bits, fraction_bits: 0 };
        let gadget = gadget(6, 3, 1, 1, &layer, Constants::default());
        for x in BYTES {
            for inputs in [[x, 5, -x - 1], [x, x, x], [x, 127.min(x + 20), x]] {
                let most = inputs.into_iter().max().unwrap();
                let near = inputs.iter().all(|x| most - x < reach);
                gadget.check(&[&inputs], near.then_some(&[most][..]));
            }
        }
    }
}
