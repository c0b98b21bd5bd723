//! `wav resample`: any PCM or float WAV → 16-bit mono at a rate. An explicit step before enrolling
//! or proving; no proof covers it.

use std::io::Cursor;
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;

use clap::Subcommand;
use hound::{SampleFormat, WavReader, WavSpec, WavWriter};
use rubato::audioadapter_buffers::owned::InterleavedOwned;
use rubato::{Fft, FixedSync, Resampler};
use serde_json::json;
use voxcheck::audio::wav::MAX_SAMPLES;

use super::console::{Console, Outcome};
use super::error::{CliError, Result};
use super::files::{self, Access};

/// Rates that are converted from and to, in Hz.
const RATES: std::ops::RangeInclusive<u32> = 4_000..=384_000;
/// More channels than any microphone array has.
const MAX_CHANNELS: u16 = 64;
/// Frames a block of the resampler has, about.
const CHUNK: usize = 1024;

/// What to do with recordings.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Convert a WAV to 16-bit mono at a rate; a proof covers the result only, not this step
    Resample(Args),
}

/// Arguments of `resample`.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Recording: WAV, 8- to 32-bit PCM or 32-bit float; `-` is stdin
    #[arg(value_name = "IN")]
    input: PathBuf,
    /// WAV to write; `-` is stdout
    #[arg(long, short, value_name = "OUT")]
    output: PathBuf,
    /// Samples per second
    #[arg(long, value_name = "HZ", default_value = "16000")]
    #[arg(value_parser = clap::value_parser!(u32).range(i64::from(*RATES.start())..=i64::from(*RATES.end())))]
    rate: u32,
}

/// A recording with its channels averaged, full scale being 1.
#[derive(Debug)]
struct Mono {
    spec: WavSpec,
    samples: Vec<f64>,
}

/// Runs the command.
pub fn run(command: &Command, console: &mut Console) -> Result<Outcome> {
    let Command::Resample(args) = command;
    files::check_output(console, &args.output)?;
    let bytes = files::read(&args.input)?;
    let bad = |reason: String| {
        let message = format!("{}: {reason}", args.input.display());
        let name = args.input.display();
        let help = format!("convert it with: ffmpeg -i {name} -ac 1 -ar {} -c:a pcm_s16le OUT.wav", args.rate);
        CliError::data("E-WAV", message, help)
    };
    // The reader and the resampler are not ours; whatever they do to bad bytes is an answer.
    let convert = || decode(bytes).and_then(|mono| Ok((resample(&mono, args.rate)?, mono)));
    let converted = panic::catch_unwind(AssertUnwindSafe(convert)).unwrap_or_else(|_| {
        super::take_panic_message();
        Err("not a usable WAV file".into())
    });
    let (samples, mono) = converted.map_err(bad)?;
    let (pcm, clipped) = quantize(&samples);
    if clipped > 0 {
        console.warn(format!("{clipped} samples were clipped; lower the level of the recording"));
    }
    let encoded = encode(&pcm, args.rate).map_err(|error| CliError::internal(format!("encoding a WAV: {error}")))?;
    files::write(console, &args.output, &encoded, Access::Public)?;
    let WavSpec { channels, sample_rate, bits_per_sample, sample_format } = mono.spec;
    let format = if sample_format == SampleFormat::Float { "float" } else { "PCM" };
    let fields = json!({
        "input": {
            "sample_rate": sample_rate, "channels": channels, "bits": bits_per_sample, "format": format,
            "samples": mono.samples.len(),
        },
        "sample_rate": args.rate,
        "samples": pcm.len(),
        "clipped": clipped,
        "output": args.output,
    });
    let text = format!(
        "{sample_rate} Hz, {channels} channel(s), {bits_per_sample} bits, {format} → {} Hz, 1 channel, 16 bits, PCM: {} samples in {}",
        args.rate,
        pcm.len(),
        args.output.display()
    );
    Ok(Outcome::new("wav-resample", fields, text))
}

/// Decodes a WAV and averages its channels.
fn decode(bytes: Vec<u8>) -> std::result::Result<Mono, String> {
    let mut reader = WavReader::new(Cursor::new(bytes)).map_err(|error| describe(&error))?;
    let spec = reader.spec();
    if !RATES.contains(&spec.sample_rate) {
        return Err(format!("a sample rate of {} Hz is not converted", spec.sample_rate));
    }
    if spec.channels == 0 || spec.channels > MAX_CHANNELS {
        return Err(format!("{} channels are not converted", spec.channels));
    }
    let values: Vec<f64> = match spec.sample_format {
        SampleFormat::Float => {
            let values: std::result::Result<Vec<f32>, _> = reader.samples::<f32>().collect();
            values.map_err(|error| describe(&error))?.into_iter().map(f64::from).collect()
        }
        SampleFormat::Int if (1..=32).contains(&spec.bits_per_sample) => {
            let scale = f64::from(spec.bits_per_sample - 1).exp2();
            let values: std::result::Result<Vec<i32>, _> = reader.samples::<i32>().collect();
            values.map_err(|error| describe(&error))?.into_iter().map(|x| f64::from(x) / scale).collect()
        }
        SampleFormat::Int => return Err(format!("{} bits per sample are not converted", spec.bits_per_sample)),
    };
    if values.iter().any(|x| !x.is_finite()) {
        return Err("it has samples that are not numbers".into());
    }
    let channels = usize::from(spec.channels);
    if values.is_empty() {
        return Err("it has no samples".into());
    }
    if !values.len().is_multiple_of(channels) {
        return Err("its channels are not equally long".into());
    }
    let samples: Vec<f64> = values.chunks_exact(channels).map(|c| c.iter().sum::<f64>() / channels as f64).collect();
    let max = MAX_SAMPLES * u64::from(spec.sample_rate) / 16_000;
    if samples.len() as u64 > max {
        return Err("it is longer than ten minutes".into());
    }
    Ok(Mono { spec, samples })
}

