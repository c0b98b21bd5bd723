//! `lookup-20`: 2^20 lookups in a table of 2^16 entries.

use voxcheck::gkr::builder::ProgramBuilder;
use voxcheck::gkr::program::ProgramError;
use voxcheck::proof::Mode;
use voxcheck::sumcheck::int::{IntTable, IntVec};

use super::tensor_program::TensorProgram;
use super::{Measurement, Prepared, Random, Skip, Workload};
use crate::cli::error::{CliError, Result};

const LOOKUPS: usize = 1 << 20;
const TABLE_BITS: usize = 16;
/// Columns of the tensor that is looked up.
const COLUMNS: usize = 1 << 10;

/// The workload.
pub struct Lookup;

/// The whole and its half: the difference is the marginal cost.
struct Ready {
    whole: TensorProgram,
    half: TensorProgram,
}

impl Workload for Lookup {
    fn name(&self) -> &'static str {
        "lookup-20"
    }

    fn about(&self) -> &'static str {
        "2^20 committed 16-bit values, looked up in a table of 2^16; the marginal cost is that of the lookup argument"
    }

    fn prepare(&self) -> std::result::Result<Box<dyn Prepared>, Skip> {
        Ok(Box::new(Ready { whole: program(LOOKUPS)?, half: program(LOOKUPS / 2)? }))
    }
}

fn program(lookups: usize) -> Result<TensorProgram> {
    let mut random = Random::new(2);
    let values = (0..lookups).map(|_| (random.next() >> 48) as i16).collect();
    let (builder, rows) = (ProgramBuilder::new(TABLE_BITS), lookups / COLUMNS);
    let builder = relations(builder, rows).map_err(|error| CliError::internal(format!("bench: {error}")))?;
    TensorProgram::new(builder, vec![IntTable::new(rows, COLUMNS, IntVec::I16(values))], Vec::new())
}

fn relations(mut p: ProgramBuilder, rows: usize) -> std::result::Result<ProgramBuilder, ProgramError> {
    let low = -(1 << (TABLE_BITS - 1));
    let x = p.input("x", (rows, COLUMNS), low, -low - 1)?;
    p.range(p.whole(x), low, TABLE_BITS)?;
    Ok(p)
}

impl Prepared for Ready {
    fn run(&mut self, mode: Mode) -> Result<Measurement> {
        let half = self.half.prove(mode)?.timings.lookup;
        let measured = self.whole.run(mode)?;
        let whole = measured.stages.map(|stages| stages.lookup).unwrap_or_default();
        let marginal = (whole.as_secs_f64() - half.as_secs_f64()) * 1e9 / (LOOKUPS / 2) as f64;
        Ok(Measurement { ns_per_lookup: Some(marginal), ..measured })
    }
}
