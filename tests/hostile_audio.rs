//! Recordings that nobody meant to be proved: every one is either proved with the meaning that `docs/cli.md` gives
//! it, or refused by name.
#![cfg(unix)]

mod cli_common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use cli_common::*;
use serde_json::Value;

/// What becomes of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// A valid proof that the voice is not the enrolled one.
    Reject,
    /// Exit status 65 and this code.
    Refused(&'static str),
}

use Outcome::{Refused, Reject};

const FORMAT: Outcome = Refused("E-WAV-FORMAT");
const DAMAGED: Outcome = Refused("E-WAV");
const TRUNCATED: Outcome = Refused("E-WAV-TRUNCATED");
const SHORT: Outcome = Refused("E-WAV-TOO-SHORT");
const LONG: Outcome = Refused("E-WAV-TOO-LONG");
const EMPTY: Outcome = Refused("E-WAV-EMPTY");

/// A template of a bundled voice.
static TEMPLATE: LazyLock<Folder> = LazyLock::new(|| {
    let folder = Folder::new();
    assert_eq!(status(&["enrol", &demo_wav("slt_1.wav"), "-o", &folder.path("t.vxe")]), 0);
    folder
});

/// The data chunk of a second of a bundled recording of another voice.
static SPEECH: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let samples = voxcheck::audio::wav::read(demo_wav("awb_1.wav")).unwrap().samples;
    samples[..16_000].iter().flat_map(|s| s.to_le_bytes()).collect()
});

fn pcm(samples: impl IntoIterator<Item = i16>) -> Vec<u8> {
    let data: Vec<u8> = samples.into_iter().flat_map(i16::to_le_bytes).collect();
    wav(1, 1, 16_000, 16, &data)
}

/// The file with some bytes replaced.
fn with(mut bytes: Vec<u8>, at: usize, new: &[u8]) -> Vec<u8> {
    bytes[at..at + new.len()].copy_from_slice(new);
    bytes
}

/// The file with chunks between its header and its `fmt ` chunk, or, at 36, before its data chunk.
fn inserted(mut bytes: Vec<u8>, at: usize, new: &[u8]) -> Vec<u8> {
    bytes.splice(at..at, new.iter().copied());
    bytes
}

/// Proves about a recording and verifies what comes out.
#[track_caller]
fn check(path: &str, outcome: Outcome) {
    let (template, folder) = (TEMPLATE.path("t.vxe"), Folder::new());
    let proof = folder.path("p.vxp");
    let (exit, value) = json(&["prove", "--enrolled", &template, path, "-o", &proof, "--reveal", "score"]);
    match outcome {
        Reject => {
            assert_eq!((exit, &value["decision"]), (0, &Value::from("reject")), "{path}: {value}");
            assert!(value["score"].as_f64().unwrap() < value["threshold"].as_f64().unwrap(), "{path}: {value}");
            let (exit, value) = json(&["verify", "--enrolled", &template, &proof]);
            assert_eq!((exit, &value["decision"]), (1, &Value::from("reject")), "{path}: {value}");
        }
        Refused(code) => {
            assert_eq!((exit, value["code"].as_str()), (65, Some(code)), "{path}: {value}");
            let text = format!("{} {}", value["message"].as_str().unwrap(), value["help"].as_str().unwrap());
            assert!(text.contains(Path::new(path).file_name().unwrap().to_str().unwrap()), "{text}");
            if outcome == FORMAT {
                for word in ["Hz", "channel", "bits", "ffmpeg -i", "pcm_s16le"] {
                    assert!(text.contains(word), "{path}: {text}");
                }
            }
            assert_eq!(folder.names(), [""; 0], "{path}");
        }
    }
}

