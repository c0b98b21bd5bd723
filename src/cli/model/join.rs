//! `model join`: a speaker network and networks that read what was said → one model.

use std::path::PathBuf;

use serde_json::json;

use crate::cli::common::load_model;
use crate::cli::console::{Console, Outcome, human_bytes};
use crate::cli::error::{CliError, Result};
use crate::cli::files::{self, Access};
use crate::cli::inspect::readings_json;

/// Arguments of `join`.
#[derive(clap::Args, Debug)]
pub struct Join {
    /// Model file (.vxm) or built-in name: who spoke, or what was said
    #[arg(value_name = "SPEAKER.vxm")]
    first: PathBuf,
    /// Model that reads what was said (.vxm, imported with --labels); more of them follow
    #[arg(value_name = "WORD.vxm", required = true)]
    others: Vec<PathBuf>,
    /// Name of the model [default: those of both with a plus sign]
    #[arg(long)]
    name: Option<String>,
    /// Model to write (.vxm); `-` is stdout
    #[arg(long, short, value_name = "BOTH.vxm")]
    output: PathBuf,
}

/// Runs the command.
pub fn run(args: &Join, console: &mut Console) -> Result<Outcome> {
    files::check_output(console, &args.output)?;
    let mut model = load_model(&args.first)?;
    for path in &args.others {
        let other = load_model(path)?;
        let name = format!("{}+{}", model.name(), other.name());
        model = model.join(&other, &name).map_err(|error| CliError::model(path, &error))?;
    }
    if let Some(name) = &args.name {
        model = model.named(name);
    }
    let bytes = model.to_bytes();
    files::write(console, &args.output, &bytes, Access::Public)?;
    let spec = model.spec();
    let fields = json!({
        "name": model.name(),
        "model_id": model.id().to_string(),
        "embedding_len": model.has_voice().then(|| model.embedding_len()),
        "readings": readings_json(spec),
        "min_samples": model.min_samples(),
        "max_samples": model.max_samples(),
        "model": args.output,
        "model_bytes": bytes.len(),
    });
    let names: Vec<&str> = spec.branches().map(|branch| branch.name.as_str()).collect();
    let text = format!(
        "Joined {} as {}\n  takes      {} to {} samples\n  model      {}, {}",
        names.join(" and "),
        model.id(),
        model.min_samples(),
        model.max_samples(),
        args.output.display(),
        human_bytes(bytes.len() as u64),
    );
    Ok(Outcome::new("model-join", fields, text))
}
