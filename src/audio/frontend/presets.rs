//! The presets, as the libraries that people train with compute them.

use super::options::{Options, spell};
use super::{
    Chunks, Compression, Dct, FrontEnd, FrontEndError, MelBank, MelNorm, MelScale, Padding, Partials, PreEmphasis,
    SampleScale, Spectrum, TensorInput, Triangles, WindowKind,
};

/// Most coefficients of a cosine transform.
const MAX_COEFFICIENTS: usize = 40;
/// Coefficients of `mfcc`, `mfcc-librosa` and `mfcc-kaldi` if nothing else is said.
const COEFFICIENTS: usize = 13;
/// Kaldi's floor of energies: the precision of single floats.
const KALDI_FLOOR: f64 = 1.0 / (1 << 23) as f64;
/// Most new samples of a chunk: a second at 16 kHz.
const MAX_CHUNK: usize = 1 << 14;
/// Decibels under the floor of 1e-10 and under the loudest value, as librosa and SpeechBrain have them.
const DECIBELS: Compression = Compression::Decibels { floor: 1e-10, range: 80.0 };

/// What [`FrontEnd::by_name`] finds, for messages.
pub(super) const PRESETS: &str = "raw, logmel24, logmel40, logmel80, kaldi80, speechbrain80, ecapa80, ge2e40, mfcc, \
                                  mfcc1 to mfcc40, mfcc-librosa, mfcc-kaldi and kws10";

impl FrontEnd {
    /// The preset of this name, with its options: `NAME` or `NAME:OPTION=VALUE,OPTION=VALUE…`.
    ///
    /// | name | options (the first value is what holds without the option) |
    /// |---|---|
    /// | `raw` | `chunk=N` (1 to 16384 samples; none: the whole recording), and with it `context=0` (0 to N samples) |
    /// | `logmel24`, `logmel40`, `logmel80` | |
    /// | `kaldi80` | `window=hamming\|povey`, `scale=int16\|unit`, `edges=snip\|mirror`, `high=8000` (4000 to 8000 Hz) |
    /// | `speechbrain80` | `bands=80\|24` |
    /// | `ecapa80` | |
    /// | `ge2e40` | |
    /// | `mfcc1` … `mfcc40`, `mfcc` (13) | `of=logmel40` (or a preset with a logarithm, whose options follow), `mean=off\|on` |
    /// | `mfcc-librosa` | `coefficients=13` (1 to 40), `edges=zeros\|snip` |
    /// | `mfcc-kaldi` | `coefficients=13` (1 to 23), `lifter=22\|off` |
    /// | `kws10` | |
    ///
    /// Options may come in any order. The `name` of what is returned is the one spelling that the preset has in
    /// models: options in the order of the table, and none that changes nothing.
    ///
    /// # Errors
    /// [`FrontEndError`] naming the preset, option or value that does not exist, and those that do.
    pub fn by_name(name: &str) -> Result<Self, FrontEndError> {
        let mut options = Options::parse(name)?;
        let preset = match options.preset() {
            "raw" => match options.number("chunk", 1..=MAX_CHUNK, 0)? {
                0 => Self::raw(),
                samples => Self::raw_chunks(Chunks { samples, context: options.number("context", 0..=samples, 0)? }),
            },
            "logmel24" => Self::logmel24(),
            "logmel40" => Self::logmel40(),
            "logmel80" => Self::logmel80(),
            "ge2e40" => Self::ge2e40(),
            "ecapa80" => Self::ecapa80(),
            "kws10" => Self::kws10(),
            "kaldi80" => {
                let povey = options.choice("window", ["hamming", "povey"])?;
                let unit = options.choice("scale", ["int16", "unit"])?;
                let mirror = options.choice("edges", ["snip", "mirror"])?;
                let high_hz = options.number("high", 4000..=8000, 8000)?;
                Self::kaldi(povey, unit, mirror, high_hz)
            }
            "speechbrain80" => Self::speechbrain(if options.choice("bands", ["80", "24"])? { 24 } else { 80 }),
            "mfcc-librosa" => {
                let coefficients = options.number("coefficients", 1..=MAX_COEFFICIENTS, COEFFICIENTS)?;
                Self::mfcc_librosa(coefficients, options.choice("edges", ["zeros", "snip"])?)
            }
            "mfcc-kaldi" => {
                let coefficients = options.number("coefficients", 1..=KALDI_MFCC_BANDS, COEFFICIENTS)?;
                Self::mfcc_kaldi(coefficients, options.choice("lifter", ["22", "off"])?)
            }
            _ => return Self::mfcc_by_name(name, options),
        };
        options.finish()?;
        Ok(preset)
    }

