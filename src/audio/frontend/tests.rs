use super::*;
use crate::layers::matrix::FloatMatrix;
use crate::test_data::{self, Reference, max_difference};
use proptest::prelude::*;

fn by_name(name: &str) -> FrontEnd {
    FrontEnd::by_name(name).unwrap()
}

fn transposed(reference: &Reference) -> Vec<f64> {
    let [rows, cols] = reference.shape[..] else { panic!("a matrix") };
    FloatMatrix::from_fn(cols, rows, |c, r| reference.values[r * cols + c]).data
}

#[test]
fn matrices_match_the_libraries() {
    let Some(dir) = test_data::dir() else { return };
    let ours = test_data::tensors(&dir.join("reference/frontend/matrices.safetensors"));
    let libraries = test_data::tensors(&dir.join("reference/frontend/golden_matrices.safetensors"));
    let (lm24, lm40, ge2e) = (FrontEnd::logmel24(), FrontEnd::logmel40(), FrontEnd::ge2e40());
    let (kaldi, kaldi_mfcc) = (FrontEnd::kaldi80(), by_name("mfcc-kaldi"));
    let (speechbrain, ecapa) = (FrontEnd::speechbrain80(), FrontEnd::ecapa80());
    let povey = by_name("kaldi80:window=povey");
    let lifter: Vec<f64> = {
        let plain = by_name("mfcc-kaldi:lifter=off").dct_matrix().unwrap();
        let lifted = kaldi_mfcc.dct_matrix().unwrap();
        (0..13).map(|i| lifted.row(0)[i] / plain.row(0)[i]).collect()
    };
    for (name, matrix, reference, tolerance) in [
        ("lm24", lm24.mel_matrix().data, transposed(&ours["mel_lm24"]), 1e-7),
        ("lm40", lm40.mel_matrix().data, transposed(&ours["mel_lm40"]), 1e-7),
        ("ecapa", ecapa.mel_matrix().data, transposed(&ours["mel_ecapa80"]), 1e-7),
        ("ge2e", ge2e.mel_matrix().data, transposed(&ours["mel_resemblyzer"]), 1e-8),
        ("librosa 400", ge2e.mel_matrix().data, transposed(&libraries["librosa_mel40_400"]), 2e-5),
        ("librosa 512", by_name("mfcc-librosa").mel_matrix().data, transposed(&libraries["librosa_mel40_512"]), 2e-5),
        ("kaldi 80", kaldi.mel_matrix().data, transposed(&libraries["kaldi_mel80"]), 2e-5),
        ("kaldi 23", kaldi_mfcc.mel_matrix().data, transposed(&libraries["kaldi_mel23"]), 2e-5),
        ("speechbrain", speechbrain.mel_matrix().data, transposed(&libraries["speechbrain_mel80"]), 2e-5),
        ("torchaudio", ecapa.mel_matrix().data, transposed(&libraries["torchaudio_mel80"]), 2e-5),
        ("hann", lm24.window(), ours["hann400"].values.clone(), 1e-7),
        ("hamming", ecapa.window(), ours["hamming400"].values.clone(), 1e-7),
        ("torch hann", lm24.window(), libraries["hann400_periodic"].values.clone(), 2e-5),
        ("torch hamming", speechbrain.window(), libraries["hamming400_periodic"].values.clone(), 2e-5),
        ("symmetric hamming", kaldi.window(), libraries["hamming400_symmetric"].values.clone(), 2e-5),
        ("povey", povey.window(), libraries["povey400"].values.clone(), 2e-5),
        ("lifter", lifter, libraries["kaldi_lifter22_13"].values.clone(), 2e-5),
    ] {
        let difference = max_difference(&matrix, &reference);
        println!("{name}: {difference:.1e}");
        assert!(difference <= tolerance, "{name}: {difference:e}");
    }
}

/// Every preset, and every option of each.
const SPELLED: [&str; 29] = [
    "raw",
    "raw:chunk=160",
    "raw:chunk=512,context=64",
    "logmel24",
    "logmel40",
    "logmel80",
    "kaldi80",
    "kaldi80:window=povey",
    "kaldi80:scale=unit",
    "kaldi80:edges=mirror",
    "kaldi80:high=7600",
    "kaldi80:window=povey,scale=unit",
    "kaldi80:window=povey,scale=unit,edges=mirror,high=7600",
    "speechbrain80",
    "speechbrain80:bands=24",
    "ecapa80",
    "ge2e40",
    "mfcc13",
    "mfcc40",
    "mfcc20:mean=on",
    "mfcc13:of=logmel24",
    "mfcc13:of=kaldi80,window=povey,high=7600,mean=on",
    "mfcc30:of=speechbrain80,mean=on",
    "mfcc-librosa",
    "mfcc-librosa:coefficients=40,edges=snip",
    "mfcc-kaldi",
    "mfcc-kaldi:coefficients=23",
    "mfcc-kaldi:lifter=off",
    "kws10",
];

