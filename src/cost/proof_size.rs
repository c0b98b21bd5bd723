//! The size of a proof's file: its argument, counted by the verifier's own walk, and its statement.

use ark_bn254::G1Affine;
use ark_ec::AffineRepr;

use crate::error::ModelError;
use crate::files::{self, Row};
use crate::gkr::meter::argument_bytes;
use crate::gkr::pcs::Commitment;
use crate::gkr::program::{Program, SHARED_WIDTH_VARS, TensorId};
use crate::model::Tail;
use crate::statement::{AudioCommitment, Context, Mode, Proof, Revealed, Statement, Template, Verdict};

/// Bytes of the file of a proof about a recording of this rate and length, made by `program`, with the context that the
/// command line draws, a template that names no recordings, and the readings and values of this tail.
pub(super) fn proof_bytes(
    program: &Program,
    (sample_rate, samples): (u32, usize),
    tail: &Tail,
    mode: Mode,
) -> Result<u64, ModelError> {
    let argument = argument_bytes(program, mode == Mode::Zk)
        .map_err(|error| ModelError::Malformed { reason: format!("its program has no proof: {error}") })?;
    let inputs = program.inputs();
    let rows = |place: usize| inputs.get(place).map(|&id| input_rows(program, id));
    // A program without a second input is about no voice.
    let template = rows(1).map(|rows| Template {
        model: [0; 32],
        threshold: u32::MAX >> 16,
        label: String::new(),
        recordings: Vec::new(),
        refuse_replays: false,
        rows,
    });
    let statement = Statement {
        mode,
        model: [0; 32],
        audio: AudioCommitment { sample_rate, num_samples: samples as u32, rows: rows(0).unwrap_or_default() },
        template,
        context: Context::new([]),
        verdict: Verdict::Accept,
        revealed: revealed(program, tail),
        readings: tail.readings.clone(),
        attestation: None,
    };
    // The length of an argument stands before it, in as few bytes as it takes.
    let [length, empty] = [argument, 0].map(|length: u64| files::encode(&length).len());
    let proof = Proof { statement, argument: Vec::new() };
    Ok((proof.to_bytes().len() - empty + length) as u64 + argument)
}

/// What is public beside the decision: bits have one size, and values are taken to be as large as their tensor has them.
fn revealed(program: &Program, tail: &Tail) -> Revealed {
    let Some(output) = program.outputs().last().map(|&id| program.tensor(id)) else { return Revealed::Decision };
    let entries = output.rows * output.cols;
    if tail.activity {
        Revealed::Activity(vec![false; entries])
    } else if tail.embedding {
        Revealed::Embedding(vec![i64::try_from(&output.low).unwrap_or(i64::MIN); entries])
    } else {
        Revealed::Decision
    }
}

/// The rows of an input's commitment.
fn input_rows(program: &Program, id: TensorId) -> Vec<Row> {
    let tensor = program.tensor(id);
    let rows = (tensor.rows << tensor.col_vars()).div_ceil(1 << SHARED_WIDTH_VARS);
    files::rows(&Commitment { width_vars: SHARED_WIDTH_VARS, rows: vec![G1Affine::zero(); rows] })
}
