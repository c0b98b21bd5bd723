//! What proving costs, from the program alone.

mod memory;
mod proof_size;
mod time;

pub use self::memory::MARGIN;
pub(crate) use self::memory::leaves;
pub use self::time::Speed;

use crate::error::ModelError;
use crate::gkr::fraction::Recompute;
use crate::gkr::program::{Kind, Program, Relation};
use crate::gkr::waves::Schedule;
use crate::model::{Lowered, Model};
use crate::statement::Mode;

/// Predicted nanoseconds of one core a looked-up tuple; a yardstick for shares, not a promise.
const NS_PER_LOOKUP: f64 = 120.0;
/// Predicted nanoseconds of one core a committed byte.
const NS_PER_BYTE: f64 = 50.0;

/// Predicted nanoseconds of one core for so many leaves and committed bytes.
pub(crate) fn ns_of(leaves: u64, bytes: u64) -> f64 {
    leaves as f64 * NS_PER_LOOKUP + bytes as f64 * NS_PER_BYTE
}

/// The sizes of a program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Multiply-accumulates of all contractions.
    pub macs: u64,
    /// Looked-up tuples.
    pub lookups: u64,
    /// Committed integers, multiplicities included.
    pub committed_values: u64,
}

impl Sizes {
    /// The sizes of `program`.
    #[must_use]
    pub fn new(program: &Program) -> Self {
        let (mut macs, mut lookups) = (0u64, 0u64);
        for relation in program.relations() {
            match relation {
                Relation::Contraction(c) => {
                    let (rows, inner) = program.view_shape(&c.lhs);
                    let cols = program.tensor(c.output).cols;
                    macs += (rows * inner * c.lhs.rows.num_taps() * cols) as u64;
                }
                Relation::Lookup(lookup) => {
                    let (rows, cols) = program.view_shape(&lookup.columns[0].view);
                    lookups += (rows * cols) as u64;
                }
                Relation::Linear(_) | Relation::Product(_) => {}
            }
        }
        let size = |&id| program.tensor(id).entries as u64;
        let committed_values = program.inputs().iter().chain(&program.committed()).map(size).sum();
        Self { macs, lookups, committed_values }
    }
}

/// What a program costs for a given length of audio.
#[derive(Clone, Debug, Default)]
pub struct Cost {
    /// Frames of the front end.
    pub frames: usize,
    /// Multiply-accumulates of all contractions.
    pub macs: u64,
    /// Looked-up tuples.
    pub lookups: u64,
    /// Committed integers, multiplicities included.
    pub committed_values: u64,
    /// Bytes of the committed integers.
    pub committed_bytes: u64,
    /// Entries of all weights.
    pub weights: u64,
    /// Leaves of the tree of fractions: looked-up tuples, and entries of tables.
    pub leaves: u64,
    /// Entries of all tensors but the weights.
    pub entries: u64,
    /// Sum-check waves.
    pub waves: usize,
    /// Size of the file of a proof that hides what it is about, in bytes.
    pub proof_bytes: u64,
    /// Size of the file of a proof in the clear, in bytes.
    pub clear_proof_bytes: u64,
    /// Predicted peak memory of the prover in bytes.
    pub memory_bytes: u64,
    /// The layers, in order.
    pub layers: Vec<LayerCost>,
}

/// The part of a [`Cost`] that a layer has.
#[derive(Clone, Debug, Default)]
pub struct LayerCost {
    /// Name of the layer.
    pub name: String,
    /// Numbers of (linear, contraction, product, lookup) relations.
    pub relations: [usize; 4],
    /// Rows of the last tensor.
    pub rows: usize,
    /// Columns of the last tensor; entries of all tables.
    pub columns: usize,
    /// Looked-up tuples.
    pub lookups: u64,
    /// Committed integers.
    pub committed_values: u64,
    /// Share of the predicted proving time, 0 to 1.
    pub share: f64,
}

/// Bytes of a committed tensor's entries.
fn bytes_per_entry(program: &Program, id: crate::gkr::program::TensorId) -> u64 {
    let tensor = program.tensor(id);
    tensor.low.bits().max(tensor.high.bits()).div_ceil(8).max(1)
}

/// The layer that a tensor belongs to: what stands before the slash in its name. All tables are one.
fn layer_of(name: &str) -> &str {
    if name.starts_with("multiplicities of ") {
        return "tables";
    }
    name.split(['/', ':']).next().unwrap_or(name)
}