/// Every file of the shared folder, the row of the table in `docs/cli.md` that it belongs to, and its outcome.
const SHARED: [(&str, &str, Outcome); 29] = [
    ("clipped_3s", "clipped speech", Reject),
    ("data_size_ffffffff", "data chunk longer than the file", TRUNCATED),
    ("dc_offset_3s", "speech with a constant added", Reject),
    ("empty_data", "no samples", EMPTY),
    ("float32_16k", "not 16-bit mono PCM", FORMAT),
    ("fsdd8k_0_george_10", "another rate", FORMAT),
    ("fsdd8k_5_theo_20", "another rate", FORMAT),
    ("fsdd8k_7_jackson_3", "another rate", FORMAT),
    ("fullscale_min_3s", "silence, or any constant", Reject),
    ("fullscale_square_1k", "full-scale tones and noise", Reject),
    ("list_chunk_before_data", "other chunks around the data", Reject),
    ("noisy_0dB_3s", "full-scale tones and noise", Reject),
    ("not_a_wav", "not RIFF/WAVE: text, RF64, BW64, RIFX", DAMAGED),
    ("odd_byte_data", "a structure that contradicts itself", DAMAGED),
    ("one_frame_400", "shorter than the model's minimum", SHORT),
    ("pcm16_44k1", "another rate", FORMAT),
    ("pcm16_48k_stereo", "not 16-bit mono PCM", FORMAT),
    ("pcm24_16k", "not 16-bit mono PCM", FORMAT),
    ("pcm8_16k", "not 16-bit mono PCM", FORMAT),
    ("short_0.2s", "short, but long enough", Reject),
    ("silence_3s", "silence, or any constant", Reject),
    ("stereo_16k", "not 16-bit mono PCM", FORMAT),
    ("too_short_399", "shorter than the model's minimum", SHORT),
    ("truncated_data", "data chunk longer than the file", TRUNCATED),
    ("truncated_header_20B", "a structure that contradicts itself", DAMAGED),
    ("ulaw_8k", "not 16-bit mono PCM", FORMAT),
    ("wavex_16k", "`WAVE_FORMAT_EXTENSIBLE` of PCM", Reject),
    ("white_noise_3s", "full-scale tones and noise", Reject),
    ("zero_channels", "a structure that contradicts itself", DAMAGED),
];

