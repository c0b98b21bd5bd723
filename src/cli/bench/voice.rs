//! Whole voices: from samples in memory to a verified decision.

use std::path::PathBuf;
use std::time::Instant;

use voxcheck::audio::FrontEnd;
use voxcheck::audio::wav::Wav;
use voxcheck::layers::network::Network;
use voxcheck::model::BUNDLED;
use voxcheck::proof::{Expected, Mode, Proof, ProveOptions, ProvingKey, Template, TemplateSecret, VerifyingKey, setup};
use voxcheck::{Context, Model};

use super::{Measurement, Prepared, Skip, Workload, ecapa, rawnet};
use crate::cli::error::{CliError, Result};
use crate::cli::{demo, files};

/// Recordings that a model is calibrated on.
const CALIBRATION: usize = 12;
/// Recordings that a large network of random weights is calibrated on.
const RANDOM_CALIBRATION: usize = 6;

/// A model and a length of audio.
pub struct Voice {
    name: &'static str,
    about: &'static str,
    samples: usize,
    source: Source,
}

enum Source {
    /// A built-in model.
    BuiltIn(&'static str),
    /// A network with seeded random weights, and its front end.
    Random(fn() -> Network, fn() -> FrontEnd),
    /// A network below the data folder, and its front end.
    Imported(&'static str, fn() -> FrontEnd),
}

/// The bundled model on three seconds.
pub const XVECTOR_SMALL: Voice = Voice {
    name: "xvector-small-3s",
    about: "the bundled x-vector, three seconds, from samples to the decision",
    samples: 48_000,
    source: Source::BuiltIn(BUNDLED),
};

/// A 3×256 LSTM on one window of 160 frames.
pub const GE2E: Voice = Voice {
    name: "ge2e-160",
    about: "GE2E, three LSTMs of 256, one window of 160 frames (25440 samples), to the decision; needs VOXCHECK_DATA",
    samples: 25_440,
    source: Source::Imported("models/resemblyzer_ge2e.onnx", FrontEnd::ge2e40),
};

/// The full-width x-vector on three seconds.
pub const XVECTOR: Voice = Voice {
    name: "xvector-3s",
    about: "the full-width x-vector, three seconds, from samples to the decision; needs VOXCHECK_DATA",
    samples: 48_000,
    source: Source::Imported("models/xvector.onnx", FrontEnd::logmel40),
};

/// The built-in ECAPA-TDNN on three seconds.
pub const ECAPA_SMALL: Voice = Voice {
    name: "ecapa-small-3s",
    about: "the built-in ECAPA-TDNN of 128 channels, three seconds, from samples to the decision",
    samples: 48_000,
    source: Source::BuiltIn("ecapa-small"),
};

/// ECAPA-TDNN of the published size on three seconds.
pub const ECAPA_512: Voice = Voice {
    name: "ecapa512-3s",
    about: "ECAPA-TDNN of 512 channels, random weights, three seconds, from samples to the decision; needs VOXCHECK_DATA",
    samples: 48_000,
    source: Source::Random(ecapa::published, FrontEnd::logmel80),
};

/// RawNet3 of the published size on three seconds.
pub const RAWNET3: Voice = Voice {
    name: "rawnet3-3s",
    about: "RawNet3 of 1024 channels, random weights, three seconds, from samples to the decision; needs VOXCHECK_DATA",
    samples: 48_000,
    source: Source::Random(rawnet::published, FrontEnd::raw),
};

struct Ready {
    pk: ProvingKey,
    vk: VerifyingKey,
    template: Template,
    secret: TemplateSecret,
    context: Context,
    wav: Wav,
}

impl Voice {
    /// The first samples of a recording.
    fn cut(&self, wav: &Wav) -> Vec<i16> {
        wav.samples[..wav.samples.len().min(self.samples)].to_vec()
    }
}

impl Workload for Voice {
    fn name(&self) -> &'static str {
        self.name
    }

    fn about(&self) -> &'static str {
        self.about
    }

