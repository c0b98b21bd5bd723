//! `verify`: a proof → accept, reject or invalid. Needs neither the recording nor a secret.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use voxcheck::Context;
#[cfg(feature = "attest")]
use voxcheck::attest::DevicePublicKey;
use voxcheck::model::Spec;
use voxcheck::proof::{
    AudioCommitment, Enrolment, Expected, Proof, Said, Statement, StatementMismatch, Template, Verdict, VerifyingKey,
};
use voxcheck::revocation::RevocationList;

#[cfg(feature = "attest")]
use super::attest;
use super::common::{self, BUNDLED, decision, load_keys, merge, parse_context, parse_start, parse_threshold};
use super::console::{Console, Outcome, human_time, millis};
use super::error::{CliError, Result, exit};
use super::files;

/// Verify a proof: ACCEPT (exit 0), REJECT (1), INVALID (3), or about another statement (4)
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Model file (.vxm) or built-in name
    #[arg(long, short, value_name = "M", default_value = BUNDLED, conflicts_with = "key")]
    model: PathBuf,
    /// Verifying key (.vxk) instead of the model: no weights are needed
    #[arg(long, short, value_name = "K.vxk")]
    key: Option<PathBuf>,
    /// Template that the proof must be against (.vxe); not for a model that only reads what was said
    #[arg(long, value_name = "T.vxe")]
    enrolled: Option<PathBuf>,
    /// What the recording must say: a label of the model, NAME=LABEL where it has several readings; may be given again
    #[arg(long, value_name = "LABEL", value_parser = parse_said)]
    says: Vec<Said>,
    /// Fewest seconds of the recording that must be active, of a model that says which chunks are
    #[arg(long, value_name = "SECONDS", value_parser = parse_start)]
    min_active: Option<f64>,
    /// What the proof must be made for: your nonce, in hex
    #[arg(long, value_name = "HEX", default_value = "", value_parser = parse_context, hide_default_value = true)]
    context: Context,
    /// Recording that the proof must be about (.vxa)
    #[arg(long, value_name = "A.vxa")]
    audio: Option<PathBuf>,
    /// Threshold that the template's must reach, for those who did not make the template
    #[arg(long, value_name = "X", value_parser = parse_threshold, requires = "enrolled")]
    min_threshold: Option<f64>,
    /// Templates that are no longer accepted: a list of ids, one a line
    #[arg(long, value_name = "LIST", requires = "enrolled")]
    revoked: Option<PathBuf>,
    /// Demand a template that refuses replays: whoever proves shows that the recording is none of those enrolled
    #[arg(long, requires = "enrolled")]
    no_replays: bool,
    /// Demand that the template was proved to be of the recordings that it names (from `enrol --proof`)
    #[arg(long, value_name = "FILE", requires = "enrolled")]
    enrolment: Option<PathBuf>,
    /// Fewest recordings that it must be of
    #[arg(long, value_name = "N", default_value = "1", requires = "enrolment")]
    min_recordings: usize,
    /// Demand a signature over recording and context by a device with this public key (PEM); may be given again for others
    #[cfg(feature = "attest")]
    #[arg(long, value_name = "KEY")]
    attested_by: Vec<PathBuf>,
    /// Oldest signature that is accepted, in seconds
    #[cfg(feature = "attest")]
    #[arg(long, value_name = "SECONDS", requires = "attested_by")]
    max_age: Option<u64>,
    /// Proof (.vxp); `-` is stdin
    #[arg(value_name = "P.vxp")]
    proof: PathBuf,
}