    /// `mfcc` and `mfccN`, over any preset with a logarithm.
    fn mfcc_by_name(name: &str, mut options: Options<'_>) -> Result<Self, FrontEndError> {
        let unknown = || FrontEndError::UnknownPreset { name: name.to_owned(), known: PRESETS };
        let digits = options.preset().strip_prefix("mfcc").ok_or_else(unknown)?;
        let coefficients = if digits.is_empty() { COEFFICIENTS } else { digits.parse().map_err(|_| unknown())? };
        // One preset, one spelling: `mfcc+5` and `mfcc05` parse as numbers too.
        let plain = digits.is_empty() || digits == coefficients.to_string();
        if !plain || !(1..=MAX_COEFFICIENTS).contains(&coefficients) {
            return Err(unknown());
        }
        let mean = options.choice("mean", ["off", "on"])?;
        let of = options.text("of").unwrap_or("logmel40");
        let known = || "logmel24, logmel40, logmel80, kaldi80, speechbrain80 and ecapa80".to_owned();
        // One inside of another would go as deep as somebody cares to write.
        if of.starts_with("mfcc") {
            return Err(options.refused("of", of, known()));
        }
        let base = Self::by_name(&options.rest_for(of))?;
        if base.dct.is_some() || base.is_raw() || base.compression == Compression::None {
            return Err(options.refused("of", of, known()));
        }
        if coefficients > base.mel.bands {
            let known = format!("presets of at least {coefficients} bands");
            return Err(options.refused("of", of, known));
        }
        Ok(Self::mfcc_of(base, coefficients, mean))
    }

    /// The first `coefficients` orthonormal DCT-II coefficients of a preset's logarithms, less their mean or not.
    fn mfcc_of(base: Self, coefficients: usize, mean: bool) -> Self {
        let mut options = Vec::new();
        let (preset, own) = base.name.split_once(':').unwrap_or((&base.name, ""));
        if preset != "logmel40" {
            options.push(format!("of={preset}"));
            options.extend(own.split(',').filter(|option| !option.is_empty()).map(str::to_owned));
        }
        if mean {
            options.push("mean=on".to_owned());
        }
        let name = spell(&format!("mfcc{coefficients}"), &options);
        Self { name, dct: Some(Dct::orthonormal(coefficients)), subtract_mean: mean, ..base }
    }

    /// 24 log-mel bands, 20 to 7600 Hz, mean-normalised: the front end of the bundled network.
    pub fn logmel24() -> Self {
        Self::logmel(24)
    }

    /// 40 log-mel bands, 20 to 7600 Hz, mean-normalised.
    pub fn logmel40() -> Self {
        Self::logmel(40)
    }

    /// 80 log-mel bands, 20 to 7600 Hz, mean-normalised.
    pub fn logmel80() -> Self {
        Self::logmel(80)
    }