/// What hound found, for people.
fn describe(error: &hound::Error) -> String {
    match error {
        hound::Error::IoError(_) => "the file ends too early or is not a WAV file".into(),
        hound::Error::FormatError(reason) => format!("not a usable WAV file: {reason}"),
        hound::Error::Unsupported => "its encoding is not converted here".into(),
        other => other.to_string(),
    }
}

/// Changes the rate.
fn resample(mono: &Mono, rate: u32) -> std::result::Result<Vec<f64>, String> {
    if mono.spec.sample_rate == rate {
        return Ok(mono.samples.clone());
    }
    let (from, to) = (mono.spec.sample_rate as usize, rate as usize);
    let mut resampler = Fft::<f64>::new(from, to, CHUNK, 1, FixedSync::Both).map_err(|error| error.to_string())?;
    let frames = mono.samples.len();
    let input = InterleavedOwned::new_from(mono.samples.clone(), 1, frames).map_err(|error| error.to_string())?;
    let output = resampler.process_all(&input, frames, None).map_err(|error| error.to_string())?;
    Ok(output.take_data())
}

/// Rounds to 16 bits; also returns how many samples were out of range.
fn quantize(samples: &[f64]) -> (Vec<i16>, usize) {
    let mut clipped = 0;
    let quantize = |&x: &f64| {
        let y = (x * 32768.0).round();
        let inside = y.clamp(f64::from(i16::MIN), f64::from(i16::MAX));
        // A single step above the largest value is how full scale rounds.
        clipped += usize::from((y - inside).abs() > 1.0);
        inside as i16
    };
    (samples.iter().map(quantize).collect(), clipped)
}

fn encode(samples: &[i16], sample_rate: u32) -> std::result::Result<Vec<u8>, hound::Error> {
    let spec = WavSpec { channels: 1, sample_rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
    let mut bytes = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut bytes, spec)?;
    for &sample in samples {
        writer.write_sample(sample)?;
    }
    writer.finalize()?;
    Ok(bytes.into_inner())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::TAU;

    fn tone(rate: u32, hz: f64, seconds: f64) -> Vec<f64> {
        let count = (f64::from(rate) * seconds) as usize;
        (0..count).map(|n| 0.5 * (TAU * hz * n as f64 / f64::from(rate)).sin()).collect()
    }

    #[test]
    fn a_tone_stays_where_it_is() {
        for from in [8_000, 44_100, 48_000, 15_999] {
            let spec =
                WavSpec { channels: 1, sample_rate: from, bits_per_sample: 16, sample_format: SampleFormat::Int };
            let output = resample(&Mono { spec, samples: tone(from, 440.0, 1.0) }, 16_000).unwrap();
            assert!(output.len().abs_diff(16_000) <= 1, "{from}: {}", output.len());
            // 352 periods of sine and cosine: what remains beside them is distortion.
            let inner = 2000..14_800;
            let phase = |n: usize| TAU * 440.0 * n as f64 / 16_000.0;
            let project = |f: fn(f64) -> f64| inner.clone().map(|n| output[n] * f(phase(n))).sum::<f64>() / 6400.0;
            let (sine, cosine) = (project(f64::sin), project(f64::cos));
            let fit = |n: usize| sine * phase(n).sin() + cosine * phase(n).cos();
            let error = inner.clone().map(|n| (output[n] - fit(n)).abs()).fold(0.0, f64::max);
            assert!(error < 1e-3 && (sine.hypot(cosine) - 0.5).abs() < 1e-3, "{from}: {error}");
            // About half a sample late at most.
            assert!((cosine / sine).atan().abs() < 0.51 * phase(1), "{from}: {cosine} {sine}");
        }
    }

    #[test]
    fn sixteen_bits_at_the_same_rate_pass_unchanged() {
        let samples: Vec<i16> = (0..1000).map(|n| (n * 37 % 65536 - 32768) as i16).collect();
        let mono = decode(encode(&samples, 16_000).unwrap()).unwrap();
        assert_eq!(quantize(&resample(&mono, 16_000).unwrap()), (samples, 0));
    }

    #[test]
    fn changed_headers_never_panic() {
        let samples: Vec<i16> = (0..64).collect();
        let good = encode(&samples, 16_000).unwrap();
        for place in 0..44 {
            for value in [0, 1, 2, 3, 16, 32, 127, 128, 255] {
                let mut bytes = good.clone();
                bytes[place] = value;
                if let Ok(mono) = decode(bytes) {
                    let _ = resample(&mono, 16_000);
                }
            }
        }
        for length in 0..good.len() {
            let _ = decode(good[..length].to_vec());
        }
    }
}
