//! `logmel-3s`: the front end alone, from committed samples to committed features.

use voxcheck::audio::features::Features;
use voxcheck::audio::{FrontEnd, float};
use voxcheck::error::ModelError;
use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::layers::quantize::Constants;
use voxcheck::sumcheck::int::{IntTable, IntVec};

use super::tensor_program::TensorProgram;
use super::{Prepared, Skip, Workload};
use crate::cli::demo;
use crate::cli::error::CliError;

const SAMPLES: usize = 48_000;
/// Bits of the range table, as models that take audio have.
const RANGE_BITS: usize = 16;
/// How far features may go beyond the largest seen.
const MARGIN: f64 = 2.0;

/// The workload.
pub struct LogMel;

impl Workload for LogMel {
    fn name(&self) -> &'static str {
        "logmel-3s"
    }

    fn about(&self) -> &'static str {
        "front end logmel40 on three seconds of a bundled voice, from committed samples to committed features"
    }

    fn prepare(&self) -> std::result::Result<Box<dyn Prepared>, Skip> {
        let long = demo::recordings()?.into_iter().find(|wav| wav.samples.len() >= SAMPLES);
        let mut wav = long.ok_or_else(|| Skip::NoData("no bundled voice speaks for three seconds".into()))?;
        wav.samples.truncate(SAMPLES);
        let program = program(wav.samples).map_err(|error| CliError::internal(format!("bench: {error}")))?;
        Ok(Box::new(program?))
    }
}

fn program(samples: Vec<i16>) -> Result<crate::cli::error::Result<TensorProgram>, ModelError> {
    let front_end = FrontEnd::logmel40();
    let largest = float::network_input(&front_end, &samples)?.features.max_abs();
    let mut constants = Constants::default();
    let features = Features::new(&front_end, MARGIN * largest, &mut constants)?;
    let mut builder = ProgramBuilder::new(RANGE_BITS);
    let (input, _) = features.lower(&mut builder, samples.len())?;
    let (rows, cols) = builder.shape(input);
    let mut samples = samples;
    samples.resize(rows * cols, 0);
    let input = IntTable::new(rows, cols, IntVec::I16(samples));
    Ok(TensorProgram::new(builder, vec![input], constants.into_tables()))
}