    fn logmel(bands: usize) -> Self {
        Self {
            name: format!("logmel{bands}"),
            sample_rate: 16000,
            scale: SampleScale::Unit,
            emphasis: PreEmphasis::None,
            frame_length: 400,
            window_length: 400,
            hop: 160,
            fft_size: 512,
            padding: Padding::None,
            window: WindowKind::PeriodicHann,
            spectrum: Spectrum::Power,
            mel: bank(bands, 20.0, 7600.0, MelScale::Htk, Triangles::Hz),
            compression: Compression::Ln { floor: 1e-6 },
            dct: None,
            subtract_mean: true,
            partials: None,
        }
    }

    /// Kaldi's 80 log-mel bands as in WeSpeaker and pyannote: int16 scale, emphasis in every frame, Hamming window, 20 to
    /// 8000 Hz, mean-normalised.
    pub fn kaldi80() -> Self {
        Self::kaldi(false, false, false, 8000)
    }

    fn kaldi(povey: bool, unit: bool, mirror: bool, high_hz: usize) -> Self {
        let set = [(povey, "window=povey"), (unit, "scale=unit"), (mirror, "edges=mirror")];
        let mut options: Vec<String> = set.iter().filter(|(on, _)| *on).map(|(_, text)| (*text).to_owned()).collect();
        if high_hz != 8000 {
            options.push(format!("high={high_hz}"));
        }
        Self {
            name: spell("kaldi80", &options),
            scale: if unit { SampleScale::Unit } else { SampleScale::Int16 },
            emphasis: PreEmphasis::Frame,
            padding: if mirror { Padding::Mirror } else { Padding::None },
            window: if povey { WindowKind::Povey } else { WindowKind::SymmetricHamming },
            mel: bank(80, 20.0, high_hz as f64, MelScale::Kaldi, Triangles::Mel),
            compression: Compression::LnAbove { floor: KALDI_FLOOR },
            ..Self::logmel(80)
        }
    }

    /// SpeechBrain's 80 bands in decibels: centred frames, symmetric triangles, 80 dB below the loudest, mean-normalised.
    pub fn speechbrain80() -> Self {
        Self::speechbrain(80)
    }

    fn speechbrain(bands: usize) -> Self {
        let options: Vec<String> = (bands != 80).then(|| format!("bands={bands}")).into_iter().collect();
        Self {
            name: spell("speechbrain80", &options),
            fft_size: 400,
            padding: Padding::CentredZeros(200),
            window: WindowKind::PeriodicHamming,
            mel: bank(bands, 0.0, 8000.0, MelScale::Htk, Triangles::Symmetric),
            compression: DECIBELS,
            ..Self::logmel(bands)
        }
    }

    /// The 80 log-mel bands of the public ECAPA-TDNN training code: the recording emphasised, mirrored at its ends,
    /// Hamming window, mean-normalised.
    pub fn ecapa80() -> Self {
        Self {
            name: "ecapa80".into(),
            emphasis: PreEmphasis::Signal,
            frame_length: 512,
            padding: Padding::CentredMirror(256),
            window: WindowKind::PeriodicHamming,
            ..Self::logmel(80)
        }
    }

    /// Resemblyzer: 40 Slaney band energies up to 8000 Hz without logarithm, in windows of 160
    /// frames every 77.
    pub fn ge2e40() -> Self {
        Self {
            name: "ge2e40".into(),
            fft_size: 400,
            padding: Padding::CentredZeros(200),
            mel: slaney40(),
            compression: Compression::None,
            subtract_mean: false,
            partials: Some(Partials { frames: 160, step: 77, min_coverage: 0.75 }),
            ..Self::logmel(40)
        }
    }

    /// The first `coefficients` (1 to 40) orthonormal DCT-II coefficients of 40 log-mel bands,
    /// without mean subtraction.
    ///
    /// # Panics
    /// If `coefficients` is not between 1 and 40.
    pub fn mfcc(coefficients: usize) -> Self {
        assert!((1..=MAX_COEFFICIENTS).contains(&coefficients), "1 to 40 coefficients, not {coefficients}");
        Self::mfcc_of(Self::logmel40(), coefficients, false)
    }

