//! `verify`: a proof → accept, reject or invalid. Needs neither the recording nor a secret.

use std::path::PathBuf;
use std::time::Instant;

use serde_json::{Value, json};
use voxcheck::Context;
use voxcheck::proof::{
    AudioCommitment, Expected, Proof, Statement, StatementMismatch, Template, Verdict, VerifyingKey,
};

use super::common::{self, BUNDLED, decision, load_keys, merge, parse_context, parse_threshold};
use super::console::{Console, Outcome, human_time, millis};
use super::error::{Result, exit};
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
    /// Template that the proof must be against (.vxe)
    #[arg(long, value_name = "T.vxe")]
    enrolled: PathBuf,
    /// What the proof must be made for: your nonce, in hex
    #[arg(long, value_name = "HEX", default_value = "", value_parser = parse_context, hide_default_value = true)]
    context: Context,
    /// Recording that the proof must be about (.vxa)
    #[arg(long, value_name = "A.vxa")]
    audio: Option<PathBuf>,
    /// Threshold that the template's must reach, for those who did not make the template
    #[arg(long, value_name = "X", value_parser = parse_threshold)]
    min_threshold: Option<f64>,
    /// Proof (.vxp); `-` is stdin
    #[arg(value_name = "P.vxp")]
    proof: PathBuf,
}

/// How a verification ended.
enum Ending {
    Verdict(Verdict),
    Invalid { failed_at: &'static str, reason: String },
    Mismatch(StatementMismatch),
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    let bytes = files::read(&args.proof)?;
    let template = files::decode(&args.enrolled, Template::from_bytes)?;
    let audio = args.audio.as_ref().map(|path| files::decode(path, AudioCommitment::from_bytes)).transpose()?;
    let vk = match &args.key {
        Some(path) => files::decode(path, VerifyingKey::from_bytes)?,
        None => load_keys(console, &args.model)?.1,
    };
    let expected = Expected {
        template: &template,
        context: &args.context,
        audio: audio.as_ref(),
        min_threshold: args.min_threshold,
    };
    let start = Instant::now();
    let proof = Proof::from_bytes(&bytes);
    let ending = match &proof {
        Err(error) => Ending::Invalid { failed_at: "decode", reason: error.to_string() },
        Ok(proof) => check(&vk, proof, &expected),
    };
    let elapsed = start.elapsed();
    console.trace.add("verify", start, elapsed);
    let statement = proof.as_ref().ok().map(Proof::statement);
    let mut fields = ids(statement);
    merge(
        &mut fields,
        json!({"verify_ms": millis(elapsed), "proof_bytes": bytes.len(), "threads": rayon::current_num_threads()}),
    );
    merge(&mut fields, ending_json(&ending));
    let mut text = ending_text(console, &ending);
    if let (Some(statement), Ending::Verdict(_)) = (statement, &ending) {
        text = format!("{text} (verified in {})\n{}", human_time(elapsed), common::statement_text(statement));
    }
    let status = match ending {
        Ending::Verdict(Verdict::Accept) => exit::SUCCESS,
        Ending::Verdict(Verdict::Reject) => exit::REJECT,
        Ending::Invalid { .. } => exit::INVALID,
        Ending::Mismatch(_) => exit::MISMATCH,
    };
    Ok(Outcome { exit: status, ..Outcome::new("verify", fields, text) })
}

fn check(vk: &VerifyingKey, proof: &Proof, expected: &Expected<'_>) -> Ending {
    if let Err(mismatch) = vk.check_statement(proof.statement(), expected) {
        return Ending::Mismatch(mismatch);
    }
    match vk.verify(proof.statement(), proof) {
        Ok(verdict) => Ending::Verdict(verdict),
        Err(error) => Ending::Invalid { failed_at: "verify", reason: error.to_string() },
    }
}

/// What the proof names; null where it cannot be decoded.
fn ids(statement: Option<&Statement>) -> Value {
    statement.map_or_else(
        || {
            json!({
                "score": null, "threshold": null, "model_id": null, "audio_id": null, "template_id": null,
                "context": null, "mode": null, "samples": null,
            })
        },
        common::statement_json,
    )
}

fn ending_json(ending: &Ending) -> Value {
    match ending {
        Ending::Verdict(verdict) => json!({"decision": decision(*verdict), "failed_at": null}),
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
        Ending::Verdict(verdict) => console.decision(decision(*verdict)),
        Ending::Invalid { reason, .. } => format!("{}: {reason}", console.decision("invalid")),
        Ending::Mismatch(mismatch) => {
            format!("{}: {mismatch}; it was not checked further", console.decision("invalid"))
        }
    }
}
