//! `prove`: a recording and an enrolment → one proof from samples to decision.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use serde_json::{Value, json};
use voxcheck::Context;
use voxcheck::audio::wav::Wav;
use voxcheck::proof::{
    Attestation, AudioCommitment, AudioSecret, Mode, Proof, ProveOptions, ProvingKey, Recompute, Report, Reveal,
    Template, TemplateSecret,
};

use super::common::{self, ModelArg, decision, parse_context, statement_json, statement_text};
use super::console::{Console, Outcome, human_bytes, human_time, millis};
use super::error::{CliError, Result};
use super::files::{self, Access};
use super::private_key::{self, PrivateKeyArg};
use super::{machine, memory};

/// Prove the decision on a recording: one proof from samples to accept or reject
///
/// Exits with 0 once a proof is written, whichever decision it proves: `decision` in the JSON, or
/// `voxcheck verify`, tells which. The proof is zero-knowledge: it tells nothing but its statement.
#[derive(clap::Args, Debug)]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    private: PrivateKeyArg,
    /// Template of the enrolled voice (.vxe); not for a model that only reads what was said
    #[arg(long, value_name = "T.vxe")]
    enrolled: Option<PathBuf>,
    /// Its secret [default: T.vxe.secret]
    #[arg(long, value_name = "FILE", requires = "enrolled")]
    secret: Option<PathBuf>,
    /// What the proof is made for: the verifier's nonce, in hex, at most 256 bytes
    #[arg(long, value_name = "HEX", default_value = "", value_parser = parse_context, hide_default_value = true)]
    context: Context,
    /// Recording: WAV, 16-bit mono at the model's rate; NumPy file of a tensor, if the model takes that; `-` is stdin
    #[arg(value_name = "WAV")]
    wav: PathBuf,
    /// Proof to write (.vxp); `-` is stdout
    #[arg(long, short, value_name = "P.vxp")]
    output: PathBuf,
    /// Where the window starts that is read, in seconds, for a model that reads what was said; repeat for each of several
    /// readings [default: 0]
    #[arg(long, value_name = "SECONDS", value_parser = common::parse_start)]
    window: Vec<f64>,
    /// What the proof reveals besides the decision
    #[arg(long, value_name = "WHAT", default_value = "decision")]
    reveal: RevealArg,
    /// Prove about the recording of this commitment (.vxa)
    #[arg(long, value_name = "A.vxa")]
    audio: Option<PathBuf>,
    /// Secret of the commitment [default: A.vxa.secret]
    #[arg(long, value_name = "FILE", requires = "audio")]
    audio_secret: Option<PathBuf>,
    /// A device's signature over this commitment and context, for verifiers who demand one (from `attest sign`)
    #[arg(long, value_name = "FILE", requires = "audio")]
    attestation: Option<PathBuf>,
    /// Keep below this much memory, if that takes more time, and refuse to start if it cannot be done: MiB, or with a unit
    /// (B, KiB, MiB, GiB)
    /// [default: what the machine has and the process may use]
    #[arg(long, visible_alias = "memory-limit", value_name = "SIZE", value_parser = memory::parse_size)]
    max_memory: Option<u64>,
    /// Hide everything but the statement: zero knowledge [default]
    #[arg(long, conflicts_with = "clear")]
    zk: bool,
    /// Hide nothing: whoever has the proof can compute with the voice. For debugging
    #[arg(long)]
    clear: bool,
}

/// What a proof reveals.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RevealArg {
    /// Nothing else
    Decision,
    /// The cosine
    Score,
    /// The embedding
    Embedding,
}

/// Everything that is read before proving.
struct Inputs {
    enrolled: Option<(Template, TemplateSecret)>,
    audio: Option<(AudioCommitment, AudioSecret)>,
    attestation: Option<Attestation>,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    files::check_output(console, &args.output)?;
    let start = Instant::now();
    let inputs = read_inputs(args)?;
    let mut wav = Wav { sample_rate: 0, samples: Vec::new() };
    let mut recompute = Recompute::LEAST;
    let pk = private_key::load(console, &args.model.model, &args.private, |model| {
        common::require_template(model, &args.model.model, args.enrolled.is_some())?;
        wav = common::read_input(model, &args.wav)?;
        recompute = memory::plan(model, wav.samples.len(), args.max_memory)?;
        Ok(())
    })?;
    // What is wrong with the recording is told by the proof.
    let _ = pk.prepare(wav.samples.len());
    let load = start.elapsed();
    let rate = wav.sample_rate;
    // A start that no recording reaches is refused like any other that this one does not.
    let windows: Vec<u32> = args.window.iter().map(|seconds| (seconds * f64::from(rate)).round() as u32).collect();
    let options = ProveOptions {
        windows: &windows,
        reveal: match args.reveal {
            RevealArg::Decision => Reveal::Decision,
            RevealArg::Score => Reveal::Score,
            RevealArg::Embedding => Reveal::Embedding,
        },
        mode: if args.clear { Mode::Clear } else { Mode::Zk },
        audio: inputs.audio.as_ref().map(|(commitment, secret)| (commitment, secret)),
        attestation: inputs.attestation.as_ref(),
        recompute,
    };
    let (result, elapsed) = prove(console, |_| {
        let proved = match &inputs.enrolled {
            Some((template, secret)) => pk.prove_with(&wav, template, secret, &args.context, &options),
            None => pk.prove_readings(&wav, &args.context, &options),
        };
        proved.map_err(|error| CliError::prove(&args.wav, &error))
    });
    let (proof, report) = result?;
    let bytes = proof.to_bytes();
    files::write(console, &args.output, &bytes, Access::Public)?;
    let made = Made { proof: &proof, report: &report, load, elapsed, bytes: bytes.len() };
    let fields = made.json(&pk, &wav);
    let text = made.text(console, &pk, &args.output, &common::length_text(rate, wav.samples.len()));
    Ok(Outcome::new("prove", fields, text))
}

