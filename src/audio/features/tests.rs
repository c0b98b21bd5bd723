use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::audio::float::{self, Stages};
use crate::audio::frontend::Chunks;
use crate::gkr::trace::Trace;
use crate::sumcheck::int::{IntTable, IntVec};
use crate::test_data;

/// By how much a logarithm may be off, in nats, where it is not of next to nothing: half a step of the mantissa and the
/// rounding of two table entries, `2^-13` each (`2^-9` dB are four times that), and the rounded weights of the bands, of
/// which a bin at the foot of a triangle has few bits. Measured: 1.2e-3.
const LOG_ERROR: f64 = 2e-3;

/// One preset of every kind, with all options.
const PRESETS: [&str; 17] = [
    "logmel24",
    "logmel40",
    "mfcc13",
    "mfcc40",
    "ge2e40",
    "kaldi80",
    "kaldi80:window=povey",
    "kaldi80:window=povey,scale=unit",
    "kaldi80:window=povey,edges=mirror,high=7600",
    "speechbrain80",
    "speechbrain80:bands=24",
    "ecapa80",
    "mfcc-librosa",
    "mfcc-librosa:coefficients=40,edges=snip",
    "mfcc-kaldi",
    "mfcc20:of=kaldi80,scale=unit,mean=on",
    "kws10",
];

/// Integer features, and the logarithms they were made of.
struct Integers {
    features: FloatMatrix,
    log: Option<FloatMatrix>,
    unit: f64,
    dft_bits: i32,
}

fn integers(front_end: &FrontEnd, samples: &[i16], range: f64) -> Integers {
    let mut constants = Constants::default();
    let features = Features::new(front_end, range, &mut constants).unwrap();
    let mut p = ProgramBuilder::new(16);
    let (_, value) = features.lower(&mut p, samples.len()).unwrap();
    p.output(value.tensor);
    let (program, recipes) = p.finish().unwrap();
    let shape = program.tensor(program.inputs()[0]);
    let mut padded = samples.to_vec();
    padded.resize(shape.rows * shape.cols, 0);
    let inputs = [Arc::new(IntTable::new(shape.rows, shape.cols, IntVec::I16(padded)))];
    let constants: Vec<_> = constants.into_tables().into_iter().map(Arc::new).collect();
    let trace = Trace::run(&program, &recipes, &inputs, &constants).unwrap();
    let floats = |id, bits: i32| {
        let table: &IntTable = trace.get(id);
        let unit = f64::from(-bits).exp2();
        let values = table.values().iter().map(|v| v as f64 * unit).collect();
        FloatMatrix::new(table.rows(), table.cols(), values)
    };
    let find = |name: &str| program.tensors().iter().position(|tensor| tensor.name == name);
    let log = find("features/limited").or_else(|| find("features/log"));
    let log_bits = match &features.compressed {
        Compressed::Log(log) => log.fraction_bits,
        Compressed::Power { .. } | Compressed::Samples => 0,
    };
    Integers {
        features: floats(value.tensor, features.fraction_bits),
        log: log.map(|at| floats(TensorId(at as u32), log_bits)),
        unit: f64::from(-features.fraction_bits).exp2(),
        dft_bits: if front_end.is_raw() { 0 } else { Widths::new(front_end, &front_end.dft_matrix()).dft_bits },
    }
}

/// Norm of the signal under every row's window.
fn norms(front_end: &FrontEnd, samples: &[i16], rows: usize) -> Vec<f64> {
    let frame = |row: usize| match front_end.partials {
        Some(p) => front_end.partial_starts(samples.len())[row / p.frames] + row % p.frames,
        None => row,
    };
    (0..rows)
        .map(|row| float::frame(front_end, samples, frame(row)).iter().map(|x| x * x).sum::<f64>().sqrt())
        .collect()
}

