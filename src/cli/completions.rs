//! `completions` and `man`: what shells and manuals need, derived from the definition of the arguments.

use std::path::PathBuf;

use clap::CommandFactory;
use clap_complete::Shell;
use serde_json::json;

use super::Cli;
use super::console::{Console, Outcome};
use super::error::{CliError, Result};
use super::files::{self, Access};

/// Print a completion script for a shell
#[derive(clap::Args, Debug)]
pub struct Args {
    /// The shell
    #[arg(value_name = "SHELL")]
    shell: Shell,
}

/// Write manual pages, one a command
#[derive(clap::Args, Debug)]
pub struct ManArgs {
    /// Folder for the pages; made if it is missing
    #[arg(value_name = "DIR")]
    folder: PathBuf,
}

/// Runs `completions`.
pub fn run(args: &Args) -> Result<Outcome> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "voxcheck", &mut script);
    let script = String::from_utf8_lossy(&script).into_owned();
    Ok(Outcome::new("completions", json!({"shell": args.shell.to_string(), "script": script}), script))
}

/// Runs `man`.
pub fn man(args: &ManArgs, console: &mut Console) -> Result<Outcome> {
    std::fs::create_dir_all(&args.folder).map_err(|error| CliError::write(&args.folder, &error))?;
    let mut command = Cli::command();
    command.build();
    let mut written = Vec::new();
    let mut pending = vec![command];
    while let Some(command) = pending.pop() {
        let page = clap_mangen::Man::new(command.clone());
        let path = args.folder.join(page.get_filename());
        let mut bytes = Vec::new();
        page.render(&mut bytes).map_err(|error| CliError::write(&path, &error))?;
        files::write(console, &path, &bytes, Access::Public)?;
        written.push(path);
        pending.extend(command.get_subcommands().filter(|c| c.get_name() != "help").cloned());
    }
    written.sort();
    let text = written.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join("\n");
    Ok(Outcome::new("man", json!({"pages": written}), text))
}
