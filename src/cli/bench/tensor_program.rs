//! Programs that end neither in an embedding nor in a decision: committed inputs, relations, public
//! outputs.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ark_bn254::Fr;
use voxcheck::cost::Sizes;
use voxcheck::gkr::builder::{ProgramBuilder, Recipes};
use voxcheck::gkr::pcs::hiding::{HidingProver, HidingVerifier};
use voxcheck::gkr::pcs::{Blinds, Commitment, Hyrax, Layout, MultilinearPcs, ProverKey, VerifierKey};
use voxcheck::gkr::program::{MAX_WIDTH_VARS, Program, SHARED_WIDTH_VARS};
use voxcheck::gkr::prover::{self, PublicBlinds, PublicCommitments, Timings, Witness};
use voxcheck::gkr::trace::Trace;
use voxcheck::gkr::verifier;
use voxcheck::proof::{Mode, Stages};
use voxcheck::sumcheck::channel::{PlainProver, PlainVerifier, VerifierChannel};
use voxcheck::sumcheck::int::IntTable;
use voxcheck::sumcheck::transcript::{Label, Merlin};

use super::{Measurement, Prepared};
use crate::cli::error::{CliError, Result};

const TRANSCRIPT: &[u8] = b"voxcheck bench program";

/// A program with its key: constants are committed, inputs are in memory.
pub struct TensorProgram {
    key: ProverKey,
    program: Program,
    recipes: Recipes,
    inputs: Vec<Arc<IntTable>>,
    constants: Vec<Arc<IntTable>>,
    committed: Vec<Commitment>,
}

/// A proof and what was found on the way.
pub struct Proved {
    /// Public outputs.
    pub outputs: Vec<IntTable>,
    /// Commitments to the inputs and the argument.
    pub bytes: Vec<u8>,
    /// Running the program.
    pub execute: Duration,
    /// Committing to the inputs.
    pub inputs: Duration,
    /// The argument.
    pub timings: Timings,
}

fn failed(error: &dyn std::fmt::Display) -> CliError {
    CliError::internal(format!("bench: {error}"))
}

impl TensorProgram {
    /// Sets up the program of a builder.
    pub fn new(builder: ProgramBuilder, inputs: Vec<IntTable>, constants: Vec<IntTable>) -> Result<Self> {
        let (program, recipes) = builder.finish().map_err(|error| failed(&error))?;
        let key = ProverKey::new(VerifierKey::new(MAX_WIDTH_VARS));
        let [inputs, constants] =
            [inputs, constants].map(|tables| tables.into_iter().map(Arc::new).collect::<Vec<_>>());
        let constant = |(id, number): (_, u32)| {
            let table = constants.get(number as usize).ok_or_else(|| failed(&"a constant is missing"))?;
            Ok((&**table, program.width_vars(id)))
        };
        let tables: Vec<_> = program.constants().into_iter().map(constant).collect::<Result<_>>()?;
        let committed = Hyrax::commit_all(&key, &tables);
        // What a loaded key has: the multiples of the generators.
        for id in program.committed().into_iter().chain(program.inputs()) {
            let _ = key.multiples(program.width_vars(id));
        }
        Ok(Self { key, program, recipes, inputs, constants, committed })
    }