    fn prepare(&self) -> std::result::Result<Box<dyn Prepared>, Skip> {
        let (model, mut wavs) = match &self.source {
            Source::BuiltIn(name) => {
                let model = Model::built_in(name).transpose().map_err(|error| internal(&error))?;
                let model = model.ok_or_else(|| CliError::internal(format!("bench: there is no model {name}")))?;
                (model, speech().unwrap_or_else(demo::recordings)?)
            }
            Source::Random(network, front_end) => {
                let absent = || Skip::NoData("there is no speech to calibrate on; set VOXCHECK_DATA".into());
                let wavs = speech().ok_or_else(absent)??;
                let clips: Vec<Vec<i16>> = wavs.iter().take(RANDOM_CALIBRATION).map(|wav| self.cut(wav)).collect();
                let builder = Model::from_network(network(), self.name).front_end(front_end());
                (builder.calibrate(&clips).map_err(|error| internal(&error))?, wavs)
            }
            Source::Imported(path, front_end) => import(self.name, path, front_end())?,
        };
        for wav in &mut wavs {
            wav.samples.truncate(self.samples);
        }
        if wavs.len() < 3 || wavs[2].samples.len() < self.samples {
            return Err(Skip::NoData("three recordings of this length are needed".into()));
        }
        let (pk, vk) = setup(&model).map_err(|error| internal(&error))?;
        let threshold = model.default_threshold();
        let (template, secret) = pk.enrol(&wavs[..2], threshold).map_err(|error| internal(&error))?;
        let wav = wavs.swap_remove(2);
        let context = Context::new(b"voxcheck bench".as_slice());
        Ok(Box::new(Ready { pk, vk, template, secret, context, wav }))
    }
}

fn internal(error: &dyn std::fmt::Display) -> CliError {
    CliError::internal(format!("bench: {error}"))
}

/// The data folder: VOXCHECK_DATA, or `../shared/data` beside the checkout.
fn data() -> Option<PathBuf> {
    let folder = std::env::var_os("VOXCHECK_DATA").map_or_else(|| PathBuf::from("../shared/data"), PathBuf::from);
    folder.join("models").is_dir().then_some(folder)
}

/// Recordings of real speech, at least three seconds each, if the data folder is there.
fn speech() -> Option<Result<Vec<Wav>>> {
    let folder = data()?.join("wav/speakers");
    let read = || {
        let paths = files::wavs_below(&folder)?;
        // The first ones are of one speaker.
        paths.iter().take(CALIBRATION).map(|path| files::read_wav_at(path, 16_000)).collect()
    };
    Some(read())
}

/// A network of the data folder, calibrated on its recordings.
fn import(name: &str, path: &str, front_end: FrontEnd) -> std::result::Result<(Model, Vec<Wav>), Skip> {
    let absent = || Skip::NoData(format!("{path} is not there; set VOXCHECK_DATA to the folder that has it"));
    let path = data().map(|folder| folder.join(path)).filter(|path| path.is_file()).ok_or_else(absent)?;
    let wavs = speech().ok_or_else(absent)??;
    let clips: Vec<Vec<i16>> = wavs.iter().map(|wav| wav.samples.clone()).collect();
    let failed = |error| Skip::Failed(CliError::model(&path, &error));
    let builder = Model::from_onnx(&path).map_err(failed)?.front_end(front_end).name(name);
    Ok((builder.calibrate(&clips).map_err(failed)?, wavs))
}

impl Prepared for Ready {
    fn run(&mut self, mode: Mode) -> Result<Measurement> {
        let start = Instant::now();
        let options = ProveOptions { mode, ..ProveOptions::default() };
        let made = self.pk.prove_with(&self.wav, &self.template, &self.secret, &self.context, &options);
        let (proof, report) = made.map_err(|error| internal(&error))?;
        let bytes = proof.to_bytes();
        let prove = start.elapsed();

        let start = Instant::now();
        let proof = Proof::from_bytes(&bytes).map_err(|error| internal(&error))?;
        let expected = Expected::new(&self.template, &self.context);
        self.vk.check_statement(proof.statement(), &expected).map_err(|error| internal(&error))?;
        let verdict = self.vk.verify(proof.statement(), &proof).map_err(|error| internal(&error))?;
        let verify = start.elapsed();
        if verdict != report.verdict {
            return Err(CliError::internal("bench: the verifier found another decision than the prover"));
        }
        Ok(Measurement {
            prove,
            verify,
            execute: Some(report.stages.execute),
            stages: Some(report.stages),
            proof_bytes: bytes.len(),
            lookups: Some(report.lookups),
            committed_values: Some(report.committed_values),
            macs: Some(report.macs),
            ..Measurement::default()
        })
    }
}