#[test]
fn presets_have_one_spelling() {
    for name in SPELLED {
        assert_eq!(by_name(name).name, name);
    }
    for (other, name) in [
        ("mfcc", "mfcc13"),
        ("mfcc:of=logmel40", "mfcc13"),
        ("mfcc13:mean=off", "mfcc13"),
        ("mfcc:mean=on,of=kaldi80,high=7600,window=povey", "mfcc13:of=kaldi80,window=povey,high=7600,mean=on"),
        ("kaldi80:scale=int16,window=hamming,edges=snip,high=8000", "kaldi80"),
        ("kaldi80:high=7600,scale=unit,window=povey", "kaldi80:window=povey,scale=unit,high=7600"),
        ("speechbrain80:bands=80", "speechbrain80"),
        ("mfcc-librosa:edges=zeros,coefficients=13", "mfcc-librosa"),
        ("mfcc-kaldi:lifter=22", "mfcc-kaldi"),
        ("raw:context=0,chunk=160", "raw:chunk=160"),
    ] {
        assert_eq!(by_name(other).name, name, "{other}");
        assert_eq!(by_name(other), by_name(name), "{other}");
    }
    // No two are the same front end under two names.
    for (i, a) in SPELLED.iter().enumerate() {
        for b in &SPELLED[..i] {
            let renamed = FrontEnd { name: (*a).to_owned(), ..by_name(b) };
            assert_ne!(renamed, by_name(a), "{a} and {b}");
        }
    }
}

#[test]
fn what_is_no_preset_is_refused_by_name() {
    for name in ["", "logmel", "mfcc0", "mfcc41", "mfcc+5", "mfcc05", "mfcc-1", "kaldi", "none", "Kaldi80"] {
        let error = FrontEnd::by_name(name).unwrap_err();
        assert!(matches!(error, FrontEndError::UnknownPreset { .. }), "{name}: {error}");
        assert!(error.to_string().contains("kaldi80"), "{error}");
    }
    for name in ["kaldi80:", "kaldi80:povey", "kaldi80:window=", "kaldi80:=povey", "kaldi80:window=povey,"] {
        let error = FrontEnd::by_name(name).unwrap_err();
        assert!(matches!(error, FrontEndError::NoOption { .. }), "{name}: {error}");
    }
    for (name, option) in [
        ("kaldi80:bands=24", "bands"),
        ("logmel40:mean=off", "mean"),
        ("kaldi80:window=povey,window=povey", "window"),
        ("mfcc13:window=povey", "window"),
        ("raw:context=64", "context"),
        ("mfcc13:of=speechbrain80,bands=24,bands=24", "bands"),
    ] {
        let error = FrontEnd::by_name(name).unwrap_err();
        assert!(matches!(&error, FrontEndError::UnknownOption { option: found, .. } if found == option), "{error}");
    }
    for (name, known) in [
        ("kaldi80:window=hann", "hamming or povey"),
        ("kaldi80:high=20", "4000 to 8000"),
        ("kaldi80:high=+7600", "4000 to 8000"),
        ("kaldi80:high=9000", "4000 to 8000"),
        ("speechbrain80:bands=40", "80 or 24"),
        ("mfcc-librosa:coefficients=41", "1 to 40"),
        ("mfcc-kaldi:coefficients=24", "1 to 23"),
        ("mfcc-kaldi:lifter=23", "22 or off"),
        ("mfcc:of=mfcc-librosa", "logmel24"),
        ("mfcc:of=mfcc,of=mfcc,of=mfcc", "logmel24"),
        ("mfcc:of=ge2e40", "logmel24"),
        ("mfcc:of=raw", "logmel24"),
        ("mfcc:of=raw,chunk=512", "logmel24"),
        ("raw:chunk=0", "1 to 16384"),
        ("raw:chunk=16385", "1 to 16384"),
        ("raw:chunk=64,context=65", "0 to 64"),
        ("mfcc30:of=logmel24", "30 bands"),
    ] {
        let error = FrontEnd::by_name(name).unwrap_err();
        assert!(matches!(error, FrontEndError::UnknownValue { .. }), "{name}: {error}");
        assert!(error.to_string().contains(known), "{error}");
    }
}