    /// The program.
    #[cfg(test)]
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// Runs and proves the program.
    pub fn prove(&self, mode: Mode) -> Result<Proved> {
        let clock = Instant::now();
        let trace = Trace::run_keeping(&self.program, &self.recipes, &self.inputs, &self.constants, &[]);
        let trace = trace.map_err(|error| failed(&error))?;
        let execute = clock.elapsed();
        let clock = Instant::now();
        let mut channel = PlainProver::new(Merlin::new(TRANSCRIPT));
        let mut blinds = Vec::new();
        let mut commitments = Vec::new();
        for table in &self.inputs {
            let mut commitment = Hyrax::commit(&self.key, table, SHARED_WIDTH_VARS);
            let own = match mode {
                Mode::Zk => Blinds::random(commitment.rows.len()).map_err(|error| failed(&error))?,
                Mode::Clear => Blinds::none(),
            };
            Hyrax::blind(&self.key, &mut commitment, &own);
            Hyrax::send(Label::Commitment, &commitment, &mut channel);
            blinds.push(own);
            commitments.push(commitment);
        }
        let inputs = clock.elapsed();
        let (commitments, constants): (Vec<_>, Vec<_>) =
            (commitments.iter().collect(), self.committed.iter().collect());
        let public = PublicCommitments { inputs: &commitments, constants: &constants };
        let witness = Witness::new(&trace).hidden_by(PublicBlinds { inputs: &blinds, constants: &[] });
        let (key, program) = (&self.key, &self.program);
        let (bytes, timings) = match mode {
            Mode::Clear => {
                let timings = prover::prove::<Hyrax, _>(key, program, witness, &public, &mut channel);
                (channel.into_proof(), timings)
            }
            Mode::Zk => {
                let hiding = HidingProver::new(channel, key, program.max_width_vars());
                let mut channel = hiding.map_err(|error| failed(&error))?;
                let timings = prover::prove::<Hyrax, _>(key, program, witness, &public, &mut channel);
                (channel.into_inner().into_proof(), timings)
            }
        };
        let outputs = self.program.outputs().iter().map(|&id| trace.get(id).clone()).collect();
        Ok(Proved { outputs, bytes, execute, inputs, timings })
    }

    /// Verifies that some committed inputs give these outputs.
    pub fn verify(&self, mode: Mode, outputs: &[IntTable], proof: &[u8]) -> Result<()> {
        let mut channel = PlainVerifier::new(Merlin::new(TRANSCRIPT), proof);
        let mut inputs = Vec::new();
        for id in self.program.inputs() {
            let tensor = self.program.tensor(id);
            let layout = Layout::new(tensor.rows, tensor.cols, SHARED_WIDTH_VARS).map_err(|error| failed(&error))?;
            let commitment = Hyrax::recv(Label::Commitment, &layout, &mut channel);
            inputs.push(commitment.map_err(|error| failed(&error))?);
        }
        let outputs: Vec<&IntTable> = outputs.iter().collect();
        let (inputs, constants): (Vec<_>, Vec<_>) = (inputs.iter().collect(), self.committed.iter().collect());
        let public = PublicCommitments { inputs: &inputs, constants: &constants };
        let key = self.key.verifier_key();
        let answer = match mode {
            Mode::Clear => verifier::verify::<Hyrax, _>(key, &self.program, &outputs, &public, &mut channel)
                .and_then(|()| VerifierChannel::<Fr>::finish(channel)),
            Mode::Zk => {
                let mut channel = HidingVerifier::new(channel, self.program.max_width_vars());
                verifier::verify::<Hyrax, _>(key, &self.program, &outputs, &public, &mut channel)
                    .and_then(|()| channel.finish())
            }
        };
        answer.map_err(|error| failed(&error))
    }
}

impl Prepared for TensorProgram {
    fn run(&mut self, mode: Mode) -> Result<Measurement> {
        let clock = Instant::now();
        let Proved { outputs, bytes, execute, inputs, timings } = self.prove(mode)?;
        let prove = clock.elapsed();
        let clock = Instant::now();
        self.verify(mode, &outputs, &bytes)?;
        let verify = clock.elapsed();
        let sizes = Sizes::new(&self.program);
        let Timings { commit, lookup, waves, open, zk } = timings;
        Ok(Measurement {
            prove,
            verify,
            execute: Some(execute),
            stages: Some(Stages { execute, commit: commit + inputs, lookup, waves, open, zk }),
            proof_bytes: bytes.len(),
            lookups: Some(sizes.lookups),
            committed_values: Some(sizes.committed_values),
            macs: Some(sizes.macs),
            ..Measurement::default()
        })
    }
}
