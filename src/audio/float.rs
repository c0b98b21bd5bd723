//! The front ends in double precision, with a fast Fourier transform: the reference for the proof.

use rustfft::{FftPlanner, num_complex::Complex};

use super::frontend::{Compression, EMPHASIS, FrontEnd, Padding, PreEmphasis, SampleScale, Spectrum};
use crate::error::AudioError;
use crate::layers::matrix::FloatMatrix;

/// Every stage of a front end, one row per frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Stages {
    /// Power or magnitude spectrum \[frames × num_bins\], at least 0.
    pub power: FloatMatrix,
    /// Band energies \[frames × bands\], at least 0.
    pub mel: FloatMatrix,
    /// Compressed energies \[frames × bands\]; equal to `mel` without compression.
    pub log: FloatMatrix,
    /// Cepstral coefficients \[frames × coefficients\]; equal to `log` without DCT.
    pub dct: FloatMatrix,
    /// The features \[frames × columns\]: `dct`, minus its mean over time if the preset says so.
    pub normalised: FloatMatrix,
}

/// What a network takes: one or several equally long sequences of features, stacked along rows.
#[derive(Clone, Debug, PartialEq)]
pub struct NetworkInput {
    /// Features \[sequences · sequence_length × columns\].
    pub features: FloatMatrix,
    /// Rows per sequence.
    pub sequence_length: usize,
}

/// The features of a recording at the preset's rate: \[`num_frames` × `columns`\].
///
/// # Errors
/// [`AudioError::TooShort`] if the recording has not one frame.
pub fn features(front_end: &FrontEnd, samples: &[i16]) -> Result<FloatMatrix, AudioError> {
    if let Some(tensor) = front_end.tensor() {
        check_length(front_end, samples)?;
        return Ok(tensor.values(samples));
    }
    if front_end.is_raw() {
        let frames = check_length(front_end, samples)?;
        return Ok(FloatMatrix::new(frames, 1, samples.iter().map(|&x| f64::from(x) / 32768.0).collect()));
    }
    stages(front_end, samples).map(|stages| stages.normalised)
}

/// All stages of the features of a recording at the preset's rate, which must have bands.
///
/// # Errors
/// [`AudioError::TooShort`] if the recording has not one frame.
pub fn stages(front_end: &FrontEnd, samples: &[i16]) -> Result<Stages, AudioError> {
    let power = power(front_end, samples)?;
    let mel = power.multiply(&front_end.mel_matrix());
    let mut log = mel.clone();
    compress(front_end.compression, &mut log.data);
    let dct = match front_end.dct_matrix() {
        Some(matrix) => log.multiply(&matrix),
        None => log.clone(),
    };
    let mut normalised = dct.clone();
    if front_end.subtract_mean {
        subtract_mean(&mut normalised);
    }
    Ok(Stages { power, mel, log, dct, normalised })
}

/// The features as the network takes them: padded and cut into partial windows where the preset
/// has them, in chunks where it takes those, otherwise one sequence of all frames.
///
/// # Errors
/// [`AudioError::TooShort`] if the recording has not one frame.
pub fn network_input(front_end: &FrontEnd, samples: &[i16]) -> Result<NetworkInput, AudioError> {
    if let Some(chunks) = front_end.chunks() {
        let (all, length) = (features(front_end, samples)?, chunks.length());
        // Samples of the context are those before the chunk; before the recording there are zeros.
        let at = |row: usize| (row / length * chunks.samples + row % length).checked_sub(chunks.context);
        let sample = |row: usize| at(row).and_then(|at| all.data.get(at)).copied().unwrap_or(0.0);
        let features = FloatMatrix::from_fn(chunks.count(samples.len()) * length, 1, |row, _| sample(row));
        return Ok(NetworkInput { features, sequence_length: length });
    }
    let Some(partials) = front_end.partials else {
        let features = features(front_end, samples)?;
        return Ok(NetworkInput { sequence_length: features.rows, features });
    };
    check_length(front_end, samples)?;
    let mut padded = samples.to_vec();
    padded.resize(front_end.padded_samples(samples.len()), 0);
    let all = features(front_end, &padded)?;
    let starts = front_end.partial_starts(samples.len());
    let rows = starts.len() * partials.frames;
    let stacked =
        FloatMatrix::from_fn(rows, all.cols, |r, c| all.row(starts[r / partials.frames] + r % partials.frames)[c]);
    Ok(NetworkInput { features: stacked, sequence_length: partials.frames })
}