    fn mfcc_librosa(coefficients: usize, snip: bool) -> Self {
        let mut options = Vec::new();
        if coefficients != COEFFICIENTS {
            options.push(format!("coefficients={coefficients}"));
        }
        if snip {
            options.push("edges=snip".to_owned());
        }
        Self {
            name: spell("mfcc-librosa", &options),
            frame_length: 512,
            padding: if snip { Padding::None } else { Padding::CentredZeros(256) },
            mel: slaney40(),
            compression: DECIBELS,
            dct: Some(Dct::orthonormal(coefficients)),
            subtract_mean: false,
            ..Self::logmel(40)
        }
    }

    fn mfcc_kaldi(coefficients: usize, no_lifter: bool) -> Self {
        let mut options = Vec::new();
        if coefficients != COEFFICIENTS {
            options.push(format!("coefficients={coefficients}"));
        }
        if no_lifter {
            options.push("lifter=off".to_owned());
        }
        let kaldi = Self::kaldi(true, false, false, 8000);
        Self {
            name: spell("mfcc-kaldi", &options),
            mel: MelBank { bands: KALDI_MFCC_BANDS, ..kaldi.mel },
            dct: Some(Dct { lifter: if no_lifter { 0 } else { 22 }, ..Dct::orthonormal(coefficients) }),
            subtract_mean: false,
            ..kaldi
        }
    }

    /// Ten coefficients for keyword spotting, as in TensorFlow: magnitudes of samples over the largest sample, 40 bands
    /// up to 4000 Hz.
    pub fn kws10() -> Self {
        Self {
            name: "kws10".into(),
            scale: SampleScale::Peak,
            frame_length: 480,
            window_length: 480,
            hop: 320,
            spectrum: Spectrum::Magnitude,
            mel: bank(40, 20.0, 4000.0, MelScale::Kaldi, Triangles::Mel),
            dct: Some(Dct { coefficients: 10, orthonormal: false, lifter: 0 }),
            subtract_mean: false,
            ..Self::logmel(40)
        }
    }

    /// No front end: the network takes the samples, divided by 32768, as one column.
    pub fn raw() -> Self {
        Self {
            name: "raw".into(),
            frame_length: 1,
            window_length: 1,
            hop: 1,
            fft_size: 1,
            mel: MelBank { bands: 1, ..Self::logmel(1).mel },
            compression: Compression::Samples,
            subtract_mean: false,
            ..Self::logmel(1)
        }
    }

    /// The samples in chunks, some of those before each among them: for networks that are run over chunks and carry a
    /// state from one to the next.
    pub fn raw_chunks(chunks: Chunks) -> Self {
        let mut options = vec![format!("chunk={}", chunks.samples)];
        if chunks.context > 0 {
            options.push(format!("context={}", chunks.context));
        }
        Self { name: spell("raw", &options), compression: Compression::Chunks(chunks), ..Self::raw() }
    }

    /// No recording at all: the network takes its own input tensor. A frame is a row of it, padded to a power of two of
    /// integers.
    pub fn none(tensor: TensorInput) -> Self {
        let stride = tensor.stride();
        Self {
            name: "none".into(),
            sample_rate: 0,
            frame_length: stride,
            hop: stride,
            mel: MelBank { bands: tensor.columns(), ..Self::raw().mel },
            compression: Compression::Tensor(tensor),
            ..Self::raw()
        }
    }
}

/// Bands of Kaldi's cepstral coefficients.
const KALDI_MFCC_BANDS: usize = 23;

fn bank(bands: usize, low_hz: f64, high_hz: f64, scale: MelScale, triangles: Triangles) -> MelBank {
    MelBank { bands, low_hz, high_hz, scale, triangles, norm: MelNorm::None }
}

/// librosa's 40 bands of equal area.
fn slaney40() -> MelBank {
    MelBank { norm: MelNorm::Slaney, ..bank(40, 0.0, 8000.0, MelScale::Slaney, Triangles::Hz) }
}