/// Recordings made here, the same way.
fn generated() -> Vec<(&'static str, Vec<u8>, &'static str, Outcome)> {
    let plain = || wav(1, 1, 16_000, 16, &SPEECH);
    let second = || vec![0u8; 32_000];
    let contradiction = "a structure that contradicts itself";
    let foreign = "not RIFF/WAVE: text, RF64, BW64, RIFX";
    let (format, rate) = ("not 16-bit mono PCM", "another rate");
    let floats = |x: f32| wav(3, 1, 16_000, 32, &x.to_le_bytes().repeat(16_000));
    let square =
        |period: usize| pcm((0..16_000).map(move |i| if i % period < period / 2 { i16::MAX } else { i16::MIN }));
    let other_chunks = "other chunks around the data";
    vec![
        ("dc.wav", pcm([12_345; 16_000]), "silence, or any constant", Reject),
        ("silence.wav", pcm([0; 16_000]), "silence, or any constant", Reject),
        ("nyquist.wav", square(2), "full-scale tones and noise", Reject),
        ("square.wav", square(160), "full-scale tones and noise", Reject),
        (
            "click.wav",
            pcm((0..16_000).map(|i| if i == 8_000 { i16::MAX } else { 0 })),
            "full-scale tones and noise",
            Reject,
        ),
        ("two_data.wav", [plain(), b"data\x04\0\0\0abcd".to_vec()].concat(), contradiction, DAMAGED),
        ("tail.wav", [plain(), b"LIST\x04\0\0\0abcd".to_vec()].concat(), other_chunks, Reject),
        ("odd_chunk.wav", inserted(plain(), 36, b"abcd\x03\0\0\0xyz\0"), other_chunks, Reject),
        ("riff_length_0.wav", with(plain(), 4, &[0; 4]), "wrong RIFF length or bytes per second", Reject),
        ("riff_length_max.wav", with(plain(), 4, &[255; 4]), "wrong RIFF length or bytes per second", Reject),
        ("byte_rate.wav", with(plain(), 28, &[9; 4]), "wrong RIFF length or bytes per second", Reject),
        ("block_align.wav", with(plain(), 32, &[4, 0]), contradiction, DAMAGED),
        ("fmt_14.wav", with(plain(), 16, &[14, 0]), contradiction, DAMAGED),
        ("fmt_huge.wav", with(plain(), 16, &[255; 4]), contradiction, DAMAGED),
        ("chunk_huge.wav", inserted(plain(), 12, b"abcd\xff\xff\xff\xff"), contradiction, DAMAGED),
        ("no_padding.wav", inserted(plain(), 36, b"abcd\x03\0\0\0xyz"), contradiction, DAMAGED),
        ("zero_hertz.wav", with(plain(), 24, &[0; 4]), contradiction, DAMAGED),
        ("data_huge.wav", with(plain(), 40, &[254, 255, 255, 255]), "data chunk longer than the file", TRUNCATED),
        ("data_2gib.wav", with(plain(), 40, &[0, 0, 0, 128]), "data chunk longer than the file", TRUNCATED),
        ("data_0.wav", pcm([]), "no samples", EMPTY),
        ("fast.wav", with(plain(), 24, &[255; 4]), rate, FORMAT),
        ("nan.wav", floats(f32::NAN), format, FORMAT),
        ("infinite.wav", floats(f32::INFINITY), format, FORMAT),
        ("adpcm.wav", with(wav(2, 1, 16_000, 8, &second()), 34, &[4, 0]), format, FORMAT),
        ("alaw.wav", wav(6, 1, 16_000, 8, &second()), format, FORMAT),
        ("mulaw.wav", wav(7, 1, 16_000, 8, &second()), format, FORMAT),
        ("many_channels.wav", with(plain(), 22, &[255, 255]), format, FORMAT),
        ("rf64.wav", with(plain(), 0, b"RF64"), foreign, DAMAGED),
        ("bw64.wav", with(plain(), 0, b"BW64"), foreign, DAMAGED),
        ("rifx.wav", with(plain(), 0, b"RIFX"), foreign, DAMAGED),
        ("one_sample.wav", pcm([1]), "shorter than the model's minimum", SHORT),
        ("a_minute_and_one.wav", pcm(vec![1; 960_001]), "longer than the model's maximum", LONG),
        ("ten_minutes.wav", pcm(vec![1; 9_600_000]), "longer than the model's maximum", LONG),
        ("more.wav", pcm(vec![1; 9_600_001]), "longer than the model's maximum", LONG),
    ]
}

#[test]
fn every_shared_recording_has_its_outcome() {
    let shared = match std::env::var_os("VOXCHECK_DATA") {
        Some(folder) => PathBuf::from(folder),
        None => Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/data"),
    };
    let folder = shared.join("wav/odd");
    let Ok(files) = fs::read_dir(&folder) else {
        assert!(std::env::var_os("VOXCHECK_REQUIRE_DATA").is_none(), "no recordings in {}", folder.display());
        println!("skipped: no recordings in {}", folder.display());
        return;
    };
    assert_eq!(files.count(), SHARED.len(), "every file is listed");
    for (name, _, outcome) in SHARED {
        check(&path_text(&folder.join(format!("{name}.wav"))), outcome);
    }
}

#[test]
fn every_generated_recording_has_its_outcome() {
    let folder = Folder::new();
    for (name, bytes, _, outcome) in generated() {
        check(&folder.write(name, &bytes), outcome);
    }
}

#[test]
fn the_documentation_has_the_same_table() {
    let docs = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/cli.md")).unwrap();
    let generated = generated();
    let rows = SHARED.iter().map(|(_, row, outcome)| (*row, *outcome));
    for (row, outcome) in rows.chain(generated.iter().map(|(_, _, row, outcome)| (*row, *outcome))) {
        let outcome = match outcome {
            Reject => "proved".to_owned(),
            Refused(code) => format!("65, `{code}`"),
        };
        let line = format!("| {row} | {outcome}");
        assert!(docs.lines().any(|l| l.starts_with(&line)), "docs/cli.md lacks: {line}");
    }
}