impl Model {
    /// The layers and their shares of the cost of proving `samples` samples.
    pub fn layer_costs(&self, samples: usize) -> Result<Vec<LayerCost>, ModelError> {
        Ok(layer_costs(&self.decision(samples)?.program))
    }

    /// The program of a decision on `samples` samples.
    fn decision(&self, samples: usize) -> Result<Lowered, ModelError> {
        self.check_length(samples)?;
        self.spec().lower(samples, &self.spec().whole_tail(Some(1)))
    }

    /// What proving `samples` samples costs.
    pub fn cost(&self, samples: usize) -> Result<Cost, ModelError> {
        let lowered = self.decision(samples)?;
        let program = &lowered.program;
        let sizes = Sizes::new(program);
        let committed: Vec<_> = program.inputs().into_iter().chain(program.committed()).collect();
        let bytes = |id| program.tensor(id).entries as u64 * bytes_per_entry(program, id);
        let [weights, entries] = memory::of_tensors(program);
        let tail = self.spec().whole_tail(Some(1));
        let recording = (self.spec().sample_rate(), samples);
        let size = |mode| proof_size::proof_bytes(program, recording, &tail, mode);
        Ok(Cost {
            frames: self.front_end().num_frames(self.front_end().padded_samples(samples)).unwrap_or(0),
            macs: sizes.macs,
            lookups: sizes.lookups,
            committed_values: sizes.committed_values,
            committed_bytes: committed.iter().map(|&id| bytes(id)).sum(),
            weights,
            leaves: memory::leaves(program),
            entries,
            waves: Schedule::new(program).waves.len(),
            proof_bytes: size(Mode::Zk)?,
            clear_proof_bytes: size(Mode::Clear)?,
            memory_bytes: memory::peak(program, Recompute::LEAST),
            layers: layer_costs(program),
        })
    }
}

fn layer_costs(program: &Program) -> Vec<LayerCost> {
    let mut layers: Vec<LayerCost> = Vec::new();
    let mut layer = |name: &str, add: &mut dyn FnMut(&mut LayerCost)| {
        let name = layer_of(name);
        let at = layers.iter().position(|l| l.name == name).unwrap_or_else(|| {
            layers.push(LayerCost { name: name.to_owned(), ..LayerCost::default() });
            layers.len() - 1
        });
        add(&mut layers[at]);
    };
    let mut time = Vec::new();
    for (i, tensor) in program.tensors().iter().enumerate() {
        let id = crate::gkr::program::TensorId(i as u32);
        layer(&tensor.name, &mut |l| {
            let before = if matches!(tensor.kind, Kind::Multiplicity(_)) { l.columns } else { 0 };
            (l.rows, l.columns) = (tensor.rows, before + tensor.cols);
            if matches!(tensor.kind, Kind::Input | Kind::Witness | Kind::Multiplicity(_)) {
                l.committed_values += tensor.entries as u64;
            }
        });
        if matches!(tensor.kind, Kind::Input | Kind::Witness) {
            let bytes = tensor.entries as u64 * bytes_per_entry(program, id);
            time.push((layer_of(&tensor.name).to_owned(), bytes as f64 * NS_PER_BYTE));
        }
    }
    for relation in program.relations() {
        let (kind, tensor, lookups) = match relation {
            Relation::Linear(r) => (0, r.output, 0),
            Relation::Contraction(r) => (1, r.output, 0),
            Relation::Product(r) => (2, r.output, 0),
            Relation::Lookup(r) => {
                let (rows, cols) = program.view_shape(&r.columns[0].view);
                (3, r.columns[0].view.tensor, (rows * cols) as u64)
            }
        };
        let name = &program.tensor(tensor).name;
        layer(name, &mut |l| {
            l.relations[kind] += 1;
            l.lookups += lookups;
        });
        time.push((layer_of(name).to_owned(), lookups as f64 * NS_PER_LOOKUP));
    }
    let total: f64 = time.iter().map(|(_, ns)| ns).sum();
    for layer in &mut layers {
        let own: f64 =
            time.iter().filter(|(name, _)| *name == layer.name).map(|(_, ns)| ns).fold(0.0, |sum, ns| sum + ns);
        layer.share = own / total.max(1.0);
    }
    layers
}
