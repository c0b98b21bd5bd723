//! `demo`: the whole story on bundled voices.

use std::io::Cursor;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use voxcheck::Context;
use voxcheck::audio::wav::{self, Wav};
use voxcheck::proof::{Expected, Proof, ProveOptions, ProvingKey, Template, TemplateSecret, Verdict, VerifyingKey};

use super::common::{BUNDLED, decision, load_keys};
use super::console::{Console, Outcome, human_bytes, human_time, millis};
use super::error::{CliError, Result};
use super::files::{self, Access};
use super::prove::prove;

/// Show the whole story on bundled voices: enrol, prove, verify; takes no files
///
/// One voice is enrolled from two recordings. A third recording of it is proved and accepted,
/// another voice is proved and rejected, and a proof with one changed byte is invalid.
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Write recordings, template, key and proofs to this folder
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// Smallest cosine that the demonstration accepts.
const THRESHOLD: f64 = 0.66;
/// What the proofs are made for.
const CONTEXT: &[u8] = b"voxcheck demo";

macro_rules! recordings {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_bytes!(concat!("../../assets/demo/", $name)).as_slice())),*]
    };
}

/// Synthetic voices; the first three recordings are of one voice, the fourth of another.
const RECORDINGS: [(&str, &[u8]); 9] = recordings![
    "slt_1.wav",
    "slt_2.wav",
    "slt_3.wav",
    "awb_1.wav",
    "awb_2.wav",
    "kal16_1.wav",
    "kal16_2.wav",
    "rms_1.wav",
    "rms_2.wav",
];

/// The bundled recordings.
pub fn recordings() -> Result<Vec<Wav>> {
    let read = |(name, bytes): &(&str, &[u8])| {
        wav::read_from(Cursor::new(*bytes)).map_err(|error| CliError::internal(format!("bundled {name}: {error}")))
    };
    RECORDINGS.iter().map(read).collect()
}

/// What one attempt to log in came to.
struct Step {
    name: &'static str,
    decision: String,
    reason: Option<String>,
    score: Option<f64>,
    prove: Option<Duration>,
    verify: Duration,
    proof: Vec<u8>,
}

/// Everything that is set up once.
struct Stage<'a> {
    pk: &'a ProvingKey,
    vk: &'a VerifyingKey,
    template: Template,
    secret: TemplateSecret,
    context: Context,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    if let Some(folder) = &args.out {
        prepare_folder(console, folder)?;
    }
    let wavs = recordings()?;
    let (pk, vk, load) = load_keys(console, Path::new(BUNDLED))?;
    let (enrolled, enrol) = console.stage("enrol", |_| pk.enrol(&wavs[..2], THRESHOLD));
    let (template, secret) = enrolled.map_err(|error| CliError::internal(format!("demo: {error}")))?;
    let stage = Stage { pk: &pk, vk: &vk, template, secret, context: Context::new(CONTEXT) };
    let genuine = stage.attempt(console, "the same voice", &wavs[2])?;
    let impostor = stage.attempt(console, "another voice", &wavs[3])?;
    let changed = stage.changed(&genuine.proof);
    let steps = [genuine, impostor, changed];
    if let Some(folder) = &args.out {
        write_files(console, folder, &stage, &steps)?;
    }
    let expected = ["accept", "reject", "invalid"];
    for (step, expected) in steps.iter().zip(expected) {
        if step.decision != expected {
            let message = format!("demo: {} gave {} instead of {expected}", step.name, step.decision);
            return Err(CliError::internal(message));
        }
    }
    let fields = json!({
        "model_id": vk.model_id().to_string(),
        "template_id": stage.template.id().to_string(),
        "threshold": THRESHOLD,
        "threads": rayon::current_num_threads(),
        "load_ms": millis(load),
        "enrol_ms": millis(enrol),
        "steps": steps.iter().map(Step::json).collect::<Vec<_>>(),
        "out": args.out,
    });
    Ok(Outcome::new("demo", fields, story(console, args, &steps, load, enrol)))
}

