//! The command line of voxcheck.
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