fn check_length(front_end: &FrontEnd, samples: &[i16]) -> Result<usize, AudioError> {
    front_end
        .num_frames(samples.len())
        .ok_or(AudioError::TooShort { samples: samples.len() as u64, min: front_end.min_samples() as u64 })
}

fn compress(compression: Compression, energies: &mut [f64]) {
    match compression {
        Compression::None | Compression::Samples | Compression::Chunks(_) | Compression::Tensor(_) => {}
        Compression::Ln { floor } => energies.iter_mut().for_each(|x| *x = (*x + floor).ln()),
        Compression::LnAbove { floor } => energies.iter_mut().for_each(|x| *x = x.max(floor).ln()),
        Compression::Decibels { floor, range } => {
            energies.iter_mut().for_each(|x| *x = 10.0 * x.max(floor).log10());
            let least = energies.iter().copied().fold(f64::NEG_INFINITY, f64::max) - range;
            energies.iter_mut().for_each(|x| *x = x.max(least));
        }
    }
}

/// The recording in the preset's scale, emphasised if it is as a whole.
fn signal(front_end: &FrontEnd, samples: &[i16]) -> Vec<f64> {
    let one = match front_end.scale {
        SampleScale::Unit => 32768.0,
        SampleScale::Int16 => 1.0,
        SampleScale::Peak => f64::from(samples.iter().copied().max().unwrap_or(1).max(1)),
    };
    let x: Vec<f64> = samples.iter().map(|&x| f64::from(x) / one).collect();
    if front_end.emphasis != PreEmphasis::Signal {
        return x;
    }
    let before = |i: usize| if i == 0 { x.get(1) } else { x.get(i - 1) };
    (0..x.len()).map(|i| x[i] - EMPHASIS * before(i).copied().unwrap_or(0.0)).collect()
}

/// The value at a position of a signal that may be before its start or beyond its end.
fn value_at(padding: Padding, signal: &[f64], at: i64) -> f64 {
    let len = signal.len() as i64;
    let inside = match padding {
        _ if (0..len).contains(&at) => at,
        Padding::None | Padding::CentredZeros(_) => return 0.0,
        Padding::CentredMirror(_) if at < 0 => -at,
        Padding::CentredMirror(_) => 2 * len - 2 - at,
        Padding::Mirror if at < 0 => -1 - at,
        Padding::Mirror => 2 * len - 1 - at,
    };
    usize::try_from(inside).ok().and_then(|i| signal.get(i)).copied().unwrap_or(0.0)
}

/// Subtracts the mean of a frame and emphasises what is left, the first value before itself.
fn emphasise_frame(frame: &mut [f64]) {
    let mean = frame.iter().sum::<f64>() / frame.len() as f64;
    frame.iter_mut().for_each(|x| *x -= mean);
    for n in (0..frame.len()).rev() {
        frame[n] -= EMPHASIS * frame[n.saturating_sub(1)];
    }
}

/// The samples under the window of one frame, as they come out of the recording.
#[cfg(test)]
pub(super) fn frame(front_end: &FrontEnd, samples: &[i16], t: usize) -> Vec<f64> {
    frame_of(front_end, &signal(front_end, samples), t)
}

fn frame_of(front_end: &FrontEnd, signal: &[f64], t: usize) -> Vec<f64> {
    let first = (t * front_end.hop) as i64 + front_end.first_sample();
    (first..).take(front_end.window_length).map(|at| value_at(front_end.padding, signal, at)).collect()
}

fn power(front_end: &FrontEnd, samples: &[i16]) -> Result<FloatMatrix, AudioError> {
    let frames = check_length(front_end, samples)?;
    let (window, signal) = (front_end.window(), signal(front_end, samples));
    let fft = FftPlanner::new().plan_fft_forward(front_end.fft_size);
    let mut buffer = vec![Complex::default(); front_end.fft_size];
    let mut power = FloatMatrix::zeros(frames, front_end.num_bins());
    for t in 0..frames {
        let mut frame = frame_of(front_end, &signal, t);
        if front_end.emphasis == PreEmphasis::Frame {
            emphasise_frame(&mut frame);
        }
        buffer.fill(Complex::default());
        buffer.iter_mut().zip(frame.iter().zip(&window)).for_each(|(out, (x, weight))| out.re = x * weight);
        fft.process(&mut buffer);
        let magnitude = |x: &Complex<f64>| match front_end.spectrum {
            Spectrum::Power => x.norm_sqr(),
            Spectrum::Magnitude => x.norm(),
        };
        power.row_mut(t).iter_mut().zip(&buffer).for_each(|(p, x)| *p = magnitude(x));
    }
    Ok(power)
}

