//! `setup`: a model → its verifying key.

use std::path::PathBuf;

use serde_json::json;

use super::common::load_keys;
use super::console::{Console, Outcome, human_bytes, millis};
use super::error::Result;
use super::files::{self, Access};

/// Write the verifying key of a model, with which proofs are verified without its weights
#[derive(clap::Args, Debug)]
pub struct Args {
    /// Model file (.vxm) or built-in name
    #[arg(value_name = "M")]
    model: PathBuf,
    /// Key to write (.vxk); `-` is stdout
    #[arg(long, short, value_name = "K.vxk")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: &Args, console: &mut Console) -> Result<Outcome> {
    files::check_output(console, &args.output)?;
    let (_, vk, elapsed) = load_keys(console, &args.model)?;
    let bytes = vk.to_bytes();
    files::write(console, &args.output, &bytes, Access::Public)?;
    let model_id = vk.model_id().to_string();
    let fields =
        json!({"model_id": model_id, "key": args.output, "key_bytes": bytes.len(), "setup_ms": millis(elapsed)});
    let size = human_bytes(bytes.len() as u64);
    let text = format!("Verifying key of {model_id}\n  key        {}, {size}", args.output.display());
    Ok(Outcome::new("setup", fields, text))
}