impl Stage<'_> {
    /// Proves and verifies one recording.
    fn attempt(&self, console: &mut Console, name: &'static str, wav: &Wav) -> Result<Step> {
        let (made, elapsed) = prove(console, |_| {
            self.pk
                .prove_with(wav, &self.template, &self.secret, &self.context, &ProveOptions::default())
                .map_err(|error| CliError::internal(format!("demo: {error}")))
        });
        let (proof, report) = made?;
        let step = self.verify(name, proof.to_bytes());
        Ok(Step { prove: Some(elapsed), score: report.score, ..step })
    }

    /// Verifies the proof with one byte changed.
    fn changed(&self, proof: &[u8]) -> Step {
        let mut bytes = proof.to_vec();
        // Beyond the statement, which stands first.
        let place = bytes.len() * 3 / 4;
        if let Some(byte) = bytes.get_mut(place) {
            *byte ^= 1;
        }
        self.verify("one changed byte", bytes)
    }

    /// What a verifier sees: bytes.
    fn verify(&self, name: &'static str, bytes: Vec<u8>) -> Step {
        let start = Instant::now();
        let ending = self.check(&bytes);
        let verify = start.elapsed();
        let (decision, reason) = match ending {
            Ok(verdict) => (decision(verdict).to_owned(), None),
            Err(reason) => ("invalid".to_owned(), Some(reason)),
        };
        Step { name, decision, reason, score: None, prove: None, verify, proof: bytes }
    }

    fn check(&self, bytes: &[u8]) -> std::result::Result<Verdict, String> {
        let proof = Proof::from_bytes(bytes).map_err(|error| error.to_string())?;
        let expected = Expected::new(&self.template, &self.context);
        self.vk.check_statement(proof.statement(), &expected).map_err(|error| error.to_string())?;
        self.vk.verify(proof.statement(), &proof).map_err(|error| error.to_string())
    }
}

impl Step {
    fn json(&self) -> Value {
        json!({
            "name": self.name,
            "decision": self.decision,
            "reason": self.reason,
            "prove_ms": self.prove.map(millis),
            "verify_ms": millis(self.verify),
            "proof_bytes": self.proof.len(),
        })
    }
}

/// Names of the files that the steps leave.
const PROOFS: [&str; 3] = ["accept.vxp", "reject.vxp", "changed.vxp"];

fn prepare_folder(console: &Console, folder: &Path) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| CliError::write(folder, &error))?;
    let recordings = RECORDINGS[..4].iter().map(|(name, _)| *name);
    for name in recordings.chain(PROOFS).chain(["voice.vxe", "voice.vxe.secret", "model.vxk"]) {
        files::check_output(console, &folder.join(name))?;
    }
    Ok(())
}

fn write_files(console: &mut Console, folder: &Path, stage: &Stage<'_>, steps: &[Step]) -> Result<()> {
    let (secret, template, key) = (stage.secret.to_bytes(), stage.template.to_bytes(), stage.vk.to_bytes());
    let mut named: Vec<(&str, &[u8], Access)> = vec![
        ("voice.vxe.secret", &secret, Access::Secret),
        ("voice.vxe", &template, Access::Public),
        ("model.vxk", &key, Access::Public),
    ];
    named.extend(RECORDINGS[..4].iter().map(|&(name, bytes)| (name, bytes, Access::Public)));
    named.extend(PROOFS.into_iter().zip(steps).map(|(name, step)| (name, &*step.proof, Access::Public)));
    let paths: Vec<_> = named.iter().map(|(name, ..)| folder.join(name)).collect();
    let outputs: Vec<files::Output<'_>> =
        paths.iter().zip(&named).map(|(path, &(_, bytes, access))| (path.as_path(), bytes, access)).collect();
    files::write_all(console, &outputs)
}

fn story(console: &Console, args: &Args, steps: &[Step], load: Duration, enrol: Duration) -> String {
    let mut lines = vec![
        format!("Model {BUNDLED} loaded in {}, {} threads.", human_time(load), rayon::current_num_threads()),
        format!(
            "Enrolled a voice from {} and {} in {}; accepted is a cosine of at least {THRESHOLD}.",
            RECORDINGS[0].0,
            RECORDINGS[1].0,
            human_time(enrol)
        ),
        String::new(),
    ];
    let subjects = [
        format!("A third recording of that voice ({})", RECORDINGS[2].0),
        format!("Another voice ({})", RECORDINGS[3].0),
        "The first proof with one byte changed".to_owned(),
    ];
    for (step, subject) in steps.iter().zip(subjects) {
        let proved = step.prove.map(|time| {
            let size = human_bytes(step.proof.len() as u64);
            let score =
                step.score.map(|score| format!(", cosine {score:.3} (known to the prover)")).unwrap_or_default();
            format!("\n  proved in {}, {size}{score}", human_time(time))
        });
        let reason = step.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        lines.push(format!(
            "{subject}{}\n  verified in {}: {}{reason}",
            proved.unwrap_or_default(),
            human_time(step.verify),
            console.decision(&step.decision)
        ));
    }
    lines.push(String::new());
    lines.push(match &args.out {
        Some(folder) => {
            let at = |name: &str| folder.join(name).display().to_string();
            let hex = hex::encode(CONTEXT);
            format!(
                "Everything is in {}. Verify it again with:\n  voxcheck verify --key {} --enrolled {} --context {hex} {}",
                folder.display(),
                at("model.vxk"),
                at("voice.vxe"),
                at(PROOFS[0])
            )
        }
        None => "Keep the files with --out DIR; try your own with: voxcheck enrol, prove, verify.".into(),
    });
    lines.join("\n")
}