#[test]
fn frames_are_counted_as_published() {
    let (logmel, ge2e) = (FrontEnd::logmel24(), FrontEnd::ge2e40());
    for (samples, frames) in
        [(0, None), (399, None), (400, Some(1)), (559, Some(1)), (560, Some(2)), (48000, Some(298))]
    {
        assert_eq!(logmel.num_frames(samples), frames, "{samples}");
    }
    for (samples, frames) in [(0, None), (1, Some(1)), (160, Some(2)), (48000, Some(301))] {
        assert_eq!(ge2e.num_frames(samples), frames, "{samples}");
    }
    // (preset, fewest samples, their frames, frames of 3 s, first sample under a window)
    for (name, fewest, one, three, first) in [
        ("kaldi80", 400, 1, 298, 0),
        ("kaldi80:edges=mirror", 200, 1, 300, -120),
        ("speechbrain80", 1, 1, 301, -200),
        ("ecapa80", 257, 2, 301, -200),
        ("mfcc-librosa", 1, 1, 301, -200),
        ("mfcc-librosa:edges=snip", 512, 1, 297, 56),
        ("mfcc-kaldi", 400, 1, 298, 0),
        ("kws10", 480, 1, 149, 0),
        ("raw", 1, 1, 48000, 0),
        ("raw:chunk=512,context=64", 512, 512, 48000, 0),
    ] {
        let front_end = by_name(name);
        assert_eq!((front_end.min_samples(), front_end.first_sample()), (fewest, first), "{name}");
        assert_eq!(front_end.num_frames(fewest - 1), None, "{name}");
        assert_eq!(front_end.num_frames(fewest), Some(one), "{name}");
        assert_eq!(front_end.num_frames(48000), Some(three), "{name}");
        assert_eq!(front_end.num_frames(usize::MAX).filter(|&n| n < 1 << 40), None, "{name}");
    }
    assert_eq!(FrontEnd::kws10().num_frames(16000), Some(49));
    assert_eq!(logmel.partial_starts(48000), [0]);
    assert_eq!(logmel.padded_samples(48000), 48000);
}

#[test]
fn chunks_are_whole() {
    let chunks = by_name("raw:chunk=512,context=64").chunks().unwrap();
    assert_eq!((chunks.length(), chunks.count(511), chunks.count(512), chunks.count(48_000)), (576, 0, 1, 93));
    assert_eq!(FrontEnd::raw().chunks(), None);
}

#[test]
fn partial_windows_are_those_of_resemblyzer() {
    let ge2e = FrontEnd::ge2e40();
    // (samples, starts, padded): worked out by hand from compute_partial_slices.
    for (samples, starts, padded) in [
        (48000, vec![0, 77, 154], 50240),
        (1, vec![0], 25600),
        (16000, vec![0], 25600),
        (25600, vec![0], 25600),
        // The second window starts at sample 12320: 19200 more samples cover 75 % of it.
        (31519, vec![0], 31519),
        (31520, vec![0, 77], 37920),
    ] {
        assert_eq!(ge2e.partial_starts(samples), starts, "{samples}");
        assert_eq!(ge2e.padded_samples(samples), padded, "{samples}");
    }
}

#[test]
fn dft_covers_exactly_the_weighted_bins() {
    // 20 Hz and 7600 Hz fall between bins of 31.25 Hz; 0 Hz and 8000 Hz have weight 0.
    assert_eq!(FrontEnd::logmel24().dft_matrix().bins, 1..244);
    let dft = FrontEnd::ge2e40().dft_matrix();
    assert_eq!(dft.bins, 1..200);
    assert_eq!((dft.re.rows, dft.re.cols, dft.im.rows, dft.im.cols), (400, 199, 400, 199));
    assert_eq!(FrontEnd::kaldi80().dft_matrix().bins, 1..256);
    assert_eq!(by_name("kaldi80:high=7600").dft_matrix().bins, 1..244);
    assert_eq!(FrontEnd::kws10().dft_matrix().bins, 1..128);
}

#[test]
fn dct_is_orthonormal() {
    let dct = FrontEnd::mfcc(40).dct_matrix().unwrap();
    for i in 0..40 {
        for j in 0..40 {
            let dot: f64 = (0..40).map(|b| dct.row(b)[i] * dct.row(b)[j]).sum();
            assert!((dot - f64::from(i == j)).abs() < 1e-12);
        }
    }
    assert_eq!(FrontEnd::logmel40().dct_matrix(), None);
}

proptest! {
    #[test]
    fn partial_windows_fit_the_padded_recording(samples in 1usize..400_000) {
        let ge2e = FrontEnd::ge2e40();
        let (starts, padded) = (ge2e.partial_starts(samples), ge2e.padded_samples(samples));
        prop_assert!(padded >= samples);
        let last = starts.last().copied().unwrap();
        prop_assert!(ge2e.num_frames(padded).unwrap() >= last + 160);
        prop_assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 77));
    }

    #[test]
    fn mel_scales_invert(hz in 0.0..8000.0_f64) {
        for scale in [MelScale::Htk, MelScale::Slaney, MelScale::Kaldi] {
            prop_assert!((scale.hz(scale.mel(hz)) - hz).abs() < 1e-8);
        }
    }
}