/// How a verification ended.
enum Ending {
    /// And which device signed when, if that was demanded.
    Verdict(Verdict, Option<Value>),
    Invalid {
        failed_at: &'static str,
        reason: String,
    },
    Mismatch(StatementMismatch),
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    let template = args.enrolled.as_ref().map(|path| files::decode(path, Template::from_bytes)).transpose()?;
    let audio = args.audio.as_ref().map(|path| files::decode(path, AudioCommitment::from_bytes)).transpose()?;
    let vk = match &args.key {
        Some(path) => files::decode(path, VerifyingKey::from_bytes)?,
        None => load_keys(console, &args.model)?.1,
    };
    let named = args.key.as_ref().unwrap_or(&args.model);
    common::require_template_of(vk.spec(), named, template.is_some())?;
    args.says.iter().try_for_each(|said| check_said(vk.spec(), said))?;
    if args.min_active.is_some() && vk.spec().activity().is_none() {
        let help = "use a model that was imported with --activity";
        return Err(CliError::usage("the model does not say which chunks are active", help));
    }
    let bytes = files::read(&args.proof)?;
    let demands = Demands::read(args)?;
    let expected = Expected {
        audio: audio.as_ref(),
        min_threshold: args.min_threshold,
        no_replays: args.no_replays,
        revoked: demands.revoked.as_ref(),
        template: template.as_ref(),
        says: &args.says,
        min_active: args.min_active,
        ..Expected::without_template(&args.context)
    };
    vk.prepare();
    let start = Instant::now();
    let proof = Proof::from_bytes(&bytes);
    let ending = match &proof {
        Err(error) => Ending::Invalid { failed_at: "decode", reason: error.to_string() },
        Ok(proof) => check(&vk, proof, &expected, &demands),
    };
    let elapsed = start.elapsed();
    console.trace.add("verify", start, elapsed);
    let statement = proof.as_ref().ok().map(Proof::statement);
    let mut fields = ids(statement, &vk);
    merge(
        &mut fields,
        json!({"verify_ms": millis(elapsed), "proof_bytes": bytes.len(), "threads": rayon::current_num_threads()}),
    );
    merge(&mut fields, ending_json(&ending));
    let mut text = ending_text(console, &ending);
    if let (Some(statement), Ending::Verdict(..)) = (statement, &ending) {
        text = format!(
            "{text} (verified in {})\n{}",
            human_time(elapsed),
            common::statement_text(statement, Some(vk.spec()))
        );
    }
    let status = match ending {
        Ending::Verdict(Verdict::Accept, _) => exit::SUCCESS,
        Ending::Verdict(Verdict::Reject, _) => exit::REJECT,
        Ending::Invalid { .. } => exit::INVALID,
        Ending::Mismatch(_) => exit::MISMATCH,
    };
    Ok(Outcome { exit: status, ..Outcome::new("verify", fields, text) })
}

fn parse_said(text: &str) -> std::result::Result<Said, String> {
    Ok(Said::parse(text))
}

/// Refuses a demand that no proof of this model could meet.
fn check_said(spec: &Spec, said: &Said) -> Result<()> {
    let fail = |message: String, help: String| Err(CliError::usage(message, help));
    let names: Vec<&str> = spec.readings().map(|reading| reading.branch.name.as_str()).collect();
    if names.is_empty() {
        let help = "use a model that was imported with --labels, or joined with one: voxcheck model join";
        return fail("the model does not read what was said".into(), help.into());
    }
    let Some((_, reading)) = said.of(spec) else {
        let help = format!("write NAME=LABEL, with a name of: {}", names.join(", "));
        return fail(format!("--says {said} names no reading of the model"), help);
    };
    if reading.labels.contains(&said.label) {
        return Ok(());
    }
    fail(format!("the model never says {:?}", said.label), format!("its labels are: {}", reading.labels.join(", ")))
}

/// What is demanded besides a statement that is as expected.
struct Demands {
    revoked: Option<RevocationList>,
    enrolment: Option<Enrolment>,
    min_recordings: usize,
    #[cfg(feature = "attest")]
    devices: Vec<DevicePublicKey>,
    #[cfg(feature = "attest")]
    max_age: Option<u64>,
}

impl Demands {
    fn read(args: &Args) -> Result<Self> {
        let list = |path: &PathBuf| {
            RevocationList::parse(&files::read_text(path)?).map_err(|error| {
                let message = format!("{}: {error}", path.display());
                CliError::data(
                    "E-REVOCATION-LIST",
                    message,
                    "a list that cannot be read revokes nothing, so it is refused",
                )
            })
        };
        Ok(Self {
            revoked: args.revoked.as_ref().map(list).transpose()?,
            enrolment: args.enrolment.as_ref().map(|path| files::decode(path, Enrolment::from_bytes)).transpose()?,
            min_recordings: args.min_recordings,
            #[cfg(feature = "attest")]
            devices: args.attested_by.iter().map(|path| attest::read_device(path)).collect::<Result<_>>()?,
            #[cfg(feature = "attest")]
            max_age: args.max_age,
        })
    }

