//! Whole speaker systems, by name: a network as its exporter writes it, imported, calibrated on the bundled voices, and
//! one recording of three seconds proved and verified.
//!
//! ```sh
//! cargo run --release --example systems                          # the smallest, and the names there are
//! cargo run --release --example systems -- ecapa-c512 campp      # or all
//! ```
//!
//! Networks of published shapes have seeded random weights ([`networks`]): what they cost is real, what they say of voices is
//! not. Trained ones are read from the folder `VOXCHECK_DATA`. Proofs are those that hide; proving starts with a loaded key and
//! includes running the network, verifying one with a prepared key. Peak memory is that of proving, the model included.

mod layers;
mod networks;
mod onnx;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::time::Instant;

use voxcheck::audio::{FrontEnd, wav};
use voxcheck::proof::Expected;
use voxcheck::{Context, Model, setup};

use networks::Network;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Samples of three seconds.
const SAMPLES: usize = 48_000;

/// Where a network comes from.
enum Origin {
    /// Its shape is published, its weights are random.
    Shape(fn() -> Network),
    /// A file below `VOXCHECK_DATA`.
    File(&'static str),
}

/// A network and the front end that it takes features from.
struct System {
    name: &'static str,
    front_end: &'static str,
    origin: Origin,
}

const fn shape(name: &'static str, front_end: &'static str, network: fn() -> Network) -> System {
    System { name, front_end, origin: Origin::Shape(network) }
}

const fn file(name: &'static str, front_end: &'static str, path: &'static str) -> System {
    System { name, front_end, origin: Origin::File(path) }
}

/// What runs without a name.
const SMALLEST: &str = "gru-attention";

const SYSTEMS: &[System] = &[
    shape("xvector", "logmel24", networks::xvector),
    shape("ecapa-c512", "logmel80", || networks::ecapa(512)),
    shape("ecapa-c1024", "logmel80", || networks::ecapa(1024)),
    shape("resnet34", "kaldi80", networks::resnet34),
    shape("campp", "kaldi80", networks::campp),
    shape(SMALLEST, "logmel40", networks::gru_attention),
    file("ge2e", "ge2e40", "models/resemblyzer_ge2e.onnx"),
    file("rawnet3", "raw", "models/rawnet3_c128_mfa384_untrained.onnx"),
    file("ecapa-small", "logmel40", "models/ecapa_small.onnx"),
    file("xvector-small", "logmel24", "models/xvector_small.onnx"),
];

/// The bundled recordings of these names, three seconds of each.
fn recordings(names: &[&str]) -> Result<Vec<wav::Wav>> {
    let read = |name: &&str| {
        let mut wav = wav::read(format!("{}/assets/demo/{name}.wav", env!("CARGO_MANIFEST_DIR")))?;
        wav.samples.truncate(SAMPLES);
        Ok(wav)
    };
    names.iter().map(read).collect()
}

/// The file of a network and the number of its parameters, which are not counted in files; `None` if it is not there.
fn network(origin: &Origin) -> Result<Option<(Vec<u8>, Option<usize>)>> {
    match origin {
        Origin::Shape(make) => {
            let Network { onnx, parameters } = make();
            Ok(Some((onnx, Some(parameters))))
        }
        Origin::File(path) => {
            let found = std::env::var_os("VOXCHECK_DATA").map(|folder| PathBuf::from(folder).join(path));
            Ok(found.filter(|path| path.is_file()).map(std::fs::read).transpose()?.map(|onnx| (onnx, None)))
        }
    }
}

/// Makes the peak that [`peak_megabytes`] reads start from now, where the system can do that.
fn reset_peak() {
    let _ = std::fs::write("/proc/self/clear_refs", "5");
}

/// Most memory that was resident; `None` where the system does not say.
fn peak_megabytes() -> Option<f64> {
    let status = std::fs::read_to_string(Path::new("/proc/self/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.split_whitespace().next()?.parse::<f64>().ok()? * 1024.0 / 1e6)
}

/// A number of a table, or that there is none.
fn or_dash<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(|| "-".into(), |value| value.to_string())
}

/// Imports, proves and verifies; prints a row of the table.
fn run(system: &System) -> Result<()> {
    let Some((onnx, parameters)) = network(&system.origin)? else {
        println!("{:<14} not in the folder of VOXCHECK_DATA", system.name);
        return Ok(());
    };
    let clips: Vec<Vec<i16>> =
        recordings(&["awb_1", "kal16_1", "rms_1", "slt_1"])?.into_iter().map(|wav| wav.samples).collect();
    let clock = Instant::now();
    let builder = Model::from_onnx_bytes(onnx, system.name)?.front_end(FrontEnd::by_name(system.front_end)?);
    let (model, cosine) = builder.calibrate_measured(&clips)?;
    let import = clock.elapsed();
    let lookups = model.cost(SAMPLES)?.lookups;

    let (pk, vk) = setup(&model)?;
    vk.prepare();
    let template = pk.enrol(&recordings(&["slt_1", "slt_2"])?, 0.66)?;
    let context = Context::new(system.name);
    let login = recordings(&["slt_3"])?.remove(0);
    reset_peak();
    let clock = Instant::now();
    let (statement, proof) = pk.prove(&login, &template, &context)?;
    let (prove, peak) = (clock.elapsed(), peak_megabytes());
    let clock = Instant::now();
    vk.check_statement(&statement, &Expected::new(&template.0, &context))?;
    // Random weights may reject: what counts is that the proof is valid.
    let _verdict = vk.verify(&statement, &proof)?;
    println!(
        "{:<14} {:>11} {lookups:>10} {:>8.1} {cosine:>9.6} {:>8.2} {:>9.0} {:>8.1} {:>7}",
        system.name,
        or_dash(parameters),
        import.as_secs_f64(),
        prove.as_secs_f64(),
        1e3 * clock.elapsed().as_secs_f64(),
        proof.to_bytes().len() as f64 / 1e3,
        or_dash(peak.map(|peak| peak.round())),
    );
    Ok(())
}

fn main() -> Result<()> {
    let mut names: Vec<String> = std::env::args().skip(1).collect();
    let all: Vec<&str> = SYSTEMS.iter().map(|system| system.name).collect();
    if names.is_empty() {
        println!("systems: {}, or all; without a name, {SMALLEST}", all.join(", "));
        names.push(SMALLEST.into());
    } else if names == ["all"] {
        names = all.iter().map(|&name| name.to_owned()).collect();
    }
    println!(
        "{:<14} {:>11} {:>10} {:>8} {:>9} {:>8} {:>9} {:>8} {:>7}",
        "system", "parameters", "lookups", "import s", "cosine", "prove s", "verify ms", "proof kB", "peak MB"
    );
    for name in names {
        let system = SYSTEMS.iter().find(|system| system.name == name);
        let system = system.ok_or_else(|| format!("no system {name:?}; there are {}", all.join(", ")))?;
        run(system).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}