/// Runs a prover; its report's stages become part of the trace.
pub fn prove(
    console: &mut Console,
    run: impl FnOnce(&mut Console) -> Result<(Proof, Report)>,
) -> (Result<(Proof, Report)>, Duration) {
    let mut start = Instant::now();
    let (result, elapsed) = console.stage("prove", run);
    if let Ok((_, report)) = &result {
        let stages = &report.stages;
        let all = [
            ("execute", stages.execute),
            ("commit", stages.commit),
            ("lookup", stages.lookup),
            ("waves", stages.waves),
            ("open", stages.open),
            ("zk", stages.zk),
        ];
        for (name, duration) in all {
            console.trace.add(name, start, duration);
            start += duration;
        }
    }
    (result, elapsed)
}

fn read_inputs(args: &Args) -> Result<Inputs> {
    let enrolled = args.enrolled.as_ref().map(|path| read_enrolled(path, args.secret.as_ref())).transpose()?;
    let audio = match &args.audio {
        None => None,
        Some(path) => {
            let secret_path = args.audio_secret.clone().unwrap_or_else(|| files::secret_beside(path));
            let commitment = files::decode(path, AudioCommitment::from_bytes)?;
            Some((commitment, files::decode(&secret_path, AudioSecret::from_bytes)?))
        }
    };
    let attestation = args.attestation.as_ref().map(|path| files::decode(path, Attestation::from_bytes)).transpose()?;
    Ok(Inputs { enrolled, audio, attestation })
}

/// A template and its secret.
fn read_enrolled(path: &Path, secret: Option<&PathBuf>) -> Result<(Template, TemplateSecret)> {
    let template = files::decode(path, Template::from_bytes)?;
    let secret_path = secret.cloned().unwrap_or_else(|| files::secret_beside(path));
    let secret = files::decode(&secret_path, TemplateSecret::from_bytes).map_err(|mut error| {
        if error.code == "E-NO-INPUT" {
            error.help = "the secret was written beside the template; give its place with --secret".into();
        }
        error
    })?;
    Ok((template, secret))
}

/// A finished proof and what is known about its making.
struct Made<'a> {
    proof: &'a Proof,
    report: &'a Report,
    load: Duration,
    elapsed: Duration,
    bytes: usize,
}

impl Made<'_> {
    fn json(&self, pk: &ProvingKey, wav: &Wav) -> Value {
        let report = self.report;
        let seconds = common::seconds(wav.sample_rate, wav.samples.len());
        let shown = pk.model().has_voice() || self.proof.statement().embedding().is_some();
        let float = pk.model().embed_float(&wav.samples).filter(|_| shown);
        let float = float.and_then(std::result::Result::ok);
        let cosine = float.and_then(|float| common::cosine(&common::to_floats(&report.embedding), &float));
        let mut fields = json!({
            "decision": decision(report.verdict),
            "audio_seconds": seconds,
            "frames": report.frames,
            "threads": rayon::current_num_threads(),
            "prove_ms": millis(self.elapsed),
            "real_time_factor": seconds.map(|seconds| self.elapsed.as_secs_f64() / seconds),
            "stages_ms": {
                "load": millis(self.load),
                "execute": millis(report.stages.execute),
                "commit": millis(report.stages.commit),
                "lookup": millis(report.stages.lookup),
                "waves": millis(report.stages.waves),
                "open": millis(report.stages.open),
                "zk": millis(report.stages.zk),
            },
            "proof_bytes": self.bytes,
            "peak_rss_bytes": machine::peak_rss_bytes(),
            "macs": report.macs,
            "lookups": report.lookups,
            "committed_values": report.committed_values,
            "embedding_cosine_vs_float": cosine,
        });
        common::merge(&mut fields, statement_json(self.proof.statement(), Some(pk.model().spec())));
        fields
    }

    fn text(&self, console: &Console, pk: &ProvingKey, output: &Path, length: &str) -> String {
        format!(
            "Proved {} in {} ({length}, {} threads)\n{}\n  proof      {}, {}{}",
            console.decision(decision(self.report.verdict)),
            human_time(self.elapsed),
            rayon::current_num_threads(),
            statement_text(self.proof.statement(), Some(pk.model().spec())),
            output.display(),
            human_bytes(self.bytes as u64),
            match self.proof.statement().mode() {
                Mode::Zk => " (zero knowledge)",
                Mode::Clear => " (clear: it does not hide recording and template)",
            },
        )
    }
}