#[test]
fn every_truncation_of_a_header_is_refused() {
    let folder = Folder::new();
    let whole = wav(1, 1, 16_000, 16, &SPEECH);
    for length in [0, 1, 4, 11, 12, 19, 20, 35, 36, 43, 44, 45, whole.len() - 1] {
        let path = folder.write(&format!("{length}.wav"), &whole[..length]);
        check(&path, if length < 44 { DAMAGED } else { TRUNCATED });
    }
}

#[test]
fn a_header_reserves_no_memory() {
    let folder = Folder::new();
    let huge = with(wav(1, 1, 16_000, 16, &[0; 64]), 40, &[254, 255, 255, 255]);
    let long = pcm(vec![1; 9_600_001]);
    let fmt = with(wav(1, 1, 16_000, 16, &[0; 64]), 16, &[255, 255, 255, 127]);
    for (name, bytes) in [("huge.wav", huge), ("long.wav", long), ("fmt.wav", fmt)] {
        let path = folder.write(name, &bytes);
        // 200 MiB of address space: the program itself and what its allocator sets aside, which varies, and nothing of
        // the gigabytes that the headers promise.
        let output = Command::new("sh")
            .args(["-c", "ulimit -v 204800 && exec \"$0\" \"$@\""])
            .arg(assert_cmd::cargo::cargo_bin("voxcheck"))
            .args(["enrol", &path, "-o", &folder.path("t.vxe"), "--threads", "1"])
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(65), "{name}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn silence_cannot_be_enrolled() {
    let folder = Folder::new();
    for (name, level) in [("silence.wav", 0), ("constant.wav", -7)] {
        let path = folder.write(name, &pcm([level; 16_000]));
        let message = assert_error(&["enrol", &path, "-o", &folder.path("t.vxe")], 65, "E-WAV-SILENT");
        assert!(message.contains(name), "{message}");
        let voice = demo_wav("slt_1.wav");
        assert_error(&["enrol", &voice, &path, "-o", &folder.path("t.vxe")], 65, "E-WAV-SILENT");
    }
}

#[test]
fn the_recording_at_fault_is_named() {
    let folder = Folder::new();
    let short = folder.write("short.wav", &pcm([1; 100]));
    let arguments = ["enrol", &demo_wav("slt_1.wav"), &short, "-o", &folder.path("t.vxe")];
    let message = assert_error(&arguments, 65, "E-WAV-TOO-SHORT");
    assert!(message.contains("short.wav"), "{message}");
}

#[test]
fn a_converter_is_suggested_only_if_it_can_convert() {
    let folder = Folder::new();
    for (tag, bits, can) in [(1, 8, true), (3, 32, true), (6, 8, false), (7, 8, false)] {
        let path = folder.write("in.wav", &wav(tag, 1, 16_000, bits, &[1; 4000]));
        let (exit, value) = json(&["enrol", &path, "-o", &folder.path("t.vxe")]);
        assert_eq!((exit, value["code"].as_str()), (65, Some("E-WAV-FORMAT")));
        assert_eq!(value["help"].as_str().unwrap().contains("voxcheck wav resample"), can, "{value}");
        let converted = status(&["wav", "resample", &path, "-o", &folder.path("out.wav"), "--force"]);
        assert_eq!(converted == 0, can);
    }
    // Samples that are no numbers cannot be converted either, and say so.
    let path = folder.write("nan.wav", &wav(3, 1, 16_000, 32, &f32::NAN.to_le_bytes().repeat(100)));
    assert_error(&["wav", "resample", &path, "-o", &folder.path("nan_out.wav")], 65, "E-WAV");
}