/// Amplitude of a compressed energy: its root, or itself if it is a sum of magnitudes.
fn amplitude(front_end: &FrontEnd, value: f64) -> f64 {
    let energy = match front_end.compression {
        Compression::None | Compression::Samples | Compression::Chunks(_) | Compression::Tensor(_) => value,
        Compression::Ln { .. } | Compression::LnAbove { .. } => value.exp(),
        Compression::Decibels { .. } => 10_f64.powf(value / 10.0),
    };
    if front_end.spectrum == Spectrum::Power { energy.sqrt() } else { energy }
}

/// Cells that are not those in floating point: off by more than `tolerance`, and by more than what rounding the transform
/// can leak into their amplitude.
///
/// Amplitudes are norms of spectra, so an error of the spectrum adds to them no more than its own norm, whatever
/// the band holds. A coefficient of a transform of d bits is off by at most `2^-(d+1)` and a bin, by chance, by about
/// `2^-d/√6·|samples|`; a band of weights `M` is allowed `2^-d·|samples|·√(Σ M)`, and `leaks` times that where samples
/// repeat, so that chance has few tries. Measured on speech: 0.9 of that.
fn outside(
    front_end: &FrontEnd,
    samples: &[i16],
    [ours, float]: [&FloatMatrix; 2],
    (dft_bits, leaks): (i32, f64),
    tolerance: f64,
) -> Vec<[f64; 2]> {
    assert_eq!((ours.rows, ours.cols), (float.rows, float.cols));
    let mel = front_end.mel_matrix();
    let sum = |b: usize| (0..mel.rows).map(|k| mel.row(k)[b]).sum::<f64>();
    let power = front_end.spectrum == Spectrum::Power;
    let weights: Vec<f64> = (0..mel.cols).map(|b| if power { sum(b).sqrt() } else { sum(b) }).collect();
    let mut found = Vec::new();
    for (t, norm) in norms(front_end, samples, ours.rows).into_iter().enumerate() {
        for (band, (&a, &b)) in ours.row(t).iter().zip(float.row(t)).enumerate() {
            let leak = leaks * f64::from(-dft_bits).exp2() * norm * weights[band];
            let error = (amplitude(front_end, a) - amplitude(front_end, b)).abs();
            if (a - b).abs() > tolerance && error > leak + LOG_ERROR / 2.0 * amplitude(front_end, b) {
                found.push([a, b]);
            }
        }
    }
    found
}

/// Largest difference of the features from what the integer logarithms give in floating point: what DCT, mean
/// and the last rounding add.
fn finishing_error(front_end: &FrontEnd, integers: &Integers) -> f64 {
    let log = integers.log.clone().unwrap();
    let mut x = front_end.dct_matrix().map_or(log.clone(), |matrix| log.multiply(&matrix));
    if front_end.subtract_mean {
        for c in 0..x.cols {
            let mean = (0..x.rows).map(|t| x.row(t)[c]).sum::<f64>() / x.rows as f64;
            (0..x.rows).for_each(|t| x.row_mut(t)[c] -= mean);
        }
    }
    x.data.iter().zip(&integers.features.data).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
}

