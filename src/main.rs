//! The command line of voxcheck.
#![deny(unsafe_code)]
#![warn(missing_docs)]

mod cli;

#[cfg(unix)]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