fn subtract_mean(matrix: &mut FloatMatrix) {
    for c in 0..matrix.cols {
        let mean = (0..matrix.rows).map(|r| matrix.row(r)[c]).sum::<f64>() / matrix.rows as f64;
        (0..matrix.rows).for_each(|r| matrix.row_mut(r)[c] -= mean);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav;
    use crate::test_data::{self, max_difference};
    use std::path::Path;

    const UTTERANCES: [&str; 7] = [
        "367-130732-0001",
        "1998-15444-0000",
        "1688-142285-0000",
        "2414-128291-0001",
        "silence_3s",
        "fullscale_square_1k",
        "white_noise_3s",
    ];

    fn first_3s(dir: &Path, name: &str) -> Vec<i16> {
        let file = format!("{name}.wav");
        let path = [dir.join("wav/speakers").join(&file), dir.join("wav/odd").join(&file)];
        let path = path.iter().find(|path| path.exists()).expect("the recording");
        wav::read(path).unwrap().samples[..48000].to_vec()
    }

    /// The bound of the reference README: 2e-3 in the log domain, or, where the library's float32
    /// transform is only noise, 1e-6 of the largest band of the same frame.
    fn outside(ours: &FloatMatrix, golden: &[f64]) -> usize {
        let golden = FloatMatrix::new(ours.rows, ours.cols, golden.to_vec());
        let row = |t: usize| {
            let peak = golden.row(t).iter().fold(0.0_f64, |max, x| max.max(x.exp()));
            let pairs = ours.row(t).iter().zip(golden.row(t));
            pairs.filter(|&(a, b)| (a - b).abs() > 2e-3 && (a.exp() - b.exp()).abs() > 1e-6 * peak).count()
        };
        (0..ours.rows).map(row).sum()
    }

    #[test]
    fn log_mel_matches_torchaudio() {
        let Some(dir) = test_data::dir() else { return };
        let golden = test_data::tensors(&dir.join("reference/frontend/golden_logmel.safetensors"));
        for front_end in [FrontEnd::logmel24(), FrontEnd::logmel40()] {
            let mut largest: f64 = 0.0;
            for name in UTTERANCES {
                let stages = stages(&front_end, &first_3s(&dir, name)).unwrap();
                let key = format!("{name}.{}_log", front_end.name);
                let (log, mean) = (&golden[&key], &golden[&format!("{key}_mean")]);
                assert_eq!(log.shape, [stages.log.rows, stages.log.cols]);
                assert_eq!(outside(&stages.log, &log.values), 0, "{key}");
                largest = largest.max(max_difference(&stages.log.data, &log.values));
                let subtracted: Vec<f64> = (0..log.values.len())
                    .map(|i| stages.log.data[i] - stages.normalised.data[i] - mean.values[i % mean.values.len()])
                    .collect();
                let worst = subtracted.iter().fold(0.0_f64, |max, x| max.max(x.abs()));
                assert!(worst < 1e-3, "{key} mean: {worst:e}");
            }
            println!("{}: largest difference {largest:.1e}", front_end.name);
        }
    }

    #[test]
    fn ge2e_matches_librosa() {
        let Some(dir) = test_data::dir() else { return };
        let golden = test_data::tensors(&dir.join("reference/frontend/golden_ge2e40.safetensors"));
        let mut largest: f64 = 0.0;
        for name in UTTERANCES {
            let ours = features(&FrontEnd::ge2e40(), &first_3s(&dir, name)).unwrap();
            let reference = &golden[&format!("{name}.mel")];
            assert_eq!(reference.shape, [ours.rows, ours.cols]);
            largest = largest.max(max_difference(&ours.data, &reference.values));
        }
        println!("ge2e40: largest difference {largest:.1e}");
        assert!(largest < 1e-4, "{largest:e}");
    }

    #[test]
    fn every_stage_matches() {
        let Some(dir) = test_data::dir() else { return };
        let path = dir.join("reference/frontend/stages_367-130732-0001_3s.safetensors");
        let reference = test_data::tensors(&path);
        let samples = first_3s(&dir, "367-130732-0001");
        let logmel = stages(&FrontEnd::logmel40(), &samples).unwrap();
        let mfcc = stages(&FrontEnd::mfcc(13), &samples).unwrap();
        assert_eq!(mfcc.dct, mfcc.normalised, "no mean subtraction by default");
        let dct = FrontEnd::mfcc(40).dct_matrix().unwrap();
        let mel = FrontEnd::logmel40().mel_matrix();
        let transpose = |m: &FloatMatrix| FloatMatrix::from_fn(m.cols, m.rows, |r, c| m.row(c)[r]);
        // Tolerances: float32 storage of values up to 565, 51, ….
        for (name, ours, tolerance) in [
            ("power", &logmel.power, 2e-5),
            ("mel", &logmel.mel, 4e-5),
            ("logmel", &logmel.log, 1e-6),
            ("logmel_cmn", &logmel.normalised, 1e-6),
            ("mfcc13", &mfcc.normalised, 4e-6),
            ("dct_ortho_40", &transpose(&dct), 1e-7),
            ("mel_matrix_40", &transpose(&mel), 1e-7),
        ] {
            let difference = max_difference(&ours.data, &reference[name].values);
            println!("{name}: {difference:.1e}");
            assert!(difference <= tolerance, "{name}: {difference:e}");
        }
    }

    #[test]
    fn the_dft_matrix_agrees_with_the_fft() {
        let samples: Vec<i16> = (0..1600_i32).map(|i| (i * i % 65521 - 32768) as i16).collect();
        let presets = ["logmel24", "ge2e40", "kaldi80", "kaldi80:window=povey,edges=mirror", "ecapa80", "kws10"];
        for front_end in presets.map(|name| FrontEnd::by_name(name).unwrap()) {
            let stages = stages(&front_end, &samples).unwrap();
            let (dft, signal) = (front_end.dft_matrix(), signal(&front_end, &samples));
            let frames = (0..stages.power.rows).flat_map(|t| frame_of(&front_end, &signal, t)).collect();
            let frames = FloatMatrix::new(stages.power.rows, front_end.window_length, frames);
            let (re, im) = (frames.multiply(&dft.re), frames.multiply(&dft.im));
            let largest = stages.power.max_abs();
            for t in 0..stages.power.rows {
                for (j, k) in dft.bins.clone().enumerate() {
                    let power = re.row(t)[j].powi(2) + im.row(t)[j].powi(2);
                    let found = if front_end.spectrum == Spectrum::Magnitude { power.sqrt() } else { power };
                    assert!((found - stages.power.row(t)[k]).abs() < 1e-11 * largest, "{}", front_end.name);
                }
            }
        }
    }

    /// Cells outside of the bound for values in decibels, and the largest difference.
    fn compare_decibels(ours: &FloatMatrix, golden: &[f64]) -> (usize, f64) {
        let nepers = std::f64::consts::LN_10 / 10.0;
        let scaled = FloatMatrix::new(ours.rows, ours.cols, ours.data.iter().map(|x| x * nepers).collect());
        let golden_nepers: Vec<f64> = golden.iter().map(|x| x * nepers).collect();
        (outside(&scaled, &golden_nepers), max_difference(&ours.data, golden))
    }

    /// What the preset subtracts from every column.
    fn mean_of(stages: &Stages) -> Vec<f64> {
        (0..stages.dct.cols).map(|c| stages.dct.row(0)[c] - stages.normalised.row(0)[c]).collect()
    }

    /// Compares a preset's logarithms, and what is subtracted from them, with a library's.
    fn check_golden(preset: &str, file: &str, key: &str, utterances: &[&str], decibels: bool) {
        let Some(dir) = test_data::dir() else { return };
        let golden = test_data::tensors(&dir.join(format!("reference/frontend/golden_{file}.safetensors")));
        let front_end = FrontEnd::by_name(preset).unwrap();
        let mut largest: f64 = 0.0;
        for name in utterances {
            let stages = stages(&front_end, &first_3s(&dir, name)).unwrap();
            let log = &golden[&format!("{name}.{key}")];
            assert_eq!(log.shape, [stages.log.rows, stages.log.cols], "{preset}");
            let (outside, difference) = if decibels {
                compare_decibels(&stages.log, &log.values)
            } else {
                (outside(&stages.log, &log.values), max_difference(&stages.log.data, &log.values))
            };
            assert_eq!(outside, 0, "{preset} of {name}, off by up to {difference:e}");
            largest = largest.max(difference);
            if let Some(mean) = golden.get(&format!("{name}.{key}_mean")) {
                let difference = max_difference(&mean_of(&stages), &mean.values);
                assert!(difference < 2e-3, "{preset} of {name}: mean off by {difference:e}");
            }
            let centred = if decibels { "cmn".to_owned() } else { format!("{key}_cmn") };
            if let Some(centred) = golden.get(&format!("{name}.{centred}")) {
                let difference = max_difference(&stages.normalised.data, &centred.values);
                assert!(difference < 2e-3, "{preset} of {name}: centred off by {difference:e}");
            }
        }
        println!("{preset}: largest difference {largest:.1e}");
    }

    #[test]
    fn kaldi_bands_match_torchaudio() {
        check_golden("kaldi80", "kaldi80", "hamming", &UTTERANCES, false);
        check_golden("kaldi80:window=povey", "kaldi80", "povey", &UTTERANCES, false);
        check_golden("kaldi80:window=povey,scale=unit", "kaldi80", "povey_unit", &UTTERANCES, false);
        let two = ["367-130732-0001", "1688-142285-0000"];
        check_golden("kaldi80:window=povey,edges=mirror,high=7600", "kaldi80", "sherpa", &two, false);
        let Some(dir) = test_data::dir() else { return };
        let golden = test_data::tensors(&dir.join("reference/frontend/golden_kaldi80.safetensors"));
        let front_end = FrontEnd::by_name("kaldi80:window=povey").unwrap();
        for name in UTTERANCES {
            let stages = stages(&front_end, &first_3s(&dir, name)).unwrap();
            let difference = max_difference(&stages.log.data, &golden[&format!("{name}.povey_f64")].values);
            assert!(difference < 1e-3, "{name}: {difference:e}");
        }
    }

    #[test]
    fn speechbrain_and_ecapa_bands_match() {
        check_golden("speechbrain80", "speechbrain80", "db", &UTTERANCES, true);
        check_golden("ecapa80", "ecapa80", "log", &UTTERANCES, false);
    }

    #[test]
    fn cepstral_coefficients_match_librosa_and_kaldi() {
        let Some(dir) = test_data::dir() else { return };
        let golden = test_data::tensors(&dir.join("reference/frontend/golden_mfcc.safetensors"));
        for (preset, key, tolerance) in [
            ("mfcc-librosa", "librosa_centred", 1e-4),
            ("mfcc-librosa:edges=snip", "librosa_uncentred", 1e-4),
            ("mfcc-kaldi", "kaldi", 1e-2),
            ("mfcc-kaldi", "kaldi_f64", 1e-3),
            ("mfcc-kaldi:lifter=off", "kaldi_nolifter", 1e-2),
        ] {
            let front_end = FrontEnd::by_name(preset).unwrap();
            let mut largest: f64 = 0.0;
            for name in UTTERANCES {
                let ours = features(&front_end, &first_3s(&dir, name)).unwrap();
                let reference = &golden[&format!("{name}.{key}")];
                assert_eq!(reference.shape, [ours.rows, ours.cols], "{preset}");
                largest = largest.max(max_difference(&ours.data, &reference.values));
            }
            println!("{preset}: largest difference {largest:.1e}");
            assert!(largest < tolerance, "{preset}: {largest:e}");
        }
    }

    /// No library's values are at hand: the definition once more, by loops and nothing of [`FrontEnd`].
    #[test]
    fn keyword_coefficients_are_those_of_their_definition() {
        let samples: Vec<i16> = (0..16_000_i32).map(|i| ((i * i % 2003 - 900) * (i % 31)) as i16).collect();
        let ours = features(&FrontEnd::kws10(), &samples).unwrap();
        assert_eq!((ours.rows, ours.cols), (49, 10));
        let peak = f64::from(*samples.iter().max().unwrap());
        let mel = |hz: f64| 1127.0 * (1.0 + hz / 700.0).ln();
        let edge = |i: usize| mel(20.0) + (mel(4000.0) - mel(20.0)) * i as f64 / 41.0;
        for t in [0, 17, 48] {
            let mut bands = [0f64; 40];
            for k in 1..=256 {
                let (mut re, mut im) = (0.0, 0.0);
                for n in 0..480 {
                    let window = 0.5 - 0.5 * (2.0 * std::f64::consts::PI * n as f64 / 480.0).cos();
                    let x = f64::from(samples[t * 320 + n]) / peak * window;
                    let angle = 2.0 * std::f64::consts::PI * (k * n) as f64 / 512.0;
                    (re, im) = (re + x * angle.cos(), im - x * angle.sin());
                }
                let at = mel(k as f64 * 31.25);
                for (b, band) in bands.iter_mut().enumerate() {
                    let rising = (at - edge(b)) / (edge(b + 1) - edge(b));
                    let falling = (edge(b + 2) - at) / (edge(b + 2) - edge(b + 1));
                    *band += rising.min(falling).max(0.0) * re.hypot(im);
                }
            }
            for i in 0..10 {
                let cos = |b: usize| (std::f64::consts::PI * i as f64 * (b as f64 + 0.5) / 40.0).cos();
                let sum: f64 = (0..40).map(|b| (bands[b] + 1e-6).ln() * 2.0 * cos(b)).sum();
                let expected = sum * (1.0_f64 / 80.0).sqrt();
                assert!((ours.row(t)[i] - expected).abs() < 1e-9, "{t}, {i}: {} for {expected}", ours.row(t)[i]);
            }
        }
        // Nothing is positive: nothing is divided.
        let quiet = features(&FrontEnd::kws10(), &[-3; 16_000]).unwrap();
        assert!(quiet.data.iter().all(|x| x.is_finite()));
    }

    #[test]
    fn cepstra_are_the_cosine_transforms_of_any_logarithms() {
        let samples: Vec<i16> = (0..4000_i32).map(|i| ((i * i % 4001 - 2000) * 7) as i16).collect();
        for (preset, base) in [
            ("mfcc20:of=kaldi80,scale=unit,mean=on", "kaldi80:scale=unit"),
            ("mfcc13:of=speechbrain80", "speechbrain80"),
            ("mfcc40:of=ecapa80,mean=on", "ecapa80"),
        ] {
            let (preset, base) = (FrontEnd::by_name(preset).unwrap(), FrontEnd::by_name(base).unwrap());
            let mut expected = stages(&base, &samples).unwrap().log.multiply(&preset.dct_matrix().unwrap());
            if preset.subtract_mean {
                subtract_mean(&mut expected);
            }
            assert_eq!(features(&preset, &samples).unwrap(), expected, "{}", preset.name);
        }
    }

    #[test]
    fn partial_windows_match_resemblyzer() {
        let Some(dir) = test_data::dir() else { return };
        let reference = test_data::tensors(&dir.join("reference/resemblyzer/ref8_3s.safetensors"));
        let mut largest: f64 = 0.0;
        for name in &UTTERANCES[..4] {
            let input = network_input(&FrontEnd::ge2e40(), &first_3s(&dir, name)).unwrap();
            let mel = &reference[&format!("{name}.mel")];
            assert_eq!(mel.shape, [input.features.rows / 160, input.sequence_length, 40]);
            largest = largest.max(max_difference(&input.features.data, &mel.values));
        }
        println!("partial windows: largest difference {largest:.1e}");
        assert!(largest < 2e-6, "{largest:e}");
    }

    #[test]
    fn too_short_is_refused() {
        for samples in [0, 1, 399] {
            let error = features(&FrontEnd::logmel24(), &vec![0; samples]).unwrap_err();
            assert!(matches!(error, AudioError::TooShort { min: 400, .. }), "{error}");
        }
        let error = network_input(&FrontEnd::ge2e40(), &[]).unwrap_err();
        assert!(matches!(error, AudioError::TooShort { min: 1, .. }), "{error}");
        let one = network_input(&FrontEnd::ge2e40(), &[1]).unwrap();
        assert_eq!((one.features.rows, one.sequence_length), (160, 160));
    }
}