/// Compares integer features with float ones; returns the share of cells that are off by more than 5e-3 nats.
fn check_against_float(front_end: &FrontEnd, samples: &[i16], leaks: f64) -> f64 {
    let what = format!("{}, {} samples", front_end.name, samples.len());
    let input = float::network_input(front_end, samples).unwrap();
    let found = integers(front_end, samples, (2.0 * input.features.max_abs()).max(1.0));
    let Some(log) = &found.log else {
        let cells =
            outside(front_end, samples, [&found.features, &input.features], (found.dft_bits, leaks), found.unit);
        assert!(cells.is_empty(), "{what}: {cells:?}");
        return 0.0;
    };
    let Stages { log: float, .. } = float::stages(front_end, samples).unwrap();
    let decibels = matches!(front_end.compression, Compression::Decibels { .. });
    let unit = if decibels { 10.0 / std::f64::consts::LN_10 } else { 1.0 };
    let cells = outside(front_end, samples, [log, &float], (found.dft_bits, leaks), LOG_ERROR * unit);
    assert!(cells.is_empty(), "{what}: {} cells, such as {:?}", cells.len(), &cells[..cells.len().min(5)]);
    // Half a unit of rounding, and the rounded DCT.
    let rounded = f64::from(-DCT_BITS - 1).exp2() * log.cols as f64 * log.max_abs();
    let dct = if front_end.dct.is_some() { rounded } else { 0.0 };
    let error = finishing_error(front_end, &found);
    assert!(error <= 0.51 * found.unit + dct, "{what}: off by {error}");
    let far = log.data.iter().zip(&float.data).filter(|(a, b)| (*a - *b).abs() > 5e-3 * unit).count();
    far as f64 / log.data.len() as f64
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn chunks_repeat_the_samples_before_them(
        chunk in 1usize..20, context in 0usize..20, samples in prop::collection::vec(any::<i16>(), 1..90),
    ) {
        let chunks = Chunks { samples: chunk, context: context.min(chunk) };
        let front_end = FrontEnd::raw_chunks(chunks);
        let lowered = Features::new(&front_end, 1.0, &mut Constants::default()).unwrap();
        if samples.len() < chunk {
            prop_assert!(lowered.lower(&mut ProgramBuilder::new(16), samples.len()).is_err());
            prop_assert!(float::network_input(&front_end, &samples).is_err());
            return Ok(());
        }
        let found = integers(&front_end, &samples, 1.0).features;
        let length = chunks.length();
        let expected = |row: usize| {
            let at = (row / length * chunk + row % length).checked_sub(chunks.context);
            at.map_or(0.0, |at| f64::from(samples[at]) / 32768.0)
        };
        let rows = samples.len() / chunk * length;
        prop_assert_eq!(&found.data, &(0..rows).map(expected).collect::<Vec<_>>());
        let input = float::network_input(&front_end, &samples).unwrap();
        prop_assert_eq!((&found, length), (&input.features, input.sequence_length));
    }
}

fn preset(name: &str) -> FrontEnd {
    FrontEnd::by_name(name).unwrap()
}

#[test]
fn integer_features_are_the_float_ones_for_every_preset() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/demo/rms_2.wav");
    let wav = crate::audio::wav::read(path).unwrap();
    for front_end in PRESETS.map(preset) {
        for samples in [257, 400, 401, 512, 8_000, 47_999] {
            if front_end.num_frames(samples).is_some() {
                check_against_float(&front_end, &wav.samples[..samples], 1.0);
            }
        }
    }
}

#[test]
fn silence_and_the_loudest_signals_have_the_float_features() {
    let square = |i: usize| if i % 16 < 8 { i16::MAX } else { i16::MIN };
    let noise = |i: usize| ((i as u32).wrapping_mul(2_654_435_761) >> 16) as u16 as i16;
    let impulse = |i: usize| i16::from(i == 900);
    let signals: [&dyn Fn(usize) -> i16; 8] =
        [&|_| 0, &|_| i16::MIN, &|_| i16::MAX, &|_| -1, &square, &noise, &impulse, &|i| {
            if i % 2 == 0 { i16::MIN } else { i16::MAX }
        }];
    for front_end in PRESETS.map(preset) {
        for signal in signals {
            let samples: Vec<i16> = (0..2_000).map(signal).collect();
            check_against_float(&front_end, &samples, 8.0);
        }
    }
}

/// The shared recordings: on real speech no more than one logarithm in a thousand is off by more than 5e-3 where the
/// transform is fine enough for all of them, ten where a floor is added to the quietest, or forty where the transform
/// has fewer bits for its sake.
#[test]
fn integer_features_of_real_speech_are_the_float_ones() {
    let Some(dir) = test_data::dir() else { return };
    for front_end in PRESETS.map(preset) {
        for name in
            ["speakers/1688-142285-0000", "speakers/2414-128291-0001", "odd/fullscale_square_1k", "odd/dc_offset_3s"]
        {
            let samples = crate::audio::wav::read(dir.join(format!("wav/{name}.wav"))).unwrap().samples;
            let leaks = if name.starts_with("odd") { 8.0 } else { 1.0 };
            let far = check_against_float(&front_end, &samples[..samples.len().min(48_000)], leaks);
            println!("{}, {name}: {:.4} % beyond 5e-3", front_end.name, 100.0 * far);
            let fine = integers_are_fine(&front_end);
            let most = match front_end.compression {
                Compression::Ln { floor: 1e-6.. } => 4e-2,
                Compression::Ln { .. } => 1e-2,
                _ => 1e-3,
            };
            assert!(far <= most || !fine || !name.starts_with("speakers"), "{}, {name}: {far}", front_end.name);
        }
    }
}