    /// Whether one of the devices signed, and not too long ago; what is known about it.
    #[cfg(feature = "attest")]
    fn check_attestation(&self, statement: &Statement) -> std::result::Result<Option<Value>, StatementMismatch> {
        let mut last = None;
        for device in &self.devices {
            match device.check(statement) {
                Ok(time) => {
                    // A time in the future is no better than one too long ago.
                    if self.max_age.is_some_and(|most| attest::now().abs_diff(time) > most) {
                        let expected = format!("a signature of the last {} s", self.max_age.unwrap_or_default());
                        let found = format!("one of {time}, where now is {}", attest::now());
                        return Err(StatementMismatch { field: "attestation", expected, found });
                    }
                    return Ok(Some(json!({"device": device.fingerprint(), "time": time})));
                }
                Err(mismatch) => last = Some(mismatch),
            }
        }
        last.map_or(Ok(None), Err)
    }

    #[cfg(not(feature = "attest"))]
    fn check_attestation(&self, _: &Statement) -> std::result::Result<Option<Value>, StatementMismatch> {
        Ok(None)
    }

    /// Whether the template is shown to be of enough recordings.
    fn check_enrolment(&self, vk: &VerifyingKey, template: &Template) -> std::result::Result<(), Ending> {
        let Some(enrolment) = &self.enrolment else { return Ok(()) };
        let found = template.recordings().len();
        if found < self.min_recordings {
            let expected = format!("a template of at least {} recordings", self.min_recordings);
            let found = format!("one of {found}");
            return Err(Ending::Mismatch(StatementMismatch { field: "enrolment", expected, found }));
        }
        vk.verify_enrolment(template, enrolment)
            .map_err(|error| Ending::Invalid { failed_at: "enrolment", reason: error.to_string() })
    }
}

fn check(vk: &VerifyingKey, proof: &Proof, expected: &Expected<'_>, demands: &Demands) -> Ending {
    if let Err(mismatch) = vk.check_statement(proof.statement(), expected) {
        return Ending::Mismatch(mismatch);
    }
    let attested = match demands.check_attestation(proof.statement()) {
        Ok(attested) => attested,
        Err(mismatch) => return Ending::Mismatch(mismatch),
    };
    if let Err(ending) = expected.template.map_or(Ok(()), |template| demands.check_enrolment(vk, template)) {
        return ending;
    }
    match vk.verify(proof.statement(), proof) {
        Ok(verdict) => Ending::Verdict(verdict, attested),
        Err(error) => Ending::Invalid { failed_at: "verify", reason: error.to_string() },
    }
}

/// What the proof names, and what its readings are called if it is about this model; null where it cannot be decoded.
fn ids(statement: Option<&Statement>, vk: &VerifyingKey) -> Value {
    statement.map_or_else(
        || {
            json!({
                "score": null, "threshold": null, "model_id": null, "audio_id": null, "template_id": null,
                "context": null, "mode": null, "input": null, "samples": null, "label": null, "refuses_replays": null,
                "readings": null, "activity": null, "embedding": null,
            })
        },
        |statement| {
            common::statement_json(statement, Some(vk.spec()).filter(|_| vk.model_id() == statement.model_id()))
        },
    )
}

fn ending_json(ending: &Ending) -> Value {
    match ending {
        Ending::Verdict(verdict, attested) => {
            json!({"decision": decision(*verdict), "failed_at": null, "attested": attested})
        }
        Ending::Invalid { failed_at, reason } => {
            json!({"decision": "invalid", "failed_at": format!("{failed_at}: {reason}")})
        }
        Ending::Mismatch(mismatch) => json!({
            "decision": "invalid",
            "failed_at": "statement",
            "mismatch": {"field": mismatch.field, "expected": mismatch.expected, "found": mismatch.found},
        }),
    }
}

fn ending_text(console: &Console, ending: &Ending) -> String {
    match ending {
        Ending::Verdict(verdict, _) => console.decision(decision(*verdict)),
        Ending::Invalid { reason, .. } => format!("{}: {reason}", console.decision("invalid")),
        Ending::Mismatch(mismatch) => {
            format!("{}: {mismatch}; it was not checked further", console.decision("invalid"))
        }
    }
}