/// Whether the transform has more bits than where a floor hides what it loses.
fn integers_are_fine(front_end: &FrontEnd) -> bool {
    Widths::new(front_end, &front_end.dft_matrix()).dft_bits > 12
}

#[test]
fn the_least_energy_is_exact() {
    // Silence is the floor itself, to the rounding of the one table entry that says so.
    for (name, least, unit) in [
        ("kaldi80", -23.0 * std::f64::consts::LN_2, 4096.0),
        ("kaldi80:scale=unit", -23.0 * std::f64::consts::LN_2, 4096.0),
        ("speechbrain80", -100.0, 256.0),
    ] {
        let log = integers(&preset(name), &[0; 1_000], 1.0).log.unwrap();
        assert!(log.data.iter().all(|&x| (x - least).abs() <= 0.5 / unit), "{name}: {}", log.data[0]);
    }
}

#[test]
fn front_ends_that_nothing_computes_are_refused() {
    let kaldi = FrontEnd::kaldi80;
    for broken in [
        FrontEnd { hop: 0, ..kaldi() },
        FrontEnd { window_length: 0, ..kaldi() },
        FrontEnd { window_length: 401, ..kaldi() },
        FrontEnd { frame_length: 513, ..kaldi() },
        FrontEnd { fft_size: 1 << 20, frame_length: 1 << 20, ..kaldi() },
        FrontEnd { padding: crate::audio::frontend::Padding::CentredMirror(1 << 20), ..kaldi() },
        FrontEnd { compression: Compression::LnAbove { floor: 0.0 }, ..kaldi() },
        FrontEnd { compression: Compression::LnAbove { floor: f64::NAN }, ..kaldi() },
        FrontEnd { compression: Compression::Decibels { floor: 1e-10, range: f64::INFINITY }, ..kaldi() },
        FrontEnd { scale: SampleScale::Peak, ..kaldi() },
        FrontEnd { spectrum: Spectrum::Power, ..FrontEnd::kws10() },
        FrontEnd { dct: Some(crate::audio::frontend::Dct::orthonormal(81)), ..kaldi() },
        FrontEnd { partials: FrontEnd::ge2e40().partials, ..FrontEnd::ecapa80() },
        FrontEnd { partials: FrontEnd::ge2e40().partials, ..preset("raw:chunk=512") },
        FrontEnd { hop: 2, ..preset("raw:chunk=512") },
        FrontEnd::raw_chunks(Chunks { samples: 0, context: 0 }),
        FrontEnd::raw_chunks(Chunks { samples: 1 << 20, context: 0 }),
        FrontEnd::raw_chunks(Chunks { samples: 1, context: usize::MAX }),
    ] {
        let refused = Features::new(&broken, 1.0, &mut Constants::default());
        assert!(matches!(refused, Err(ModelError::Shape { .. })), "{broken:?}");
    }
    for name in PRESETS {
        let front_end = preset(name);
        let features = Features::new(&front_end, 1.0, &mut Constants::default()).unwrap();
        let mut p = ProgramBuilder::new(16);
        if front_end.partials.is_none() {
            assert!(features.lower(&mut p, front_end.min_samples() - 1).is_err(), "{name}");
        }
        // A file may leave out what the front end needs.
        let stripped = Features { identity: None, ..features.clone() };
        let needs = signal::is_prepared(&front_end);
        assert_eq!(stripped.lower(&mut ProgramBuilder::new(16), 1_000).is_err(), needs, "{name}");
    }
}
